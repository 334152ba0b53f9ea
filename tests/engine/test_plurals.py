import re
from pathlib import Path

import pytest

from torchdeck.engine.plurals import plural

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("count", "words"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (12_345, "12,345 steps")])
def test_only_one_thing_is_singular(count: int, words: str) -> None:
    assert plural(count, "step") == words


def test_a_plural_may_be_another_word() -> None:
    assert (plural(1, "class has", "classes have"), plural(3, "class has", "classes have")) == (
        "1 class has",
        "3 classes have",
    )


def test_no_message_makes_its_plural_by_itself() -> None:
    by_itself = re.compile(r"""['"]e?s['"] ?(\*|\[:|if )""")
    assert [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("engine", "tui")
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if by_itself.search(line)
    ] == []
