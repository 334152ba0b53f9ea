"""`torchdeck tag` and `torchdeck note`: what a user says of a run, in every list of runs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.commands import torchdeck


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        writer = RunWriter.create(tmp_path / "runs", load_config("digits", [f"name={name}"]), {"argv": ["torchdeck"]})
        writer.close("stopped")
    return tmp_path / "runs"


def said(root: Path, *words: str, fails: bool = False) -> str:
    result = CliRunner().invoke(torchdeck, [*words, "--runs", str(root)])
    assert bool(result.exception) is fails, result.output
    return str(result.exception) if fails else result.output


def test_tags_are_added_removed_and_printed(root: Path) -> None:
    assert said(root, "tag", "first").rstrip().endswith("has no tags")
    assert said(root, "tag", "first", "baseline", "#paper") == "baseline paper\n"
    assert said(root, "tag", "first", "baseline", "--remove") == "paper\n"
    assert said(root, "tag", "first") == "paper\n"
    assert "has no tag absent; its tags: paper" in said(root, "tag", "first", "absent", "--remove", fails=True)
    assert "names no tag" in said(root, "tag", "first", "--remove", fails=True)
    assert "must be 1 to 40 letters" in said(root, "tag", "first", "[x]", fails=True)


def test_a_note_is_written_printed_and_removed(root: Path) -> None:
    assert said(root, "note", "first").rstrip().endswith("has no note")
    assert said(root, "note", "first", "line\nwith \x1b[31m").rstrip().endswith("note written")
    assert said(root, "note", "first") == "line\nwith \\x1b[31m\n"
    assert "takes no text" in said(root, "note", "first", "x", "--remove", fails=True)
    assert said(root, "note", "first", "--remove").rstrip().endswith("note removed")


def test_they_are_in_every_list_and_filter(root: Path) -> None:
    said(root, "tag", "first", "baseline")
    said(root, "note", "first", "a good start")
    assert "baseline" in said(root, "runs")
    (run,) = json.loads(said(root, "runs", "tag=baseline", "--json"))
    assert (run["tags"], run["note"]) == (["baseline"], "a good start")
    assert json.loads(said(root, "runs", "note=start", "--json"))[0]["name"].startswith("first")
    shown = json.loads(said(root, "show", "first", "--json"))
    assert (shown["tags"], shown["note"]) == (["baseline"], "a good start")
    assert "note       a good start" in said(root, "show", "first")


def test_runs_are_sorted_by_a_setting(root: Path) -> None:
    names = [run["name"][:5] for run in json.loads(said(root, "runs", "--sort", "name", "--json"))]
    assert names == ["first", "secon"]
    assert "unknown sort key" in said(root, "runs", "--sort", "nonsense", fails=True)
