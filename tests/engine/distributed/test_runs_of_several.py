"""One run of several processes, started through torchrun: the same result as one process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from several_processes import (
    MLP,
    SHARDS,
    alone,
    ended,
    have_same_bits,
    several,
    slowed,
    steps_of,
    wait_for,
    weights_of,
)

from torchdeck.engine.launching.launched_ranks import launch_ranks_resumed
from torchdeck.engine.runs.control import send
from torchdeck.engine.runs.rank_states import read_ranks
from torchdeck.engine.runs.reader import RunReader

COUNTED = ("accuracy", "top_k", "macro_f1", "weighted_f1", "macro_precision", "macro_recall")


def test_two_processes_take_the_steps_of_one_and_measure_the_same(tmp_path: Path) -> None:
    one = alone(tmp_path / "one", *MLP)
    two = ended(several(tmp_path / "two", 2, *MLP))
    assert two.status() == "finished"
    records = list(zip(one.epoch_records(), two.epoch_records(), strict=True))
    assert len(records) == 3
    for first, second in records:
        assert first["step"] == second["step"]
        assert [first["validation"][name] for name in COUNTED] == [second["validation"][name] for name in COUNTED]
        assert first["validation"]["loss"] == pytest.approx(second["validation"]["loss"], rel=1e-5)
        assert first["train"]["accuracy"] == second["train"]["accuracy"]
        assert first["train"]["loss"] == pytest.approx(second["train"]["loss"], rel=1e-5)
    for name, weight in weights_of(one).items():
        # Adam makes as much of the last bit of a gradient near 0 as of any other.
        assert float((weights_of(two)[name] - weight).norm() / weight.norm()) < 1e-4
    assert one.series("train/loss")[0].tolist() == two.series("train/loss")[0].tolist()
    assert [state["rank"] for state in read_ranks(two.path)] == [0, 1]
    assert (two.path / "ranks" / "1.log").is_file()
    notes = [event["text"] for event in two.events() if event["kind"] == "note"]
    assert "2 processes: batch 64 in all, 32 samples each" in notes


def test_exact_shards_have_the_same_bits_on_one_two_and_four_processes(tmp_path: Path) -> None:
    one = alone(tmp_path / "one", *SHARDS, "loader.batch_size=60", "loss.class_weights='balanced'")
    for processes in (2, 4):
        reader = ended(
            several(
                tmp_path / str(processes), processes, *SHARDS, "loader.batch_size=60", "loss.class_weights='balanced'"
            )
        )
        assert have_same_bits(one, reader)
        assert [record["validation"]["loss"] for record in one.epoch_records()] == [
            record["validation"]["loss"] for record in reader.epoch_records()
        ]


def test_commands_reach_all_and_a_stopped_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    settings = (*SHARDS, slowed(tmp_path, 0.05))
    unbroken = alone(tmp_path / "one", *SHARDS)
    run = several(tmp_path / "two", 2, *settings)
    path = wait_for(run, lambda path: steps_of(path) >= 5)
    assert send(path, {"cmd": "pause"})["ok"]
    wait_for(run, lambda path: RunReader(path).status() == "paused")
    assert send(path, {"cmd": "resume"})["ok"]
    wait_for(run, lambda path: RunReader(path).status() == "running")
    # A signal may reach any of them, and twice.
    second = next(state["pid"] for state in read_ranks(path) if state["rank"] == 1)
    os.kill(second, signal.SIGTERM)
    os.kill(second, signal.SIGTERM)
    stopped = ended(run)
    assert stopped.status() == "stopped" and stopped.progress().step < unbroken.progress().step
    resumed = launch_ranks_resumed(path, overrides=("parallel.processes=4",))
    wait_for(resumed, lambda path: steps_of(path) > stopped.progress().step)
    resumed.stop()
    assert ended(resumed).status() == "stopped"
    last = ended(launch_ranks_resumed(path, overrides=("parallel.processes=1", "callbacks=[]")))
    assert last.status() == "finished"
    assert have_same_bits(unbroken, last)


def test_a_config_that_is_refused_is_said_once_and_makes_no_run(tmp_path: Path) -> None:
    run = several(tmp_path / "runs", 2, *MLP, "loader.batch_size=63")
    while run.is_alive:
        run.join(0.1)
    assert run.path is None and "nearest: 62 or 64" in str(run.error)
    assert not (tmp_path / "runs").exists()


def test_code_that_fails_on_one_process_ends_the_run_with_its_words(tmp_path: Path) -> None:
    code = tmp_path / "loss.py"
    code.write_text(
        "import os, torch\n"
        "calls = 0\n"
        "def loss(outputs, targets):\n"
        "    global calls\n"
        "    calls += len(targets) > 8\n"
        "    if calls == 9 and os.environ['RANK'] == '1':\n"
        "        raise ValueError('the ninth batch is bad')\n"
        "    return torch.nn.functional.cross_entropy(outputs, targets)\n"
    )
    run = several(tmp_path / "runs", 2, *MLP, f"loss.name={code}:loss")
    reader = ended(run)
    assert reader.status() == "failed"
    assert "process 1: " in str(run.error) and "the ninth batch is bad" in str(run.error)
    assert [event["kind"] for event in reader.events()].count("resumed_from") <= 1


def test_a_run_of_one_process_needs_no_torch_distributed(tmp_path: Path) -> None:
    code = (
        "import sys, torch, torchvision\n"
        "before = set(sys.modules)\n"
        "import torchdeck\n"
        f"torchdeck.train('digits', runs={str(tmp_path)!r}, **{{'training.epochs': 1, 'training.device': 'cpu'}})\n"
        "print([name for name in set(sys.modules) - before if name.startswith('torch.distributed')])\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
