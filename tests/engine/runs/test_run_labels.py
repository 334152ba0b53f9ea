"""Tags and notes on runs: kept whole, shown everywhere, safe against what somebody else put there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_cases import new_run

from torchdeck.engine.errors import ConfigError, RunError
from torchdeck.engine.runs.browsing.removal import delete_run
from torchdeck.engine.runs.browsing.renaming import rename_run
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.browsing.run_filter import parse_filter
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.on_disk.run_labels import (
    MOST_TAGS,
    RunLabels,
    change_labels,
    parse_tags,
    read_labels,
    with_tags,
    without_tags,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    writer = new_run(tmp_path / "runs")
    writer.close("stopped")
    return writer.path


def label(run: Path, *tags: str, note: str = "") -> RunLabels:
    return change_labels(run, lambda before: RunLabels(with_tags(before, tags).tags, note))


def test_tags_and_a_note_are_read_as_they_were_written(run: Path) -> None:
    assert read_labels(run) == RunLabels()
    label(run, "baseline", "paper", "baseline", note="first line\n[red]second")
    assert read_labels(run) == RunLabels(("baseline", "paper"), "first line\n[red]second")
    change_labels(run, lambda before: without_tags(before, ["baseline"]))
    assert read_labels(run) == RunLabels(("paper",), "first line\n[red]second")


def test_a_live_run_takes_them_and_a_renamed_one_keeps_them(tmp_path: Path) -> None:
    writer = new_run(tmp_path)
    label(writer.path, "live")
    writer.close("stopped")
    assert read_labels(rename_run(writer.path, "other")).tags == ("live",)


def test_they_go_when_the_run_is_deleted(run: Path) -> None:
    label(run, "baseline")
    delete_run(run)
    assert not run.exists()


def test_the_list_of_runs_has_them_and_notices_a_change_of_a_run_that_has_ended(run: Path) -> None:
    catalog = RunCatalog(run.parent)
    assert catalog.look()[0].tags == ()
    label(run, "baseline", note="good")
    assert (catalog.look()[0].tags, catalog.look()[0].note) == (("baseline",), "good")
    assert list_runs(run.parent) == catalog.look()


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("tag=base", True),
        ("tag==baseline", True),
        ("tag==base", False),
        ("tag!=paper", False),
        ("tag!=other", True),
        ("note=WARM", True),
        ("note=cold", False),
        ("warmup", True),
        ("paper", True),
        ("!paper", False),
        ("'long warmup'", True),
    ],
)
def test_a_filter_finds_tags_and_notes(run: Path, text: str, is_found: bool) -> None:
    label(run, "baseline", "paper", note="a long warmup")
    (summary,) = list_runs(run.parent)
    assert parse_filter(text).matches(summary, {}) is is_found


def test_tags_are_typed_with_blanks_commas_and_a_leading_sign() -> None:
    assert parse_tags("#base, v1.2  lr:1e-3,base") == ("base", "v1.2", "lr:1e-3")
    assert parse_tags("  ") == ()


@pytest.mark.parametrize("tag", ["-x", "a b", "x" * 41, "[red]", "a\x1b", ""])
def test_a_tag_that_can_not_be_typed_in_a_filter_is_rejected(run: Path, tag: str) -> None:
    with pytest.raises(ConfigError, match=r"tag .* must be 1 to 40 letters"):
        label(run, tag)
    assert not (run / "labels.json").exists()


def test_there_is_a_limit(run: Path) -> None:
    with pytest.raises(ConfigError, match=f"at most {MOST_TAGS}"):
        label(run, *(f"t{n}" for n in range(MOST_TAGS + 1)))
    with pytest.raises(ConfigError, match="at most 10,000"):
        label(run, note="x" * 10_001)


def _link(path: Path) -> None:
    (path.parent.parent / "mine.json").write_text('{"tags": ["stolen"]}')
    path.symlink_to(path.parent.parent / "mine.json")


HOSTILE = {
    "a link": _link,
    "a FIFO": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
    "no JSON": lambda path: path.write_text("{"),
    "a list": lambda path: path.write_text("[]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "large": lambda path: path.write_text(json.dumps({"note": "x" * 300_000})),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_can_not_be_read_is_no_label_and_is_not_overwritten(run: Path, kind: str) -> None:
    path = run / "labels.json"
    HOSTILE[kind](path)
    before = _content_of(path)
    assert read_labels(run) == RunLabels()
    assert list_runs(run.parent)[0].tags == ()
    with pytest.raises(RunError, match=r"labels.json: can't be read"):
        label(run, "new")
    assert _content_of(path) == before


def _content_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written, and not when it is read."""
    status = path.lstat()
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def test_entries_of_other_kinds_are_left_out_and_those_of_later_versions_stay(run: Path) -> None:
    path = run / "labels.json"
    path.write_text(json.dumps({"tags": ["ok", 3, "[bad]", "a b", "ok"], "note": 7, "color": "blue"}))
    assert read_labels(run) == RunLabels(("ok",))
    label(run, "more")
    assert json.loads(path.read_text()) == {"tags": ["ok", "more"], "note": "", "color": "blue"}


def test_no_tag_is_lost_when_several_processes_add_theirs_at_once(run: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from torchdeck.engine.runs.on_disk.run_labels import change_labels, with_tags\n"
        "for n in range(4): change_labels(Path(sys.argv[1]), lambda l: with_tags(l, [f'{sys.argv[2]}{n}']))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(run), letter]) for letter in "abc"]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert sorted(read_labels(run).tags) == sorted(f"{letter}{n}" for letter in "abc" for n in range(4))


def test_a_lock_that_another_process_keeps_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr("torchdeck.engine.files.exclusive.WAIT_SECONDS", 0.05)
    descriptor = os.open(run, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(RunError, match=r"another process has held the lock on .* for 0\.05 s"):
        label(run, "x")
    os.close(descriptor)
    assert label(run, "x").tags == ("x",)
