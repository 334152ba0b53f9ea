"""Worker processes: they change no bit, are told from one another, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import psutil
import pytest
import torch
from data_cases import component, digits, open_and_build, run_config, same

from torchdeck.engine.data.loading.batch_loader import BatchLoader
from torchdeck.engine.data.loading.workers import WorkerLoader
from torchdeck.engine.errors import DataError

JITTERED = [component("RandomRotation", degrees=20, expand=True), component("Resize", size=[8, 8])]


@pytest.fixture(scope="module")
def with_two() -> BatchLoader:
    return digits(train_transforms=JITTERED, loader={"num_workers": 2, "batch_size": 300})


@pytest.fixture(scope="module")
def without() -> BatchLoader:
    return digits(train_transforms=JITTERED, loader={"num_workers": 0, "batch_size": 300})


def without_workers(batch_size: int) -> BatchLoader:
    return digits(train_transforms=JITTERED, loader={"num_workers": 0, "batch_size": batch_size})


class TestWorkerProcesses:
    def test_they_change_no_bit(self, with_two: BatchLoader, without: BatchLoader) -> None:
        assert same(list(with_two.batches(2)), list(without.batches(2)))

    def test_an_epoch_given_up_half_way_leaves_nothing_behind(
        self, with_two: BatchLoader, without: BatchLoader
    ) -> None:
        for _ in islice(with_two.batches(0), 2):
            pass
        assert same(list(with_two.batches(1, 3)), list(without.batches(1, 3)))

    def test_they_leave_the_global_generator_alone(self, with_two: BatchLoader) -> None:
        before = torch.get_rng_state()
        list(with_two.batches(0))
        assert torch.equal(before, torch.get_rng_state())

    def test_they_outlive_what_is_sent_to_the_whole_group(self, with_two: BatchLoader, without: BatchLoader) -> None:
        list(with_two.batches(0))
        for pid in worker_pids(with_two):
            for number in (
                signal.SIGINT,
                signal.SIGQUIT,
                signal.SIGHUP,
                signal.SIGUSR1,
                signal.SIGUSR2,
                signal.SIGALRM,
                signal.SIGXCPU,
            ):
                os.kill(pid, number)
        assert same(list(with_two.batches(1)), list(without.batches(1)))

    def test_sigterm_ends_them_only_if_the_engine_sends_it(self) -> None:
        options = {"num_workers": 2, "batch_size": 64}
        loader, alone = digits(train_transforms=JITTERED, loader=options), without_workers(64)
        list(loader.batches(0))
        workers = [psutil.Process(pid) for pid in worker_pids(loader)]
        server = workers[0].ppid()
        subprocess.run(["kill", "-TERM", *(str(worker.pid) for worker in workers), str(server)], check=True)
        assert same(list(loader.batches(1)), list(alone.batches(1)))
        assert [worker.pid for worker in workers] == worker_pids(loader)
        for worker in workers:
            os.kill(worker.pid, signal.SIGTERM)
        assert psutil.wait_procs(workers, timeout=90)[1] == []

    def test_a_killed_one_is_noticed_with_advice(self) -> None:
        loader = digits(train_transforms=JITTERED, loader={"num_workers": 1, "batch_size": 16})
        batches = loader.batches(0)
        next(batches)
        pid = worker_pids(loader)[0]
        os.kill(pid, signal.SIGKILL)
        named = rf"died: worker 0 \(process {pid}\) was killed by SIGKILL. .*loader.num_workers = 0"
        with pytest.raises(DataError, match=named):
            list(batches)

    def test_one_that_is_killed_at_work_is_noticed_from_a_thread_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "slow.py").write_text(STANDS_STILL)
        options = {"num_workers": 2, "batch_size": 2, "shuffle": False}
        config = run_config(dataset=f"{tmp_path}/slow.py:make", storage="loader", loader=options)
        loader = open_and_build(config)[1].train
        batches = loader.batches(0)
        next(batches)
        pids, noticed = worker_pids(loader), []

        def wait() -> None:
            try:
                next(batches)
            except DataError as error:
                noticed.append((time.monotonic(), str(error)))

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
        killed = time.monotonic()
        os.kill(pids[1], signal.SIGKILL)
        thread.join()
        ((when, message),) = noticed
        # Looked after four times per second; 5 seconds is what torch takes by itself.
        assert when - killed < 4
        assert f"worker 1 (process {pids[1]}) was killed by SIGKILL" in message

    @pytest.mark.parametrize(("number", "advice"), [("SIGBUS", "/dev/shm is full"), ("SIGSEGV", "the run's log")])
    def test_the_advice_fits_the_signal(self, number: str, advice: str) -> None:
        loader = digits(train_transforms=JITTERED, loader={"num_workers": 1, "batch_size": 16})
        batches = loader.batches(0)
        next(batches)
        os.kill(worker_pids(loader)[0], signal.Signals[number])
        with pytest.raises(DataError, match=rf"was killed by {number}\. .*{advice}"):
            list(batches)

    def test_a_batch_larger_than_the_shared_memory_is_named_with_the_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "large.py").write_text(LARGE)
        script = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "from data_cases import open_and_build, run_config\n"
            "options = {'num_workers': 2, 'batch_size': 16}\n"
            f"config = run_config(dataset='{tmp_path}/large.py:make', storage='loader', loader=options)\n"
            "list(open_and_build(config)[1].train.batches(0))\n"
        )
        mounted = 'mount -t tmpfs -o size=8m tmpfs /dev/shm || exit 77; exec "$0" -c "$1"'
        command = ["unshare", "-m", "sh", "-c", mounted, sys.executable, script]
        root = str(Path(__file__).parents[3])
        try:
            ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root})
        except FileNotFoundError:
            pytest.skip("needs unshare")
        if ended.returncode == 77 or "unshare failed" in ended.stderr:
            pytest.skip("a small /dev/shm can't be mounted here")
        said = ended.stderr.rpartition("DataError: ")[2]
        assert (
            "can't hand over a batch of 12.6 MB" in said and "/dev/shm, through which batches go, has 8.4 MB" in said
        )
        assert "docker run --shm-size" in said and "loader.num_workers" in said

    def test_a_batch_that_can_not_be_handed_over_ends_the_wait(self, tmp_path: Path) -> None:
        (tmp_path / "many.py").write_text(MANY_PARTS)
        options = {"num_workers": 1, "batch_size": 2, "worker_init": f"{tmp_path}/many.py:few_files"}
        config = run_config(dataset=f"{tmp_path}/many.py:make", storage="loader", loader=options)
        with pytest.raises(DataError, match=r"can't hand over a batch of .*Too many open files"):
            list(open_and_build(config)[1].train.batches(0))

    def test_prints_go_where_the_engine_s_own_go_now(self, tmp_path: Path) -> None:
        (tmp_path / "talks.py").write_text(TALKS)
        kept = os.dup(1)
        try:
            for number in range(2):
                log = os.open(tmp_path / f"{number}.log", os.O_CREAT | os.O_WRONLY)
                os.dup2(log, 1)
                os.close(log)
                options = {"num_workers": 1, "persistent_workers": False}
                config = run_config(dataset=f"{tmp_path}/talks.py:make", storage="loader", loader=options)
                list(open_and_build(config)[1].train.batches(0))
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        assert [(tmp_path / f"{number}.log").read_text().count("read in a worker") for number in range(2)] == [4, 4]


STANDS_STILL = """
import time
import torch

