import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from torchdeck.engine.errors import ConfigError, DataError
from torchdeck.tui.process import worker_process as worker_module
from torchdeck.tui.process.worker_process import WorkerError, WorkerProcess, python_command
from torchdeck.tui.words.worker_text import ended_words


@pytest.fixture
def as_the_studio_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a new process, not a fork of one that has torch imported already."""
    monkeypatch.setattr(worker_module, "python_command", python_command)


@pytest.mark.usefixtures("as_the_studio_starts_it")
async def test_a_function_runs_in_another_process() -> None:
    worker = WorkerProcess()
    try:
        pid = await worker.call("os:getpid")
        assert pid == worker.pid != os.getpid()
    finally:
        await worker.close()


async def test_an_error_of_ours_comes_back_as_itself() -> None:
    worker = WorkerProcess()
    try:
        with pytest.raises(ConfigError, match="no such preset"):
            await worker.call("torchdeck.engine.config.file:load_config", "nonesuch")
    finally:
        await worker.close()


async def test_a_process_that_dies_is_told_and_the_next_call_gets_a_new_one() -> None:
    worker = WorkerProcess()
    try:
        before = await worker.call("os:getpid")
        with pytest.raises(WorkerError, match="exit status 7"):
            await worker.call("os:_exit", 7)
        assert await worker.call("os:getpid") != before
    finally:
        await worker.close()


async def test_a_process_that_the_system_kills_names_the_signal_and_the_likeliest_reason() -> None:
    worker = WorkerProcess()
    try:
        with pytest.raises(WorkerError) as killed:
            await worker.call("signal:raise_signal", signal.SIGKILL)
        assert killed.value.signal == signal.SIGKILL
        assert ended_words(killed.value, "try less").endswith("for using too much memory; try less")
        with pytest.raises(WorkerError) as ended:
            await worker.call("os:_exit", 7)
        assert (ended.value.signal, ended_words(ended.value)) == (0, str(ended.value))
    finally:
        await worker.close()
    # A message about another process is no reason to guess.
    assert ended_words(ConfigError("a rank got SIGKILL")) == "a rank got SIGKILL"


async def test_what_the_function_prints_does_not_disturb_the_answers(capfd: pytest.CaptureFixture[str]) -> None:
    worker = WorkerProcess()
    try:
        assert await worker.call("builtins:print", "hello from aside") is None
        assert await worker.call("builtins:len", [1, 2]) == 2
    finally:
        await worker.close()
    assert "hello from aside" in capfd.readouterr().err


async def test_an_abandoned_call_does_not_cost_the_process_and_its_answer_is_not_taken_for_the_next_ones() -> None:
    worker = WorkerProcess()
    try:
        pid = await worker.call("os:getpid")
        abandoned = asyncio.create_task(worker.call("time:sleep", 0.3))
        await asyncio.sleep(0.1)
        abandoned.cancel()
        assert await worker.call("builtins:len", [1, 2, 3]) == 3
        assert await worker.call("os:getpid") == pid
    finally:
        await worker.close()


async def test_an_abandoned_call_that_hangs_ends_its_process_and_the_next_call_gets_a_new_one() -> None:
    worker = WorkerProcess()
    try:
        pid = await worker.call("os:getpid")
        abandoned = asyncio.create_task(worker.call("time:sleep", 600))
        await asyncio.sleep(0.1)
        abandoned.cancel()
        assert await worker.call("os:getpid") != pid
    finally:
        await worker.close()


async def test_any_other_exception_comes_back_with_its_type() -> None:
    worker = WorkerProcess()
    try:
        with pytest.raises(WorkerError, match="ZeroDivisionError"):
            await worker.call("operator:truediv", 1, 0)
        with pytest.raises(WorkerError, match="no_such_function"):
            await worker.call("os:no_such_function")
    finally:
        await worker.close()


def processes_beside() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "torchdeck.tui.process.worker_process" in " ".join(child.cmdline())
    ]


@pytest.mark.usefixtures("as_the_studio_starts_it")
async def test_a_call_that_waited_for_the_start_and_the_start_itself_share_one_process() -> None:
    worker = WorkerProcess(is_held=True)
    waiting = asyncio.create_task(worker.call("os:getpid"))
    await asyncio.sleep(0)
    assert processes_beside() == []
    await worker.start()
    assert await waiting == worker.pid
    assert [process.pid for process in processes_beside()] == [worker.pid]
    await worker.close()
    assert processes_beside() == []


@pytest.mark.usefixtures("as_the_studio_starts_it")
async def test_a_start_that_is_under_way_when_the_studio_is_left_leaves_no_process() -> None:
    worker = WorkerProcess()
    starting = asyncio.create_task(worker.start())
    await asyncio.sleep(0)
    await worker.close()
    await asyncio.gather(starting, return_exceptions=True)
    assert processes_beside() == []
    with pytest.raises(WorkerError, match="closed"):
        await worker.call("os:getpid")


@pytest.mark.usefixtures("as_the_studio_starts_it")
async def test_a_process_that_can_not_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(WorkerError, match=r"can't be started.*/nonexistent/python"):
        await WorkerProcess().call("os:getpid")


async def test_what_is_printed_goes_into_the_log_wherever_descriptor_2_points(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "own.log"
    log.write_text("before\n")
    worker = WorkerProcess(log)
    try:
        await worker.call("builtins:print", "hello from aside")
    finally:
        await worker.close()
    assert log.read_text() == "before\nhello from aside\n"
    assert "hello" not in capfd.readouterr().err


@pytest.mark.parametrize("path", ["", str(Path(__file__).parents[3])])
def test_modules_of_ours_are_not_taken_from_the_working_folder(tmp_path: Path, path: str) -> None:
    for name in ("engine.py", "tui/__init__.py", "tui/aside.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('hostile')\n")
    program = (
        "import asyncio\n"
        "from torchdeck.tui.process.worker_process import WorkerProcess\n"
        "async def ask():\n"
        "    worker = WorkerProcess()\n"
        "    try:\n"
        "        print(await worker.call('torchdeck.engine.errors:did_you_mean', 'cnm', ['cnn']))\n"
        "    finally:\n"
        "        await worker.close()\n"
        "asyncio.run(ask())\n"
    )
    command = [sys.executable, "-P", "-c", program]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert "cnn" in done.stdout, done.stderr


SLOW = """
import time
from pathlib import Path

