"""Weights that are sharded over the processes: the same training, and checkpoints like those of any run."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from campaign import is_full_campaign
from several_processes import (
    SETTINGS,
    STEPS_PER_EPOCH,
    alone,
    ended,
    have_same_bits,
    several,
    slowed,
    steps_of,
    wait_for,
    weights_of,
)

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launched_ranks import launch_ranks, launch_ranks_resumed
from torchdeck.engine.runs.rank_states import read_ranks
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint

SHARDED = "parallel.strategy=fsdp"
SGD = "optimizer={name='SGD',lr=0.01,momentum=0.9}"
# Repeats a block, of which one weight is not trained; 7 and 10 rows don't divide by 2 and 4.
NET = """
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 64))
        self.inner[0].bias.requires_grad_(False)

    def forward(self, values):
        return values + self.inner(values)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(64, 10)

    def forward(self, images):
        values = images.flatten(1)
        for block in self.blocks:
            values = block(values)
        return self.head(values)
"""
CASES = {
    "plain": (),
    "accumulated": ("training.accumulate=2",),
    "weighted": ("loss.class_weights=balanced",),
    "clipped": ("training.clip_norm=0.5",),
    "averaged": ("ema.decay=0.99",),
    "recomputed": ("training.recompute=['auto']",),
    "adamw": ("optimizer={name='AdamW',lr=0.001,eps=0.001}",),
}
CASES["all at once"] = tuple(setting for case in list(CASES)[:-1] for setting in CASES[case])


def settings_of(folder: Path) -> tuple[str, ...]:
    code = folder / "net.py"
    code.write_text(NET)
    return f"model={{name='{code}:Net'}}", SGD, "training.epochs=2", "checkpoint.every_steps=10"


def checkpoint_of(reader: RunReader) -> Path:
    return reader.path / "checkpoints" / "last.pt"


@pytest.mark.campaign
@pytest.mark.parametrize("case", CASES if is_full_campaign() else ["all at once"])
def test_sharded_weights_are_trained_as_whole_ones(tmp_path: Path, case: str) -> None:
    settings = (*settings_of(tmp_path), *CASES[case])
    together = ended(several(tmp_path / "together", 2, *settings, SHARDED))
    assert together.status() == "finished", together.state().get("error")
    one = alone(tmp_path / "one", *settings)
    assert together.latest_metrics()["accuracy"] == pytest.approx(one.latest_metrics()["accuracy"], abs=0.003)
    for part in ("model_state_dict", "ema_state_dict") if "ema.decay=0.99" in settings else ("model_state_dict",):
        found, wanted = (load_checkpoint(checkpoint_of(run))[part] for run in (together, one))
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5)


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: as with whole weights")
def test_a_killed_process_costs_sharded_weights_no_bit(tmp_path: Path) -> None:
    settings = (*settings_of(tmp_path), "ema.decay=0.9", slowed(tmp_path, 0.03), SHARDED)
    unbroken = ended(several(tmp_path / "unbroken", 2, *settings))
    run = several(tmp_path / "broken", 2, *settings)
    path = wait_for(run, lambda path: steps_of(path) > 12)
    os.kill(random.Random(8).choice(read_ranks(path))["pid"], signal.SIGKILL)
    broken = ended(run)
    assert broken.status() == "finished", run.error
    assert [event["kind"] for event in broken.events()].count("resumed_from") == 1
    assert have_same_bits(unbroken, broken)


@pytest.mark.campaign
def test_a_checkpoint_of_sharded_weights_is_one_plain_file_for_every_use(tmp_path: Path) -> None:
    settings = (*settings_of(tmp_path), "ema.decay=0.9")
    whole = alone(tmp_path / "whole", *settings)
    run = several(tmp_path / "moved", 2, *settings, slowed(tmp_path, 0.05), SHARDED)
    path = wait_for(run, lambda path: steps_of(path) >= 7)
    run.stop()
    stopped = ended(run)
    assert stopped.status() == "stopped" and stopped.progress().step % STEPS_PER_EPOCH
    command = [sys.executable, "-P", "-m", "torchdeck"]
    shown = subprocess.run(
        [*command, "checkpoint", str(checkpoint_of(stopped))], check=True, capture_output=True, text=True
    ).stdout
    assert "blocks.1.inner.2.weight" in shown
    exported = tmp_path / "weights.pt"
    subprocess.run([*command, "export", str(checkpoint_of(stopped)), str(exported)], check=True, capture_output=True)
    assert torch.load(exported, weights_only=True)["head.weight"].shape == (10, 64)
    # On to more processes, and to some that have whole weights.
    if is_full_campaign():
        before = steps_of(path)
        run = launch_ranks_resumed(path, overrides=("parallel.processes=4",))
        wait_for(run, lambda path: steps_of(path) >= before + 7)
        run.stop()
        assert ended(run).status() == "stopped", run.error
    overrides = ("parallel.processes=2", "parallel.strategy=ddp", "callbacks=[]")
    resumed = launch_ranks_resumed(path, overrides=overrides)
    moved = ended(resumed)
    assert moved.status() == "finished", resumed.error
    for name, value in weights_of(whole).items():
        torch.testing.assert_close(weights_of(moved)[name], value, rtol=0, atol=1e-5)


def test_each_process_keeps_its_part_alone(tmp_path: Path) -> None:
    code = tmp_path / "count.py"
    code.write_text(
        "import os\n"
        "class Count:\n"
        "    def on_run_end(self, run, outcome):\n"
        "        kept = sum(weight.to_local().numel() for weight in run.model.parameters())\n"
        "        kept += sum(value.to_local().numel() for values in run.optimizer.state.values()\n"
        "                    for value in values.values() if hasattr(value, 'to_local'))\n"
        f"        open(f'{tmp_path}/kept-{{os.environ[\"RANK\"]}}', 'w').write(str(kept))\n"
    )
    reader = ended(several(tmp_path / "runs", 2, *settings_of(tmp_path), SHARDED, f"callbacks=['{code}:Count']"))
    assert reader.status() == "finished"
    state = load_checkpoint(checkpoint_of(reader))
    in_all = sum(weight.numel() for weight in state["model_state_dict"].values())
    in_all += sum(values["momentum_buffer"].numel() for values in state["optimizer_state_dict"]["state"].values())
    kept = [int((tmp_path / f"kept-{rank}").read_text()) for rank in range(2)]
    assert sum(kept) == in_all
    assert max(kept) < 0.55 * in_all


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("parallel.exact_shards=2", "parallel.exact_shards"),
        ("training.compile=true", "training.compile"),
        ("training.channels_last=true", "training.channels_last"),
        ("optimizer.name=Muon", 'optimizer.name = "Muon"'),
    ],
)
def test_what_needs_whole_weights_is_refused(tmp_path: Path, setting: str, named: str) -> None:
    config = load_config("digits", [*SETTINGS, SHARDED, "parallel.processes=2", setting])
    run = launch_ranks(config, tmp_path)
    while run.is_alive:
        run.join(0.1)
    assert isinstance(run.error, Exception)
    assert f'parallel.strategy = "fsdp": can\'t be had with {named}' in str(run.error)
