"""The queue: its order, and jobs that are really trained by workers that are killed."""

import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from campaign import is_full_campaign
from trained import PERCEPTRON
from warm_python import warm_python

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.detached.file_lock import is_locked
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.agreement import agree_to_named
from torchdeck.engine.machine import python_process
from torchdeck.engine.queue.folder import Job, Queue
from torchdeck.engine.queue.slurm import slurm_script
from torchdeck.engine.runs.on_disk.directory import list_runs, owner_pid, read_info, read_state
from torchdeck.engine.runs.reader import RunReader

WORKER = """
import sys
sys.path.append({tests!r})
from torchdeck.engine.machine import python_process
command = tuple({command!r})
python_process.python_command = lambda: command
from torchdeck.tui.cli import main
sys.argv = ["torchdeck", "queue", "work", *{words!r}]
sys.exit(main())
"""


def add(queue: Queue, *overrides: str, count: int = 1, text: str = PERCEPTRON, gpus: int = 1) -> list[Job]:
    return [queue.add(parse_config(text, "case", overrides), gpus=gpus) for _ in range(count)]


def start_worker(queue: Queue, *words: str) -> "subprocess.Popen[bytes]":
    """`torchdeck queue work` in a fork of a process with torch imported, as are its runs."""
    words = (*words, "--runs", str(queue.runs_root), "--until-empty")
    code = WORKER.format(tests=str(Path(__file__).parents[2]), command=list(warm_python()), words=list(words))
    with (queue.path / "worker.log").open("ab") as log:
        return subprocess.Popen([*warm_python(), "-P", "-c", code], stdout=log, stderr=log, start_new_session=True)


def wait_until(holds: Callable[[], object], queue: Queue, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, (queue.jobs(), (queue.path / "worker.log").read_text())
        time.sleep(0.05)


def numbers(queue: Queue) -> list[int]:
    return [job.number for job in queue.waiting()]


def test_jobs_start_in_the_order_in_which_they_came_unless_they_are_moved(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    assert queue.jobs() == []
    add(queue, count=4)
    queue.move(4, 1)
    queue.move(1, 3)
    assert numbers(queue) == [4, 2, 1, 3]
    queue.move(4, 99)
    assert numbers(queue) == [2, 1, 3, 4]
    queue.remove(1)
    assert numbers(queue) == [2, 3, 4]
    assert [job.number for job in add(queue)] == [5] and numbers(queue) == [2, 3, 4, 5]


def test_what_can_not_be_done_with_a_job_says_why(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    (job,) = add(queue)
    with pytest.raises(ConfigError, match=r"job 7: there is no such job .*; there are: 1"):
        queue.remove(7)
    queue.write(Job(job.number, "case", "running", run="case-20260101-000000-abcd"))
    with pytest.raises(ConfigError, match="is training; stop it first: torchdeck send case-20260101-000000-abcd stop"):
        queue.remove(1)
    with pytest.raises(ConfigError, match="only a job that waits can be moved"):
        queue.move(1, 1)


def test_a_job_keeps_the_config_that_it_was_added_with(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    (job,) = add(queue, "optimizer.lr=0.25", "data.root=data")
    text = queue.files(job).config.read_text()
    assert "lr = 0.25" in text and f'root = "{Path.cwd()}/data"' in text


def test_waiting_jobs_become_an_array_of_slurm(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    with pytest.raises(ConfigError, match="no job waits"):
        slurm_script(queue, queue.waiting())
    add(queue, count=3, gpus=2)
    script = slurm_script(queue, queue.waiting())
    assert "#SBATCH --array=0-2" in script and "#SBATCH --gpus-per-task=2" in script
    assert script.count(".toml") == 3 and "--set checkpoint.requeue=true" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    add(queue)
    with pytest.raises(ConfigError, match="different numbers of GPUs"):
        slurm_script(queue, queue.waiting())


@pytest.mark.campaign
def test_queued_runs_never_overlap_on_a_place_and_survive_their_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_process, "python_command", warm_python)
    queue = Queue(tmp_path)
    count = 12 if is_full_campaign() else 4
    add(queue, "training.epochs=100", "evaluation.every_epochs=50", "checkpoint.every_epochs=20", count=count)
    words = ("--cpus", "2")
    worker = start_worker(queue, *words)
    kills = 0
    while worker.poll() is None:
        assert sum(is_locked(queue.files(job).lock) for job in queue.jobs()) <= 2
        # Both places are used, and their runs train: the worker dies, and one of the runs with it.
        saved = [run.path for run in list_runs(tmp_path) if any((run.path / "checkpoints").glob("step-*.pt"))]
        live = [pid for path in saved if (pid := owner_pid(path))]
        if kills < (4 if is_full_campaign() else 1) and len(live) == 2:
            worker.kill()
            worker.wait()
            kills += 1
            subprocess.run(["kill", "-KILL", str(live[0])], check=False)
            worker = start_worker(queue, *words)
        time.sleep(0.1)
    assert worker.returncode == 0 and kills
    jobs = queue.jobs()
    assert [job.state for job in jobs] == ["finished"] * count
    assert len({job.run for job in jobs}) == count == len(list_runs(tmp_path))
    for place in ("cpu 0", "cpu 1"):
        spans = sorted(_span(tmp_path / job.run) for job in jobs if job.where == place)
        assert spans and all(before[1] <= after[0] for before, after in pairwise(spans))
    assert max(job.attempts for job in jobs) > 1


def _span(run: Path) -> tuple[float, float]:
    """When the newest life of a run began and ended, in seconds since 1970."""
    reader = RunReader(run)
    reader.poll()
    begun = max(
        [read_info(run)["created"], *(event["time"] for event in reader.events() if event["kind"] == "resumed_from")]
    )
    return begun, read_state(run)["updated"]


def test_a_job_without_memory_at_its_start_is_put_back_once(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text(
        "import torch\n\nclass Big(torch.nn.Linear):\n"
        "    def forward(self, x):\n        if torch.is_grad_enabled():\n"
        "            raise torch.OutOfMemoryError('CUDA out of memory')\n"
        "        return super().forward(x.flatten(1))\n\n"
        "def model(num_classes, input_shape):\n    return Big(64, num_classes)\n"
    )
    queue = Queue(tmp_path / "runs")
    text = PERCEPTRON.replace('name = "mlp"\nhidden = [8]', f'name = "{tmp_path}/big.py:model"')
    queue.add(parse_config(text, "case"))
    agree_to_named(parse_config(text, "case"))
    assert start_worker(queue, "--cpus", "1").wait(120) == 0
    (job,) = queue.jobs()
    assert (job.state, job.out_of_memory, job.attempts) == ("failed", 1, 2), job
    assert job.error.startswith("out of memory: ")
    assert "put back once" in (queue.path / "worker.log").read_text()
    assert len(list_runs(tmp_path / "runs")) == 2


def test_a_paused_queue_starts_nothing_and_a_job_that_needs_too_much_fails_with_the_reason(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    add(queue, gpus=3)
    queue.pause()
    worker = start_worker(queue, "--cpus", "2")
    wait_until(lambda: "places for the jobs" in (queue.path / "worker.log").read_text(), queue)
    time.sleep(1.5)
    assert [job.state for job in queue.jobs()] == ["waiting"] and worker.poll() is None
    queue.pause(False)
    assert worker.wait(60) == 0
    (job,) = queue.jobs()
    assert (job.state, job.error) == ("failed", "needs 3 places, but this worker has 2")
