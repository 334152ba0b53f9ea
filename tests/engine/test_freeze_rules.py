"""What a user freezes or unfreezes part by part is kept as few rules."""

import pytest

from torchdeck.engine.config.freeze_rules import with_rule


@pytest.mark.parametrize(
    ("rules", "path", "is_frozen", "expected"),
    [
        ([], "layer1", True, ["layer1"]),
        (["layer1"], "layer1", False, []),
        (["*"], "fc", False, ["*", "!fc"]),
        (["*", "!fc"], "fc", True, ["*", "fc"]),
        (["*", "layer1", "!layer1.0"], "layer1", False, ["*", "!layer1"]),
        (["layer1", "!layer10"], "layer1", True, ["!layer10", "layer1"]),
        (["layer1", "!fc"], "*", True, ["*"]),
        (["*"], "*", False, []),
        ([], "layer1", False, ["!layer1"]),
    ],
)
def test_a_freeze_rule_takes_the_place_of_those_for_the_same_part(
    rules: list[str], path: str, is_frozen: bool, expected: list[str]
) -> None:
    assert with_rule(rules, path, is_frozen=is_frozen) == expected
