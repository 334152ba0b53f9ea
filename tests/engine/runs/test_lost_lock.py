"""The lock's file is removed or replaced while a run trains, as cleaners of shared disks do: the run stays owned."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from run_cases import new_run

from torchdeck.engine.errors import RunError
from torchdeck.engine.machine.process_identity import start_ticks
from torchdeck.engine.runs.browsing.removal import delete_run
from torchdeck.engine.runs.on_disk.directory import own_run, owner_pid, summarize_run
from torchdeck.engine.runs.on_disk.lock import LOCK_FILE, lock_holder
from torchdeck.engine.runs.ownership_watch import OwnershipWatch
from torchdeck.engine.runs.reader import RunReader

OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from run_cases import new_run
run = new_run(Path(sys.argv[1]))
run.update_state(status="running")
run.flush()
print(run.path, flush=True)
time.sleep(60)
"""


@contextmanager
def trained_elsewhere(root: Path) -> Iterator[tuple[Path, int]]:
    command = [sys.executable, "-c", OWNER, str(root), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Path(process.stdout.readline().strip()), process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_run_whose_lock_is_gone_is_known_to_live_by_its_process(tmp_path: Path) -> None:
    with trained_elsewhere(tmp_path) as (path, pid):
        (path / LOCK_FILE).unlink()
        assert lock_holder(path) is None
        assert owner_pid(path) == pid
        assert summarize_run(path).status == RunReader(path).status() == "running"
        with pytest.raises(RunError, match=f"is being trained by process {pid}"):
            own_run(path)
        with pytest.raises(RunError, match=f"is being trained by process {pid}"):
            delete_run(path)
        assert not (path / LOCK_FILE).exists()
    assert owner_pid(path) is None
    assert summarize_run(path).status == "died"
    own_run(path).release()


def test_a_number_that_now_is_another_process_is_not_the_runs(tmp_path: Path) -> None:
    with trained_elsewhere(tmp_path) as (path, pid):
        started = start_ticks(pid)
        state = (path / "state.json").read_text()
        (path / LOCK_FILE).unlink()
        (path / "state.json").write_text(state.replace(str(started), str((started or 0) + 1)))
        assert owner_pid(path) is None


def remove(lock: Path) -> None:
    lock.unlink()


def replace(lock: Path) -> None:
    shutil.copy(lock, lock.with_name("copy"))
    os.replace(lock.with_name("copy"), lock)


@pytest.mark.parametrize("lose", [remove, replace])
def test_the_owner_takes_the_lock_again_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("torchdeck.engine.runs.ownership_watch._EVERY_SECONDS", 0.02)
    run = new_run(tmp_path)
    watch = OwnershipWatch(run)
    watch.start()
    try:
        lose(run.path / LOCK_FILE)
        end = time.monotonic() + 90
        while lock_holder(run.path) is None:
            assert time.monotonic() < end, "not locked again"
            time.sleep(0.02)
    finally:
        watch.stop()
    run.flush()
    notes = [event["text"] for event in events_of(run.path) if event["kind"] == "note"]
    assert notes == ["run.lock was removed or replaced while the run trains; it is locked again"]
    run.close("stopped")
    assert owner_pid(run.path) is None


def events_of(path: Path) -> list[dict[str, object]]:
    reader = RunReader(path)
    reader.poll()
    return reader.events()


def test_a_lock_that_another_process_took_meanwhile_is_said_once(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    (run.path / LOCK_FILE).unlink()
    code = (
        "import sys, time; from pathlib import Path; from torchdeck.engine.runs.on_disk.lock import acquire\n"
        "acquire(Path(sys.argv[1])); print('taken', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(run.path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "taken\n"
        run.keep_ownership()
        run.keep_ownership()
        run.flush()
        lost = [event for event in events_of(run.path) if event["kind"] == "lock_lost"]
        other.kill()
    assert len(lost) == 1 and f"process {other.pid}" in str(lost[0]["text"])
    run.close("stopped")
