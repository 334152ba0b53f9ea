"""Every kind of event that a run records has one level, and every problem has words."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import torchdeck.engine
from torchdeck.tui.words.event_levels import EVENT_LEVELS, event_level
from torchdeck.tui.words.train.event_text import event_line, newest_event
from torchdeck.tui.words.train.log_text import log_lines

ENGINE = Path(torchdeck.engine.__path__[0]).resolve()
# Kinds that the code chooses among, by the file that does.
CHOSEN = {
    "training/compute/compiled_run.py": {"compiled", "compile_failed"},
    "recording/recorder.py": {"not_logged", "note"},
    "runs/owner.py": {"directory_deleted", "rescued"},
}
# Kinds of lines that other files of a run hold.
OF_OTHER_FILES = {"train", "evaluation", "epoch", "gap", "layout", "gradients", "system", "state", "weights", "log"}


def written_kinds() -> Iterator[tuple[str, str]]:
    """File and kind of everything that is recorded as an event; an empty kind where the code chooses it."""
    for path in ENGINE.rglob("*.py"):
        place = path.relative_to(ENGINE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "event":
                kind = node.args[0]
                yield place, str(kind.value) if isinstance(kind, ast.Constant) else ""
            elif isinstance(node, ast.Dict) and place.startswith("runs/"):
                for key, kind in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "kind" and isinstance(kind, ast.Constant):
                        yield place, str(kind.value)


def test_every_kind_that_the_engine_writes_has_a_level() -> None:
    found = list(written_kinds())
    assert {place for place, kind in found if not kind} == set(CHOSEN)
    kinds = {kind for _, kind in found if kind}.union(*CHOSEN.values()) - (OF_OTHER_FILES - {"gradients"})
    assert len(kinds) > 25
    assert kinds == set(EVENT_LEVELS)


@pytest.mark.parametrize(
    ("event", "level", "words"),
    [
        ({"kind": "saver_failed", "error": "OSError: no"}, "error", "SAVE FAILED, training continues: OSError: no"),
        ({"kind": "old_checkpoints_kept", "error": "busy"}, "warning", "old checkpoints are kept"),
        ({"kind": "left_out", "files": [["a.png", "torn"], ["b.png", "torn"]]}, "warning", "2 files of the data"),
        ({"kind": "rescued", "text": "it is saved elsewhere"}, "error", "it is saved elsewhere"),
        ({"kind": "state_not_written", "error": "full"}, "warning", "state.json was not written: full"),
    ],
)
def test_a_problem_is_one_in_the_log_in_the_list_and_in_the_first_line(
    event: dict[str, object], level: str, words: str
) -> None:
    assert event_level(event) == log_lines([event])[0].level == level
    assert words in event_line(event)
    tone, glyph = ("$error", "✗") if level == "error" else ("$warning", "▲")
    assert newest_event([event]).startswith(f"[{tone}]{glyph}[/] ")


def test_a_run_that_failed_ends_with_an_error() -> None:
    assert event_level({"kind": "ended", "status": "failed"}) == "error"
    assert event_level({"kind": "ended", "status": "finished"}) == "info"
