"""One run of several processes, started through torchrun: the same result as one process, whatever happens to it."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from campaign import is_full_campaign
from torch import Tensor

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.launching.launched_ranks import LaunchedRanks, launch_ranks, launch_ranks_resumed
from torchdeck.engine.runs.control import send
from torchdeck.engine.runs.rank_states import read_ranks
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint

WAIT_SECONDS = 300.0
COUNTED = ("accuracy", "top_k", "macro_f1", "weighted_f1", "macro_precision", "macro_recall")
SETTINGS = ("training.device=cpu", "training.num_threads=1", "training.epochs=3", "loader.batch_size=64")
MLP = ("model={name='mlp'}",)
SHARDS = ("model={name='cnn',channels=[4],convolutions=1}", "parallel.exact_shards=4")


def ended(run: LaunchedRanks) -> RunReader:
    deadline = time.monotonic() + WAIT_SECONDS
    while run.is_alive:
        assert time.monotonic() < deadline, "did not end"
        run.join(0.1)
    assert run.path is not None, run.error
    reader = RunReader(run.path)
    reader.poll()
    return reader


def several(root: Path, processes: int, *overrides: str) -> LaunchedRanks:
    return launch_ranks(load_config("digits", [*SETTINGS, *overrides, f"parallel.processes={processes}"]), root)


def alone(root: Path, *overrides: str) -> RunReader:
    run = launch(load_config("digits", [*SETTINGS, *overrides]), root)
    run.join(WAIT_SECONDS)
    assert run.path is not None and run.error is None
    reader = RunReader(run.path)
    reader.poll()
    return reader


def weights_of(reader: RunReader) -> dict[str, Tensor]:
    state: dict[str, Tensor] = load_checkpoint(reader.path / "checkpoints" / "last.pt")["model_state_dict"]
    return state


def have_same_bits(one: RunReader, other: RunReader) -> bool:
    first, second = weights_of(one), weights_of(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def wait_for(run: LaunchedRanks, condition: Callable[[Path], bool]) -> Path:
    deadline = time.monotonic() + WAIT_SECONDS
    while run.path is None or not condition(run.path):
        assert time.monotonic() < deadline and run.is_alive, "did not come"
        run.join(0.02)
    return run.path


def steps_of(path: Path) -> int:
    return min((state.get("step", 0) for state in read_ranks(path)), default=0)


def slowed(root: Path, seconds: float, *, only_rank: int = -1, raises: str = "") -> str:
    """The setting of a callback that makes every step take longer, or fails on one process."""
    code = root / "slow.py"
    code.write_text(
        f"import os, time\nclass Slow:\n    def on_step_end(self, run, loss):\n        time.sleep({seconds})\n"
    )
    return f"callbacks=['{code}:Slow']"


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


@pytest.mark.parametrize("rank", range(2) if is_full_campaign() else [1])
def test_a_killed_process_is_started_again_and_the_run_ends_with_the_bits_of_an_unbroken_one(
    tmp_path: Path, rank: int
) -> None:
    settings = (*MLP, slowed(tmp_path, 0.03), "checkpoint.every_steps=5")
    unbroken = ended(several(tmp_path / "unbroken", 2, *settings))
    run = several(tmp_path / "broken", 2, *settings)
    path = wait_for(run, lambda path: steps_of(path) >= 12)
    os.kill(next(state["pid"] for state in read_ranks(path) if state["rank"] == rank), signal.SIGKILL)
    reader = ended(run)
    assert reader.status() == "finished", run.error
    assert [event["kind"] for event in reader.events()].count("resumed_from") == 1
    assert len(list((tmp_path / "broken").iterdir())) == 1
    assert have_same_bits(unbroken, reader)


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
