"""Outline of a run while it is edited: steps, saves, learning rates. No model is built, nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..config import RunConfig
from ..data.loading.loaders import num_train_steps
from ..metric_names import metric, watched_by_schedule
from ..progress import Progress, unreported
from ..training.optimization.optimizers import build_optimizer
from ..user_code import is_user_spec
from .draft_data import open_draft
from .plan import rates_of_steps
from .planned_saves import PlannedSaves, planned_saves

_MOST_POINTS = 512


@dataclass(frozen=True)
class RunOutline:
    """What is known of a run from its settings and its data alone.

    Attributes:
        samples: number of samples in the training split.
        epochs: epochs of the run.
        steps_per_epoch: optimizer steps of an epoch.
        saves: checkpoints that it will save and keep.
        at_epochs: positions of the learning rates, in epochs.
        rates: learning rates there, of parameters without a factor of their own; empty if unknown.
        peak: the highest learning rate of any step; 0 if unknown.
        rates_note: remark about the learning rate.
    """

    samples: int
    epochs: int
    steps_per_epoch: int
    saves: PlannedSaves
    at_epochs: list[float]
    rates: list[float]
    peak: float
    rates_note: str


def outline_run(config: RunConfig, progress: Progress = unreported) -> RunOutline:
    """Open the data of a draft as they are on this machine, count its steps and go through its schedule.

    Args:
        config: the draft.
        progress: called while the data are opened.

    Raises:
        TorchdeckError: the data are not there, or a setting of loader, optimizer or schedule is wrong.
    """
    sources = open_draft(config, finds_bad_files=False, progress=progress)
    steps_per_epoch = num_train_steps(sources, config)
    watched = metric(watched_by_schedule(config.schedule.metric))
    rates, _, note = rates_of_steps(config, _stand_in(config), steps_per_epoch, watched)
    shown = _spread(len(rates))
    return RunOutline(
        samples=len(sources.train),
        epochs=config.training.epochs,
        steps_per_epoch=steps_per_epoch,
        saves=planned_saves(config, steps_per_epoch),
        at_epochs=[at / steps_per_epoch for at in shown],
        rates=[rates[at] for at in shown],
        peak=max(rates, default=0.0),
        rates_note=note,
    )


def _stand_in(config: RunConfig) -> torch.optim.Optimizer:
    """An optimizer of the run's kind over two small layers, since some schedules set its momentum, too.

    The user's own may need the real model, so a plain one takes its place.
    """
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    if is_user_spec(config.optimizer.name):
        return torch.optim.SGD(model.parameters(), lr=config.optimizer.lr, momentum=0.9)
    plain = config.optimizer.model_copy(update={"groups": [], "layer_decay": 1.0})
    return build_optimizer(plain, model)


def _spread(count: int) -> list[int]:
    """At most `_MOST_POINTS` of so many positions, evenly spread, with the first and the last."""
    if count <= _MOST_POINTS:
        return list(range(count))
    return [round(at * (count - 1) / (_MOST_POINTS - 1)) for at in range(_MOST_POINTS)]
