"""One process owns a run, the kernel knows which, and nobody does the moment it is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from campaign import is_full_campaign

from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.on_disk.directory import owner_pid
from torchdeck.engine.runs.on_disk.lock import LOCK_FILE, acquire

OWNER = """
import sys, time
from pathlib import Path
from torchdeck.engine.runs.on_disk.lock import acquire
acquire(Path(sys.argv[1]))
print("owned", flush=True)
time.sleep(60)
"""


@contextmanager
def another_owner(run: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(run)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nobody_owns_a_run_without_a_lock_file(tmp_path: Path) -> None:
    assert owner_pid(tmp_path) is None
    assert not (tmp_path / LOCK_FILE).exists()


def test_the_owner_finds_itself_without_losing_the_lock(tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    for _ in range(3):
        assert owner_pid(tmp_path) == os.getpid()
    # Opening and closing the file here would have dropped the lock; another process tells.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(owner_pid, tmp_path).result() == os.getpid()
    lock.release()
    assert owner_pid(tmp_path) is None


def test_a_second_owner_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    with another_owner(tmp_path) as process:
        assert owner_pid(tmp_path) == process.pid
        with pytest.raises(RunError, match=f"trained by process {process.pid}"):
            acquire(tmp_path)


def test_the_same_process_is_refused_a_second_lock_and_keeps_the_first(tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    with pytest.raises(RunError, match="by this process"):
        acquire(tmp_path)
    assert owner_pid(tmp_path) == os.getpid()
    lock.release()
    lock.release()
    acquire(tmp_path).release()


def test_a_killed_owner_owns_nothing(tmp_path: Path) -> None:
    with another_owner(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert owner_pid(tmp_path) is None
        acquire(tmp_path).release()


def test_a_forked_child_does_not_own_its_parents_run(tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write_end, str(owner_pid(tmp_path)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read_end, 100)) == os.getpid()
    assert owner_pid(tmp_path) == os.getpid()
    lock.release()
    os.close(read_end)
    os.close(write_end)


def test_children_that_outlive_a_killed_owner_keep_nothing(tmp_path: Path) -> None:
    script = """
import os, sys, time
from pathlib import Path
from torchdeck.engine.runs.on_disk.lock import acquire
acquire(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    time.sleep(60)
print(child, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        assert owner_pid(tmp_path) == process.pid
        process.kill()
        process.wait()
        os.kill(child, 0)
        assert owner_pid(tmp_path) is None
        acquire(tmp_path).release()
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


def test_a_lock_survives_the_renaming_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    lock = acquire(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert owner_pid(tmp_path / "after") == os.getpid()
    lock.release()


def test_looking_from_many_threads_never_drops_a_lock(tmp_path: Path) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            owner_pid(tmp_path)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        # Not a Pool, which waits for ever for a process that was killed.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            for _ in range(20):
                lock = acquire(tmp_path)
                assert pool.submit(owner_pid, tmp_path).result() == os.getpid()
                lock.release()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_symbolic_link_in_place_of_the_lock_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "elsewhere")
    assert owner_pid(tmp_path) is None
    with pytest.raises(OSError, match="symbolic links"):
        acquire(tmp_path)


RACE = """
import os, sys
from pathlib import Path
from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.on_disk.lock import acquire

run, processes = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(int(sys.argv[3])):
    (start, starter), (answer, answerer), (end, ender) = os.pipe(), os.pipe(), os.pipe()
    for _ in range(processes):
        if os.fork() == 0:
            os.close(starter), os.close(ender)
            os.read(start, 1)
            try:
                acquire(run)
                os.write(answerer, b"1")
            except RunError:
                os.write(answerer, b"0")
            # The winner keeps the run until everybody has tried.
            os.read(end, 1)
            os._exit(0)
    os.write(starter, b"x" * processes)
    answers = b""
    while len(answers) < processes:
        answers += os.read(answer, processes)
    print(answers.count(b"1"))
    for descriptor in (start, starter, answer, answerer, end, ender):
        os.close(descriptor)
    for _ in range(processes):
        os.wait()
"""


@pytest.mark.campaign
def test_of_many_that_start_at_once_exactly_one_owns_the_run(tmp_path: Path) -> None:
    races = 1000 if is_full_campaign() else 250
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(tmp_path), "4", str(races)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1"] * races