class Slow:
    targets = [0, 1] * 10

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index >= 2 and torch.utils.data.get_worker_info():
            time.sleep(60)
        return torch.zeros(3, 4, 4, dtype=torch.uint8), index % 2

def make():
    return {"train": Slow(), "test": Slow()}
"""

LARGE = """
import torch

class Large:
    targets = [0, 1] * 40

    def __len__(self):
        return 80

    def __getitem__(self, index):
        return torch.full((3, 256, 256), float(index)), index % 2

def make():
    return {"train": Large(), "test": Large()}
"""

MANY_PARTS = """
import resource
import torch

class Parts:
    targets = [0, 1] * 4

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {str(number): torch.zeros(4) for number in range(200)}, index % 2

def make():
    return {"train": Parts(), "test": Parts()}

def few_files(worker):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
"""

TALKS = """
import torch

class Talks:
    targets = [0, 1, 0, 1]

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if torch.utils.data.get_worker_info():
            print("read in a worker", flush=True)
        return torch.zeros(3, 4, 4, dtype=torch.uint8), index % 2

def make():
    return {"train": Talks(), "test": Talks()}
"""


def worker_pids(loader: BatchLoader) -> list[int]:
    assert isinstance(loader, WorkerLoader) and loader._loader is not None
    return [worker.pid for worker in loader._loader._iterator._workers]


def test_no_worker_process_is_left_when_a_loader_is_gone() -> None:
    loader = digits(train_transforms=JITTERED, loader={"num_workers": 1, "batch_size": 500})
    list(loader.batches(0))
    processes = [psutil.Process(pid) for pid in worker_pids(loader)]
    del loader
    assert psutil.wait_procs(processes, timeout=90)[1] == []
