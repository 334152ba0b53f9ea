"""The process beside a run, with real processes that really end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torchdeck.engine.runs.cause_of_death import why_died
from torchdeck.engine.runs.process_end import out_of_memory_kills, signal_and_exit_status, wait_status
from torchdeck.engine.runs.reader import RunReader

# Owns a run and its log, is watched, says where its run is, and then does what it is asked to.
OWNER = """
import faulthandler, os, signal, sys, time
from pathlib import Path
from torchdeck.engine.config import NotifyConfig, RunConfig
from torchdeck.engine.launching.run_watch import RunWatch
from torchdeck.engine.runs.writer import RunWriter
root, command, body = sys.argv[1:]
notify = NotifyConfig(after_minutes=0, command=command)
run = RunWriter.create(Path(root), RunConfig(notify=notify), {})
run.update_state(status="running", step=7)
run.flush()
log = os.open(run.path / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print(run.path, flush=True)
os.dup2(log, 1), os.dup2(log, 2)
faulthandler.enable(2)
with RunWatch(run.path, run.held, notify) as watch:
    exec(body)
    run.close("finished")
"""


def live(root: Path, body: str, command: str = "") -> tuple[subprocess.Popen[str], Path]:
    arguments = [sys.executable, "-c", OWNER, str(root), command, body]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def events(run: Path) -> list[dict[str, object]]:
    try:
        return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    except FileNotFoundError:
        return []


def has_died(run: Path) -> bool:
    return any(event["kind"] == "died" for event in events(run))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by another process (SIGKILL)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "Segmentation fault (SIGSEGV)"),
        ("os._exit(3)", "exited during the run (exit status 3)"),
    ],
)
def test_how_a_process_ended_is_noted_in_its_run(tmp_path: Path, body: str, words: str) -> None:
    process, run = live(tmp_path, body)
    process.wait()
    wait_until(lambda: has_died(run))
    assert RunReader(run).status() == "died"
    assert words in why_died(run)


def test_that_a_run_was_killed_is_told(tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = f'echo "$TORCHDECK_STATUS: $TORCHDECK_TEXT" > {told}'
    process, run = live(tmp_path / "runs", "os.kill(os.getpid(), signal.SIGKILL)", command)
    process.wait()
    wait_until(lambda: told.exists() and told.read_text().endswith("\n"))
    assert told.read_text().startswith(f"died: {run.name} on ")
    assert "killed by another process (SIGKILL)" in told.read_text()
    assert "step 7" in told.read_text()


def test_a_run_that_says_how_it_ended_leaves_no_watcher_and_no_note(tmp_path: Path) -> None:
    process, run = live(tmp_path, "print(watch._watcher.pid, flush=True)")
    assert process.wait() == 0
    watcher = int((run / "engine.log").read_text())
    assert not Path(f"/proc/{watcher}").exists()
    assert not has_died(run)
    assert RunReader(run).status() == "finished"


def test_a_process_that_goes_after_its_run_has_ended_is_no_death(tmp_path: Path) -> None:
    process, run = live(
        tmp_path, "print(watch._watcher.pid, flush=True); run.close('stopped'); os.kill(os.getpid(), 9)"
    )
    process.wait()
    watcher = (run / "engine.log").read_text().strip()
    wait_until(lambda: not Path(f"/proc/{watcher}").exists())
    assert not has_died(run)


def test_the_log_of_a_run_that_prints_without_end_is_bounded(tmp_path: Path) -> None:
    process, run = live(tmp_path, "while True: print('x' * 1023)")
    try:
        wait_until(lambda: (run / "engine.log.1").exists())
        assert (run / "engine.log.1").stat().st_size <= 96 << 20
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: has_died(run))


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/sys/fs/cgroup/memory/memory.limit_in_bytes", os.W_OK),
    reason="a limit of memory needs root and the memory controller of version 1",
)
def test_a_run_that_the_kernel_ends_as_memory_runs_out_is_known_as_one(tmp_path: Path, limited: Path) -> None:
    # Of the run's process alone: the one that watches it is already there.
    join = f"open({str(limited / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
    process, run = live(tmp_path, f"time.sleep(0.5); {join}; hoard = b'x' * (1 << 30)")
    assert process.wait() == -signal.SIGKILL
    wait_until(lambda: has_died(run))
    assert "killed by the kernel because memory ran out (SIGKILL)" in why_died(run)
    assert out_of_memory_kills() > 0


@pytest.fixture
def limited() -> Iterator[Path]:
    """A group of processes that may take 64 MB together."""
    group = Path(f"/sys/fs/cgroup/memory/torchdeck-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(64 << 20))
    except OSError as error:
        pytest.skip(f"this machine lets nobody limit memory: {error}")
    yield group
    wait_until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


@pytest.mark.parametrize("is_taken", [False, True], ids=["by its parent not yet", "by its parent"])
def test_the_status_of_an_ended_process_is_known_to_others(is_taken: bool) -> None:
    process = subprocess.Popen(["sleep", "60"])
    pidfd = os.pidfd_open(process.pid)
    process.kill()
    if is_taken:
        process.wait()
    else:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    status = wait_status(pidfd, process.pid)
    os.close(pidfd)
    process.wait()
    if is_taken and status is None:
        pytest.skip("Linux before 6.15 tells only the parent")
    assert signal_and_exit_status(status) == (signal.SIGKILL, None)
