"""The parent process, with real processes: it passes on the child's exit status and returns the shell's prompt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys, time
from torchdeck.tui.process.parent import run_behind_parent

def main(parent):
    {body}

sys.exit(run_behind_parent(main))
"""


def start(body: str, **options: object) -> subprocess.Popen[str]:
    indented = body.replace("\n", "\n    ")
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=indented)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def state_of(pid: int) -> str:
    """The process state letter of /proc, or "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_passes_on_the_exit_status(status: int) -> None:
    process = start(f"return {status}")
    process.communicate(timeout=90)
    assert process.returncode == status


def test_passes_on_the_status_of_sys_exit() -> None:
    process = start("sys.exit(7)")
    process.communicate(timeout=90)
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_child_killed_by_a_signal_gives_128_plus_its_number(number: signal.Signals) -> None:
    body = f"signal.signal({signal.SIGINT:d}, signal.SIG_DFL)\nos.kill(os.getpid(), {number:d})\ntime.sleep(60)"
    process = start(body)
    process.communicate(timeout=90)
    assert process.returncode == 128 + number


def test_an_exception_in_the_child_is_shown_and_gives_one() -> None:
    process = start("raise ValueError('no such thing')")
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 1
    assert errors.endswith("\nValueError: no such thing\n") and errors.count("\nValueError") == 1


def test_a_descendant_that_holds_the_pipe_does_not_keep_the_parent_waiting() -> None:
    process = start("pid = os.fork()\nif not pid:\n    time.sleep(60)\nprint(pid, flush=True)\nos._exit(5)")
    assert process.stdout is not None
    descendant = int(process.stdout.readline())
    assert process.wait(timeout=90) == 5
    os.kill(descendant, signal.SIGKILL)


def test_detach_prints_the_message_and_gives_the_shell_back_while_the_child_lives_on(tmp_path: Path) -> None:
    log, done = tmp_path / "engine.log", tmp_path / "done"
    body = f"""
print("before", flush=True)
parent.detach("run r1 goes on", {str(log)!r})
print("after", flush=True)
print("error", file=sys.stderr, flush=True)
time.sleep(0.5)
open({str(done)!r}, "w").write(f"{{os.getsid(0) == os.getpid()}} {{os.readlink('/proc/self/fd/0')}}")
return 3"""
    process = start(body)
    output, errors = process.communicate(timeout=90)
    assert process.returncode == 0
    assert output == "before\n"
    assert errors == "run r1 goes on\n"
    wait_until(lambda: done.exists() and bool(done.read_text()))
    assert done.read_text() == "True /dev/null"
    assert log.read_text() == "after\nerror\n"


def test_detach_after_the_parent_died_still_leaves_the_terminal(tmp_path: Path) -> None:
    done = tmp_path / "done"
    body = f"""
print("ready", flush=True)
while os.getppid() == os.getpgid(0): time.sleep(0.02)
parent.detach("nobody reads this")
open({str(done)!r}, "w").write(str(os.getsid(0) == os.getpid()))
return 0"""
    process = start(body)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    wait_until(lambda: done.exists() and bool(done.read_text()))
    assert done.read_text() == "True"


def test_a_log_that_cannot_be_opened_leaves_everything_as_it_was(tmp_path: Path) -> None:
    body = f"""
try: parent.detach("gone", {str(tmp_path / "missing" / "engine.log")!r})
except FileNotFoundError: print("still here", parent.is_detached)
return 4"""
    process = start(body)
    output, errors = process.communicate(timeout=90)
    assert (process.returncode, output, errors) == (4, "still here False\n", "")


def test_ctrl_c_is_the_childs_business() -> None:
    body = """
def stop(*_): print("asked to stop", flush=True); os._exit(130)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
time.sleep(60)"""
    process = start(body)
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    assert (process.returncode, output) == (130, "asked to stop\n")


def test_sigterm_to_the_parent_reaches_the_child() -> None:
    body = """
def stop(*_): print("saved", flush=True); sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)"""
    process = start(body)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    output, _ = process.communicate(timeout=90)
    assert (process.returncode, output) == (143, "saved\n")


def test_the_parent_stops_and_goes_on_with_the_child() -> None:
    process = start("os.kill(os.getpid(), signal.SIGSTOP)\nprint('on again', flush=True)\nreturn 6")
    wait_until(lambda: state_of(process.pid) == "T")
    os.killpg(process.pid, signal.SIGCONT)
    output, _ = process.communicate(timeout=90)
    assert (process.returncode, output) == (6, "on again\n")


def test_a_hang_up_ends_the_parent_only(tmp_path: Path) -> None:
    done = tmp_path / "done"
    body = f"""
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(0.5)
open({str(done)!r}, "w").write("done")
return 0"""
    process = start(body)
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(timeout=90) == -signal.SIGHUP
    wait_until(done.exists)


def test_the_module_imports_nothing_heavy() -> None:
    program = "import sys; before = set(sys.modules)\n"
    program += "import torchdeck.tui.process.parent; print(*(set(sys.modules) - before))"
    output = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        check=True,
    ).stdout
    heavy = {"torch", "numpy", "textual", "rich", "asyncio", "threading", "typing", "pathlib", "engine"}
    assert not heavy & set(output.split())
