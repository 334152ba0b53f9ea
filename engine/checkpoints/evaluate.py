"""Evaluate a checkpoint on a split: all metrics, tables, and its worst mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..config import RunConfig, TrainingConfig
from ..data.datasets.sources import DataSources
from ..data.datasets.splits import Split
from ..data.exploration.preview import preview
from ..data.loading.bad_files import open_usable
from ..data.loading.batch_loader import BatchLoader
from ..data.loading.loaders import evaluation_loader
from ..errors import ConfigError
from ..models.tree.prediction import prediction_of
from ..runs.browsing.references import run_of
from ..training.compute.evaluation import evaluate
from ..training.compute.objective import build_objective
from ..training.compute.placement import Placement, choose_placement, placed
from .restored import restore_model

SplitName = Literal["auto", "test", "validation", "train"]
Progress = Callable[[str, int, int], None]

_SHOWN_WORST = 24


@dataclass(frozen=True)
class WorstSample:
    """A sample that the model is wrong about.

    Attributes:
        index: its position in the split.
        target: its class.
        predicted: the class that the model gives it.
        confidence: the probability it gives that class.
        loss: cross-entropy of the sample, in nats.
        pixels: uint8 [H, W, C], as the model sees it, with Normalize undone for the eye.
    """

    index: int
    target: int
    predicted: int
    confidence: float
    loss: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class CheckpointScores:
    """Scores of a checkpoint on a split.

    Attributes:
        checkpoint: the file.
        run: name of the run it belongs to; empty when it lies in none.
        epoch: epochs it was trained for.
        split: "test", "validation" or "train".
        samples: number of samples in the split.
        metrics: figures by name.
        tables: results other than single numbers; see the meters of `torchdeck.engine.training.metrics.meter`.
        classes: names by class index.
        worst: wrong predictions, the largest loss first; only for class targets.
        notes: remarks for the user.
    """

    checkpoint: Path
    run: str
    epoch: int
    split: str
    samples: int
    metrics: dict[str, float]
    tables: dict[str, Any]
    classes: list[str]
    worst: list[WorstSample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def evaluate_checkpoint(
    path: Path,
    *,
    split: SplitName = "auto",
    averaged: bool = False,
    progress: Progress = lambda message, done, total: None,
) -> CheckpointScores:
    """Measure a checkpoint of torchdeck with the data, transforms and metrics of its own config.

    Args:
        path: the checkpoint.
        split: which samples; "auto" is the test split, or the validation split where there is no test split.
        averaged: measure the averaged (EMA) weights.
        progress: called with what is being done, and how many batches of how many are done.

    Raises:
        CheckpointError: it can't be read, or is another program's.
        ConfigError, DataError, UserCodeError: the data or the model can't be had as the config says.
    """
    progress("building the model", 0, 0)
    restored = restore_model(path, averaged=averaged)
    config = restored.config
    placement = _placement(config.training)
    progress(f"opening {config.data.dataset}", 0, 0)
    sources, _ = open_usable(config, progress)
    name, chosen, notes = choose_split(sources, split)
    objective = build_objective(
        config.loss, config.evaluation, sources.train.targets, sources.classes, placement.device
    )
    loader = evaluation_loader(chosen, config, placement.device, progress)
    model = restored.model.to(placement.device)
    watched = _WatchedLoader(loader, progress, keeps_worst=objective.kind == "classes")
    with placed(placement), watched.watching(model):
        scores = evaluate(model, watched, objective, placement)
    assert scores is not None
    return CheckpointScores(
        checkpoint=path,
        run=run.name if (run := run_of(path)) is not None else "",
        epoch=int(restored.content.get("epoch", 0)),
        split=name,
        samples=scores.samples,
        metrics=scores.metrics,
        tables=scores.tables,
        classes=list(sources.classes),
        worst=_with_pixels(watched.worst(), sources, chosen, config),
        notes=notes,
    )


def choose_split(sources: DataSources, wanted: SplitName) -> tuple[str, Split, list[str]]:
    """Name and samples of a split, and what is to be said of the choice.

    Raises:
        ConfigError: there is no test split.
    """
    if wanted == "train":
        return "train", sources.train, []
    if wanted == "validation":
        return "validation", sources.validation, []
    if sources.test is not None:
        is_same = sources.test is sources.validation
        note = "this split was also used for validation and to choose the best checkpoint"
        return "test", sources.test, [note] if is_same else []
    if wanted == "test":
        raise ConfigError("these data have no test split; use --split validation to evaluate on the validation split")
    return "validation", sources.validation, ["these data have no test split: evaluated on the validation split"]


def _placement(training: TrainingConfig) -> Placement:
    """Where the run computed, or what this machine has instead."""
    try:
        return choose_placement(training)
    except ConfigError:
        return choose_placement(training.model_copy(update={"device": "auto", "precision": "auto"}))


class _WatchedLoader:
    """Yields a loader's batches and keeps the model's worst mistakes, on its device."""

    def __init__(self, loader: BatchLoader, progress: Progress, *, keeps_worst: bool) -> None:
        self.num_samples, self.num_batches, self.batch_size = loader.num_samples, loader.num_batches, loader.batch_size
        self._loader = loader
        self._progress = progress
        self._keeps_worst = keeps_worst
        self._targets = torch.empty(0)
        self._seen = 0
        self._kept: Tensor | None = None

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for number, (inputs, targets) in enumerate(self._loader.batches(epoch, start)):
            self._progress("evaluating", number, self.num_batches)
            self._targets = targets
            yield inputs, targets
            self._seen += len(targets)

    def watching(self, model: nn.Module) -> Any:
        """A context in which the model's outputs are looked at."""
        return model.register_forward_hook(self._look) if self._keeps_worst else _Nothing()

    def _look(self, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs, targets = prediction_of(output).detach().float(), self._targets
        if targets.ndim != 1:
            targets = targets.argmax(dim=1)
        losses = functional.cross_entropy(outputs, targets, reduction="none")
        confidence, predicted = outputs.softmax(dim=1).max(dim=1)
        positions = torch.arange(self._seen, self._seen + len(targets), device=outputs.device)
        columns = torch.stack(
            [
                losses.double().masked_fill(predicted == targets, -1.0),
                positions.double(),
                targets.double(),
                predicted.double(),
                confidence.double(),
            ],
            dim=1,
        )
        everything = columns if self._kept is None else torch.cat([self._kept, columns])
        order = everything[:, 0].argsort(descending=True, stable=True)
        self._kept = everything[order[:_SHOWN_WORST]]

    def worst(self) -> list[tuple[int, int, int, float, float]]:
        """Position, target, prediction, confidence and loss of the kept samples that are wrong."""
        rows = [] if self._kept is None else self._kept.cpu().tolist()
        return [
            (int(position), int(target), int(predicted), confidence, loss)
            for loss, position, target, predicted, confidence in rows
            if not loss < 0
        ]


class _Nothing:
    def __enter__(self) -> None:
        """Nothing is watched."""

    def __exit__(self, *error: object) -> None:
        """Nothing was watched."""


def _with_pixels(
    worst: list[tuple[int, int, int, float, float]], sources: DataSources, split: Split, config: RunConfig
) -> list[WorstSample]:
    seen = replace(sources, validation=split)
    images = preview(seen, config.data, config.seed, 0, [position for position, *_ in worst], train=False)
    pixels = {image.index: image.shown for image in images}
    return [
        WorstSample(position, target, predicted, confidence, loss, pixels[position])
        for position, target, predicted, confidence, loss in worst
        if position in pixels
    ]
