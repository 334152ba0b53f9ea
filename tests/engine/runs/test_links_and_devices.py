"""Nothing is written through a link in a run's directory, and nothing in it that is no file is waited for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from torchdeck.engine.errors import CheckpointError, RunError
from torchdeck.engine.files.regular_file import open_for_appending
from torchdeck.engine.launching.launch import launch_resumed
from torchdeck.engine.runs.browsing.removal import delete_checkpoint
from torchdeck.engine.runs.cause_of_death import Death, note_death
from torchdeck.engine.runs.on_disk import column_cache
from torchdeck.engine.runs.on_disk.log_bound import bound_log
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.pins import pin
from torchdeck.tui.cli import run_command


@pytest.fixture
def run(perceptron_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    folder = perceptron_checkpoint.parents[1]
    shutil.copytree(folder, tmp_path / "runs" / folder.name)
    return tmp_path / "runs" / folder.name


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that nothing may be written to."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "last.pt").write_text("mine")
    return tmp_path / "elsewhere"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def put_in_place_of(path: Path, make: Callable[[Path], None]) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    make(path)


@pytest.mark.parametrize("name", ["run.json", "state.json", "metrics.jsonl", "events.jsonl", "engine.log", "run.lock"])
@pytest.mark.parametrize("kind", ["FIFO", "symbolic link"])
def test_resume_says_what_is_no_file_and_starts_nothing(
    run: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    target = elsewhere / "last.pt"
    put_in_place_of(run / name, os.mkfifo if kind == "FIFO" else lambda path: path.symlink_to(target))
    with pytest.raises(RunError, match=f"{name}: is a {kind} and not a regular file"):
        launch_resumed(run, overrides=["training.epochs=2"])
    words = ["resume", str(run), "--set", "training.epochs=2"]
    assert run_command(words, None) in (1, 2)
    assert name in capsys.readouterr().err
    assert content(elsewhere) == {"last.pt": b"mine"}


@pytest.mark.parametrize("name", ["checkpoints", "cache", "profiles"])
def test_resume_refuses_a_folder_that_is_a_link(run: Path, elsewhere: Path, name: str) -> None:
    put_in_place_of(run / name, lambda path: path.symlink_to(elsewhere))
    with pytest.raises(RunError, match=f"{name}: is a symbolic link and not a folder of its own"):
        launch_resumed(run, overrides=["training.epochs=2"])
    assert content(elsewhere) == {"last.pt": b"mine"}


def test_a_reader_writes_no_cache_through_a_link(run: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchdeck.engine.runs.reader.WORTH_CACHING_BYTES", 1)
    (run / "cache").symlink_to(elsewhere)
    RunReader(run).poll()
    assert content(elsewhere) == {"last.pt": b"mine"}
    (run / "cache").unlink()
    RunReader(run).poll()
    assert (run / "cache" / column_cache.CACHE_FILE).is_file()


def test_pinning_and_deleting_change_nothing_behind_a_link(run: Path, elsewhere: Path) -> None:
    shutil.copytree(run / "checkpoints", elsewhere, dirs_exist_ok=True)
    put_in_place_of(run / "checkpoints", lambda path: path.symlink_to(elsewhere))
    before = content(elsewhere)
    name = next(name for name in before if name.startswith("step-"))
    with pytest.raises(CheckpointError, match="can't be pinned"):
        pin(run / "checkpoints", name)
    with pytest.raises(RunError, match="can't be deleted"):
        delete_checkpoint(run, name)
    assert content(elsewhere) == before


def test_a_death_is_not_noted_through_a_link_and_a_log_is_not_emptied_through_one(run: Path, elsewhere: Path) -> None:
    for name in ("events.jsonl", "engine.log"):
        put_in_place_of(run / name, lambda path: path.symlink_to(elsewhere / "last.pt"))
    with pytest.raises(OSError, match="symbolic links"):
        note_death(run, Death(1, 0.0, None, None, is_memory_short=False))
    with pytest.raises(OSError, match="symbolic links"):
        bound_log(run / "engine.log", max_bytes=1)
    (run / "engine.log").unlink()
    (run / "engine.log").write_bytes(b"x" * 100)
    (run / ".engine.log.1.tmp").symlink_to(elsewhere / "last.pt")
    assert bound_log(run / "engine.log", max_bytes=10)
    assert content(elsewhere) == {"last.pt": b"mine"}


@pytest.mark.parametrize("reads", [False, True])
def test_a_fifo_is_not_opened_for_appending_whether_it_is_read_or_not(tmp_path: Path, reads: bool) -> None:
    path = tmp_path / "engine.log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if reads else None
    with pytest.raises(OSError, match="not a regular file"):
        open_for_appending(path)
    if reader is not None:
        os.close(reader)
