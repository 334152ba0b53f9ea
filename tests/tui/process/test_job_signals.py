"""Signals of a batch system to real processes: SLURM's requeue, and a stop while waiting for a batch."""

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch
from campaign import is_full_campaign
from warm_python import warm_python

from torchdeck.engine.runs.reader import RunReader

ROOT = Path(__file__).parents[3]


# Torchdeck, which takes a run that was told to stop for a hanging one after a short time.
IMPATIENT = """
import sys

from torchdeck.engine.launching import launched_run
from torchdeck.tui.cli import main

launched_run.STALL_SECONDS = 1.0
sys.exit(main())
"""


def started(
    runs: Path, *arguments: str, program: tuple[str, str] = ("-m", "torchdeck"), **environment: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*warm_python(), *program, "train", *arguments, "--runs", str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def read_until(process: subprocess.Popen[str], beginning: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return line
    raise AssertionError(f"never said {beginning}: {process.communicate()[1]}")


def read_run(process: subprocess.Popen[str]) -> Path:
    return Path(read_until(process, "run ").split(" ", 1)[1].strip())


def test_sigusr1_saves_and_requeues_the_job_whose_next_life_goes_on_with_the_run(tmp_path: Path) -> None:
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n', encoding="utf-8")
    scontrol.chmod(0o755)
    arguments = ["digits", "--set", "checkpoint.requeue=true", "--set", "training.epochs=400"]
    job = {"PATH": f"{scontrol.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "4711", "SLURM_RESTART_COUNT": "0"}
    first = started(tmp_path / "runs", *arguments, **job)
    read_until(first, "epoch")
    first.send_signal(signal.SIGUSR1)
    _, errors = first.communicate(timeout=300)
    assert first.returncode == 128 + signal.SIGUSR1
    assert "job 4711 was requeued" in errors
    assert (tmp_path / "called").read_text() == "requeue 4711\n"
    second = started(tmp_path / "runs", *arguments, **{**job, "SLURM_RESTART_COUNT": "1"})
    assert "bit-exact" in read_until(second, "resumed from")
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=300)
    assert second.returncode == 128 + signal.SIGTERM
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["slurm_job"] == "4711"
    assert (tmp_path / "called").read_text() == "requeue 4711\n"


@pytest.mark.parametrize("place", ["opening", "decoding"])
def test_a_stop_ends_a_preparation_in_code_that_never_returns(tmp_path: Path, place: str) -> None:
    (tmp_path / "hangs.py").write_text(
        "import threading, numpy as np\n"
        f"def hang():\n    open('{tmp_path}/hanging', 'w').close()\n    threading.Event().wait()\n"
        "class Part:\n"
        "    classes = ['a', 'b']\n"
        "    targets = [0, 1] * 100\n"
        "    reads = 0\n"
        "    def __len__(self):\n        return 200\n"
        "    def __getitem__(self, index):\n"
        "        self.reads += 1\n"
        "        if self.reads > 150:\n            hang()\n"
        "        return np.full((8, 8, 1), index, np.uint8), index % 2\n"
        f"def make():\n    {'hang()' if place == 'opening' else 'pass'}\n    return Part()\n",
        encoding="utf-8",
    )
    sets = [f"data.dataset={tmp_path}/hangs.py:make", "data.storage=memory", "model.name=mlp"]
    sets += ["data.train_transforms=[]", "data.eval_transforms=[]"]
    words = [word for key in sets for word in ("--set", key)]
    process = started(tmp_path / "runs", "digits", *words, program=("-c", IMPATIENT))
    while not (tmp_path / "hanging").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    runs = list((tmp_path / "runs").iterdir()) if place == "decoding" else []
    assert [RunReader(run).status() for run in runs] == ["stopped"] * (place == "decoding")


@pytest.mark.parametrize("place", ["training", "the evaluation of the average"])
def test_a_stop_while_no_batch_comes_saves_the_last_step_and_ends_the_process(tmp_path: Path, place: str) -> None:
    (tmp_path / "hangs.py").write_text(
        "import threading, numpy as np\n"
        "class Part:\n"
        "    classes = ['a', 'b']\n"
        "    targets = [0, 1] * 40\n"
        "    def __init__(self, hangs_at):\n        self.last, self.hangs_at = 0, hangs_at\n"
        "    def __len__(self):\n        return 80\n"
        "    def __getitem__(self, index):\n"
        "        self.last += index == 79\n"
        "        if self.last == self.hangs_at:\n"
        "            print('hangs', flush=True)\n            threading.Event().wait()\n"
        "        return np.full((8, 8, 1), index, np.uint8), index % 2\n"
        f"def make(train):\n    return Part({(2, -1) if place == 'training' else (-1, 2)}[not train])\n",
        encoding="utf-8",
    )
    sets = [f"data.dataset={tmp_path}/hangs.py:make", "data.storage=loader", "loader.batch_size=10", "model.name=mlp"]
    sets += ["data.validation=test", "data.train_transforms=[{name='ToTensor'}]"]
    sets += ["data.eval_transforms=[{name='ToTensor'}]", "ema.decay=0.9"]
    words = [word for key in sets for word in ("--set", key)]
    process = started(tmp_path / "runs", "digits", *words, program=("-c", IMPATIENT))
    run = read_run(process)
    log = run / "engine.log"
    while not log.exists() or "hangs" not in log.read_text():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    reader = RunReader(run)
    reader.poll()
    assert reader.status() == "stopped"
    assert reader.checkpoints()[0].step == reader.progress().step > 0
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    raw, average = state["model_state_dict"], state["ema_state_dict"]
    assert not any(torch.equal(value, average[name]) for name, value in raw.items())


# tests/engine/data/test_worker_processes.py sends the others to workers alone.
@pytest.mark.parametrize("number", [signal.SIGTERM, *([signal.SIGXCPU] if is_full_campaign() else [])])
def test_a_signal_to_the_whole_group_saves_before_any_worker_ends(tmp_path: Path, number: signal.Signals) -> None:
    settings = ("data.storage='loader'", "loader.num_workers=2", "training.epochs=100000", "checkpoint.every_epochs=0")
    arguments = ["digits", *(word for setting in settings for word in ("--set", setting))]
    process = started(tmp_path / "runs", *arguments)
    run = RunReader(read_run(process))
    read_until(process, "epoch")
    os.killpg(run.owner_pid(), number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number, errors
    run.poll()
    assert run.status() == "stopped"
    assert run.checkpoints()[0].step == run.progress().step > 0
    assert "worker process" not in errors


def test_the_kernels_limit_on_processor_time_saves_first(tmp_path: Path) -> None:
    process = started(tmp_path / "runs", "digits", "--set", "training.epochs=100000")
    run = RunReader(read_run(process))
    read_until(process, "epoch")
    owner = run.owner_pid()
    used = sum(psutil.Process(owner).cpu_times()[:2])
    _, hard = resource.prlimit(owner, resource.RLIMIT_CPU)
    # The kernel looks at whole seconds, and repeats its signal every second beyond the limit.
    resource.prlimit(owner, resource.RLIMIT_CPU, (int(used) + 1, hard))
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGXCPU
    run.poll()
    assert run.status() == "stopped"
    assert run.checkpoints()[0].step == run.progress().step > 0
