"""Runs of several processes for tests: started, waited for and compared."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.launching.launched_ranks import LaunchedRanks, launch_ranks
from torchdeck.engine.runs.rank_states import read_ranks
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint

WAIT_SECONDS = 300.0
# Of `digits` in batches of 64.
STEPS_PER_EPOCH = 23
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


def slowed(root: Path, seconds: float) -> str:
    """The setting of a callback that makes every step take longer."""
    code = root / "slow.py"
    code.write_text(
        f"import time\nclass Slow:\n    def on_step_end(self, run, loss):\n        time.sleep({seconds})\n"
    )
    return f"callbacks=['{code}:Slow']"