def count(total, mark, progress):
    for done in range(total):
        progress("counting", done, total)
        time.sleep(0.02)
    Path(mark).write_text("done")
    return total

def deaf(progress):
    time.sleep(600)

def stubborn(progress):
    caught = 0
    while True:
        try:
            progress("on", caught, 0)
        except Exception:
            # As user code may do. JobStopped is not an Exception, so it passes through.
            caught += 1

def failing(error, progress):
    from torchdeck.engine.errors import DataError
    raise DataError("file 7 is torn") if error == "ours" else KeyError("seven")
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "slow_functions.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    return tmp_path / "mark"


async def test_long_work_tells_how_far_it_is_and_lets_other_calls_through(slow: Path) -> None:
    worker, seen = WorkerProcess(), []
    try:
        job = asyncio.create_task(
            worker.follow("slow_functions:count", 40, str(slow), on_progress=lambda *progress: seen.append(progress))
        )
        while not seen:
            await asyncio.sleep(0.02)
        assert await worker.call("builtins:len", [1, 2]) == 2
        assert not job.done()
        assert await job == 40
    finally:
        await worker.close()
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})
    assert {(what, total) for what, _, total in seen} == {("counting", 40)}


@pytest.mark.parametrize("function", ["count", "stubborn"])
async def test_long_work_that_is_cancelled_ends_where_it_reports_progress(slow: Path, function: str) -> None:
    worker = WorkerProcess()
    try:
        pid = await worker.call("os:getpid")
        arguments = (200, str(slow)) if function == "count" else ()
        job = asyncio.create_task(
            worker.follow(f"slow_functions:{function}", *arguments, on_progress=lambda *progress: None)
        )
        await asyncio.sleep(0.3)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        while await worker.call("threading:active_count") > 1:
            await asyncio.sleep(0.02)
        assert await worker.call("os:getpid") == pid
        assert not slow.exists()
    finally:
        await worker.close()


async def test_long_work_that_does_not_end_when_cancelled_ends_with_its_process(slow: Path) -> None:
    worker = WorkerProcess()
    try:
        pid = await worker.call("os:getpid")
        job = asyncio.create_task(worker.follow("slow_functions:deaf", on_progress=lambda *progress: None))
        await asyncio.sleep(0.3)
        job.cancel()
        while await worker.call("os:getpid") == pid:
            await asyncio.sleep(0.1)
    finally:
        await worker.close()


@pytest.mark.parametrize(("kind", "words"), [("ours", "file 7 is torn"), ("any", "KeyError: 'seven'")])
async def test_what_long_work_raises_comes_back(slow: Path, kind: str, words: str) -> None:
    worker = WorkerProcess()
    try:
        with pytest.raises(DataError if kind == "ours" else WorkerError, match=words):
            await worker.follow("slow_functions:failing", kind, on_progress=lambda *progress: None)
    finally:
        await worker.close()


async def test_long_work_whose_process_dies_says_so(slow: Path) -> None:
    worker = WorkerProcess()
    try:
        job = asyncio.create_task(
            worker.follow("slow_functions:count", 500, str(slow), on_progress=lambda *progress: None)
        )
        await asyncio.sleep(0.3)
        with pytest.raises(WorkerError):
            await worker.call("os:_exit", 3)
        with pytest.raises(WorkerError):
            await job
    finally:
        await worker.close()
