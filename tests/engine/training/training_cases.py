"""Small real runs on the embedded digits, driven through the engine's own entry points."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from torchdeck.engine.build import prepare
from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.data.loading.batch_loader import TrainingData
from torchdeck.engine.data.loading.loaders import build_loaders
from torchdeck.engine.launching.assembly import assemble_trainer
from torchdeck.engine.launching.launch import LaunchedRun, launch, launch_resumed
from torchdeck.engine.randomness import StepRandomness
from torchdeck.engine.runs.control import Control
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.engine.training.compute.objective import Objective, build_objective
from torchdeck.engine.training.compute.placement import Placement, choose_placement
from torchdeck.engine.training.trainer import Trainer

# 539 training samples: 5 steps per epoch, the last one of a batch that is not full.
TOML = """
name = "case"
seed = 5
[data]
dataset = "digits"
validation = 0.7
train_transforms = [ { name = "RandomCrop", size = 8, padding = 1 } ]
[loader]
batch_size = 128
[model]
name = "mlp"
hidden = [16]
dropout = 0.3
[optimizer]
name = "AdamW"
lr = 5e-3
[training]
epochs = 2
device = "cpu"
num_threads = 1
[checkpoint]
keep_last = 50
"""
STEPS_PER_EPOCH = 5
WAIT_SECONDS = 120.0


def case(*overrides: str) -> RunConfig:
    return parse_config(TOML, "case", overrides)


def placement(*overrides: str) -> Placement:
    return choose_placement(case(*overrides).training)


def ended(run: LaunchedRun) -> LaunchedRun:
    run.join(WAIT_SECONDS)
    assert not run.is_alive, "the run did not end"
    return run


def finished(run: LaunchedRun) -> Path:
    ended(run)
    if run.error is not None:
        raise run.error
    assert run.status == "finished"
    assert run.path is not None
    return run.path


def train(root: Path, *overrides: str) -> Path:
    """A finished run's directory."""
    return finished(launch(case(*overrides), root))


def copy_of(run: Path, root: Path) -> Path:
    return Path(shutil.copytree(run, root / run.name, ignore=shutil.ignore_patterns("*.sock")))


def resume_copy(run: Path, root: Path, checkpoint: str | None = None, overrides: Sequence[str] = ()) -> Path:
    """A copy of a run, resumed from one of its checkpoints and trained to its end."""
    copy = copy_of(run, root)
    file = None if checkpoint is None else copy / "checkpoints" / checkpoint
    return finished(launch_resumed(copy, checkpoint=file, overrides=overrides))


def reader_of(path: Path) -> RunReader:
    reader = RunReader(path)
    reader.poll()
    return reader


def events_of(path: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in reader_of(path).events() if event["kind"] == kind]


def weights_of(path: Path, file: str = "last.pt") -> dict[str, Tensor]:
    checkpoint: dict[str, Any] = torch.load(path / "checkpoints" / file, weights_only=True)
    weights: dict[str, Tensor] = checkpoint["model_state_dict"]
    return weights


def step_of(path: Path, file: str = "last.pt") -> int:
    return int(torch.load(path / "checkpoints" / file, weights_only=True)["position"]["step"])


def make_trainer(root: Path, *overrides: str, model: nn.Module | None = None) -> tuple[Trainer, RunWriter]:
    """A trainer to be driven by the test's own thread, and the run it writes."""
    config = case(*overrides)
    prepared = prepare(config, lambda *_: None)
    data = build_loaders(prepared.sources, config, prepared.placement.device, lambda *_: None)
    run = RunWriter.create(root, config, {})
    prepared = replace(prepared, model=model or prepared.model)
    return assemble_trainer(prepared, data, run, Control()), run


def objective(*overrides: str, num_classes: int = 10) -> Objective:
    """What a case minimizes and measures, for samples of classes that are equally many."""
    config, classes = case(*overrides), [str(label) for label in range(num_classes)]
    return build_objective(
        config.loss, config.evaluation, np.arange(num_classes), classes, choose_placement(config.training).device
    )


def training_data(*overrides: str) -> TrainingData:
    config = case(*overrides)
    prepared = prepare(config, lambda *_: None)
    return build_loaders(prepared.sources, config, prepared.placement.device, lambda *_: None)


class StepHook:
    """Calls functions just before given steps of a run, in the engine's thread.

    Steps count from 0: a command submitted before step `n` is obeyed when `n + 1` steps are done.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.actions: dict[int, Callable[[], object]] = {}
        self.seen: list[int] = []
        original = StepRandomness.seed_step

        def seed_step(randomness: StepRandomness, step: int, rank: int = 0) -> None:
            original(randomness, step, rank)
            self.seen.append(step)
            if action := self.actions.pop(step, None):
                action()

        monkeypatch.setattr(StepRandomness, "seed_step", seed_step)


def keep_every_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every save wait for the previous one: they are otherwise reduced to the newest."""
    save = RunWriter.save_checkpoint

    def save_and_wait(run: RunWriter, state: dict[str, Any], **fields: Any) -> None:
        save(run, state, **fields)
        run.flush()

    monkeypatch.setattr(RunWriter, "save_checkpoint", save_and_wait)


def write_model(folder: Path, body: str, more: str = "") -> str:
    """A user's file with a model class `Model` whose forward is `body`; returns its spec.

    The first line of `body` is line 9 of the file; `more` is a line of its constructor.
    """
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    (folder / "model.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Model(nn.Module):\n"
        "    def __init__(self, num_classes, input_shape):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(64, num_classes)\n"
        f"        {more or 'self.steps = 0'}\n"
        f"    def forward(self, x):\n{lines}\n",
        encoding="utf-8",
    )
    return f"{folder}/model.py:Model"
