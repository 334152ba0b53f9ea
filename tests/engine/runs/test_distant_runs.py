"""Runs that another machine trains on a shared disk: what is said of them, and how they are sent commands."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_cases import new_run

from torchdeck.engine.errors import RunError
from torchdeck.engine.runs import control as control_module
from torchdeck.engine.runs import spool
from torchdeck.engine.runs.browsing.removal import delete_run
from torchdeck.engine.runs.browsing.renaming import rename_run
from torchdeck.engine.runs.cause_of_death import why_died
from torchdeck.engine.runs.control import Control, ControlServer, send
from torchdeck.engine.runs.on_disk.directory import read_state, refuse_trained
from torchdeck.engine.runs.on_disk.distant import SILENT_SECONDS, distant_owner
from torchdeck.engine.runs.on_disk.lock import acquire
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.spool import SPOOL, answer_spool


def is_on(run: Path, host: str, *, silent: float = 0.0, status: str = "running") -> None:
    """Let a run's files say that another machine trains it, and that nothing was written for some seconds."""
    state = read_state(run)
    heard = time.time() - silent
    (run / "state.json").write_text(json.dumps({**state, "host": host, "status": status, "updated": heard}))
    for file in run.iterdir():
        os.utime(file, (heard, heard))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that nobody on this machine trains."""
    writer = new_run(tmp_path / "runs")
    writer.close("stopped")
    return writer.path


def test_a_run_that_was_heard_of_is_alive_where_it_is_and_nothing_here_takes_it(run: Path) -> None:
    is_on(run, "gpu02", silent=4)
    assert RunReader(run).status() == "running"
    distant = distant_owner(run, read_state(run))
    assert distant is not None and distant.words == "on gpu02, last heard of 4 s ago"
    for refused in (refuse_trained, delete_run, lambda path: rename_run(path, "other")):
        with pytest.raises(RunError, match="is being trained by a process on gpu02, last heard of 4 s ago"):
            refused(run)
    assert run.is_dir()


def test_after_a_long_silence_it_is_dead_and_when_it_was_heard_of_is_said(run: Path) -> None:
    is_on(run, "gpu02", silent=SILENT_SECONDS + 1)
    assert RunReader(run).status() == "died"
    assert why_died(run).startswith("its process on gpu02 is gone or not visible from here, last update ")
    refuse_trained(run)


@pytest.mark.parametrize("status", ["stopped", "finished", "failed"])
def test_a_run_that_has_ended_is_on_no_other_machine(run: Path, status: str) -> None:
    is_on(run, "gpu02", status=status)
    assert distant_owner(run, read_state(run)) is None


@pytest.fixture
def control(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """What the run's process on the other machine does."""
    monkeypatch.setattr(control_module, "_SPOOL_SECONDS", 0.1)
    lock, control = acquire(run), Control()
    server = ControlServer(run, lock.held, control)
    server.start()
    is_on(run, "gpu02")
    try:
        yield control
    finally:
        server.stop()
        lock.release()


def test_commands_are_left_in_the_directory_and_answered(run: Path, control: Control) -> None:
    assert send(run, {"cmd": "set", "key": "optimizer.lr", "value": 0.5}) == {"ok": True}
    assert send(run, {"cmd": "pause"}) == {"ok": True}
    refused = send(run, {"cmd": "dance"})  # type: ignore[typeddict-item]
    assert not refused["ok"] and "dance" in refused["error"]
    assert control.take() == [{"cmd": "set", "key": "optimizer.lr", "value": 0.5}, {"cmd": "pause"}]
    assert list((run / SPOOL).iterdir()) == []


def test_a_command_that_nobody_answers_is_taken_back(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(control_module, "send_by_spool", lambda *words: spool.send_by_spool(*words, timeout=0.3))
    is_on(run, "gpu02", silent=7)
    with pytest.raises(RunError, match="has not answered within 0 s; it trains on gpu02, last heard of 7 s ago"):
        send(run, {"cmd": "stop"})
    assert list((run / SPOOL).iterdir()) == []


def test_links_large_files_and_those_of_other_users_are_ignored(run: Path) -> None:
    folder = run / SPOOL
    folder.mkdir()
    (folder / "1-a.json").write_bytes(b'{"cmd": "pause"}' + b" " * (64 << 10))
    (folder / "outside").write_text('{"cmd": "stop"}')
    (folder / "2-b.json").symlink_to("outside")
    os.mkfifo(folder / "3-c.json")
    if os.geteuid() == 0:
        (folder / "4-d.json").write_text('{"cmd": "stop"}')
        os.chown(folder / "4-d.json", 12345, 12345)
    asked: list[bytes] = []
    answer_spool(run, lambda line: asked.append(line) or {"ok": True})  # type: ignore[func-returns-value]
    assert asked == []
    assert not list(folder.glob("*.answer"))


def test_answers_that_nobody_fetched_are_removed_after_a_while(run: Path) -> None:
    folder = run / SPOOL
    folder.mkdir()
    for name, age in (("1-a.answer", 10), ("2-b.answer", 3600)):
        (folder / name).write_text("{}")
        os.utime(folder / name, (time.time() - age,) * 2)
    answer_spool(run, lambda line: {"ok": True})
    assert [file.name for file in folder.iterdir()] == ["1-a.answer"]
