"""The complete state of a run in training: captured for a checkpoint, restored from one."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict, cast

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..config.file import dump_config
from ..distributed.sharded_tensors import fitted_model_state, fitted_optimizer_state
from ..errors import CheckpointError
from ..metric_names import metric
from ..randomness import capture_python_randomness, restore_python_randomness
from ..runs.saving.checkpoint_format import FORMAT, Checkpoint, SavedBest, SavedPosition, SavedTotals
from .compute.objective import DecisiveMetrics, Objective
from .compute.step import TrainStep
from .metrics.prediction_counts import counted_metrics
from .monitors.early_stopping import EarlyStopping
from .optimization.ema import AveragedWeights
from .optimization.schedules import Schedule
from .records.step_log import StepBlock
from .snapshot import Snapshot


@dataclass
class Position:
    """Position of training: three integers.

    Attributes:
        epoch: completed epochs; the current one is `epoch + 1`.
        step_in_epoch: completed optimizer steps of the current epoch.
        step: completed optimizer steps of the whole run.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0

    def update(self, epoch: int, step_in_epoch: int, step: int) -> None:
        """Take another place over, in place: the loop counts on in this very object."""
        self.epoch, self.step_in_epoch, self.step = epoch, step_in_epoch, step

    def count_step(self) -> None:
        """A step is done."""
        self.step += 1
        self.step_in_epoch += 1

    def count_epoch(self) -> None:
        """The epoch is done, the next one has begun."""
        self.epoch += 1
        self.step_in_epoch = 0


@dataclass
class Totals:
    """Sums of the current epoch so far, and the run's training time in seconds; see `SavedTotals`."""

    loss: float = 0.0
    weight: float = 0
    score: float = 0
    samples: int = 0
    seconds: float = 0.0
    epoch_began: float = 0.0
    counts: Tensor | None = field(default=None, compare=False)
    counted: int = 0

    def add(self, block: StepBlock) -> None:
        """Add steps in order, so that the sum doesn't depend on how they were grouped."""
        weights = block.samples if block.weights is None else block.weights
        for loss, weight, score, samples in zip(block.loss, weights, block.scores, block.samples, strict=True):
            self.loss += loss * weight
            self.weight += weight
            self.score += score
            self.samples += samples
        if block.counts is not None:
            self._count(block.counts, sum(block.samples))

    def _count(self, counts: Tensor, samples: int) -> None:
        if self.counts is None or self.counts.shape != counts.shape:
            # None yet, or those of a checkpoint whose classes were others.
            self.counts, self.counted = torch.zeros_like(counts), 0
        self.counts += counts
        self.counted += samples

    def epoch_metrics(self, objective: Objective) -> dict[str, float]:
        """Mean loss, by the samples' weights, mean score, and what follows from the predictions' counts, of the
        samples trained on in this epoch.

        An epoch that began where nothing was counted, in an earlier version, has no counts of all its samples.
        """
        if not self.samples:
            return {"loss": math.nan, objective.score_name: math.nan}
        score = self.score / (self.samples * objective.scores_a_sample)
        loss = self.loss / self.weight if self.weight else math.nan
        metrics = {"loss": loss, objective.score_name: score}
        if self.counts is None or self.counted != self.samples:
            return metrics
        return {**metrics, **counted_metrics(objective.kind, self.counts, self.samples)}

    def begin_epoch(self, seconds: float) -> None:
        """Start the next epoch's sums; `seconds` is the training time at which it begins."""
        self.loss, self.weight, self.score, self.samples, self.epoch_began = 0.0, 0, 0, 0, seconds
        self.counts, self.counted = None, 0

    @classmethod
    def of(cls, saved: SavedTotals) -> Totals:
        """From a checkpoint; one that knows of no weights counted every sample alike."""
        totals = cls(**saved)
        if "weight" not in saved:
            totals.weight = saved["samples"]
        return totals


@dataclass
class Best:
    """The best validation result of the run so far."""

    metric: str
    value: float = math.nan
    epoch: int = 0
    step: int = 0
    larger_is_better: bool | None = None
    """None: as torchdeck's metric of this name."""

    def offer(self, metrics: dict[str, float], *, epoch: int, step: int) -> bool:
        """Keep the result of an epoch if it is better than the best so far, and return whether it is.

        An epoch with a non-finite loss is never better; a tie keeps the earlier epoch.
        """
        value = metrics[self.metric]
        larger = metric(self.metric).larger_is_better if self.larger_is_better is None else self.larger_is_better
        sign = 1 if larger else -1
        if not math.isfinite(value + metrics["loss"]) or (
            not math.isnan(self.value) and sign * value <= sign * self.value
        ):
            return False
        self.value, self.epoch, self.step = value, epoch, step
        return True


class Identity(TypedDict):
    """What doesn't change in a run but belongs into its checkpoints; see `Checkpoint`."""

    classes: list[str]
    data_fingerprint: str
    environment: dict[str, Any]


@dataclass
class RunState:
    """State of a run in training: model, optimizer, schedule, position, sums and best result.

    Attributes:
        config: the run's; another one from when its number of epochs changes.
        steps_per_epoch: optimizer steps of an epoch.
        averages: moving average of the weights; None if there is none.
        evaluated_step: steps done when the weights were last measured.
        identity: what doesn't change but belongs into a checkpoint: classes, environment, fingerprint of the data.
    """

    config: RunConfig
    steps_per_epoch: int
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler | None
    best: Best
    identity: Identity
    early_stopping: EarlyStopping
    averages: AveragedWeights | None = None
    position: Position = field(default_factory=Position)
    totals: Totals = field(default_factory=Totals)
    evaluated_step: int = 0
    _config_text: tuple[RunConfig, str] | None = field(default=None, init=False, repr=False, compare=False)

    def weights_are_finite(self) -> bool:
        """Whether no trained weight is NaN or infinite. Waits for the device."""
        weights = [self._own(weight).detach() for group in self.optimizer.param_groups for weight in group["params"]]
        # A sum reads each weight once and keeps what is not finite; only where it overflows is every weight looked at.
        if bool(torch.stack([weight.sum().isfinite() for weight in weights]).all()):
            return True
        return bool(torch.stack([weight.isfinite().all() for weight in weights]).all())

    def _config_as_text(self) -> str:
        """The config as TOML. Writing it takes as long as a small step, so it is done once for all saves with it."""
        if self._config_text is None or self._config_text[0] is not self.config:
            self._config_text = self.config, dump_config(self.config)
        return self._config_text[1]

    def capture(self, metrics: dict[str, float], live_settings: dict[str, float], snapshot: Snapshot) -> Checkpoint:
        """A copy of the state on the CPU, as a checkpoint without the callbacks' states.

        Args:
            metrics: validation metrics of the epoch just completed, or none.
            live_settings: settings that were changed in the live run.
            snapshot: takes the tensors; they are valid until it is released.
        """
        state: Checkpoint = {
            "torchdeck_format": FORMAT,
            "epoch": self.position.epoch,
            "model_state_dict": snapshot.copied(self._own_state_dict()),
            "optimizer_state_dict": snapshot.copied(self.optimizer.state_dict()),
            "scheduler_state_dict": snapshot.copied(self.schedule.state_dict()),
            "scaler_state_dict": dict(self.scaler.state_dict()) if self.scaler is not None else None,
            "rng": capture_python_randomness(),
            "position": cast("SavedPosition", asdict(self.position)),
            "totals": cast("SavedTotals", asdict(self.totals)),
            "best": cast("SavedBest", asdict(self.best)),
            "early_stopping": self.early_stopping.state(),
            "evaluated_step": self.evaluated_step,
            "metrics": dict(metrics),
            "live_settings": dict(live_settings),
            "config": self._config_as_text(),
            "classes": self.identity["classes"],
            "data_fingerprint": self.identity["data_fingerprint"],
            "environment": self.identity["environment"],
        }
        if self.averages is not None:
            state["ema_state_dict"] = snapshot.copied(self.averages.state_dict())
            state["ema_updates"] = self.averages.updates
        snapshot.wait()
        return state

    def _own(self, tensor: Tensor) -> Tensor:
        """The trained value, which is stored elsewhere while the average is evaluated in its place."""
        return tensor if self.averages is None else self.averages.own_value(tensor)

    def _own_state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = self.model.state_dict(keep_vars=True)
        return {name: self._own(value) if isinstance(value, Tensor) else value for name, value in state.items()}

    def restore(self, checkpoint: Checkpoint, *, with_optimizer: bool = True, with_schedule: bool = True) -> None:
        """Take over the state of a checkpoint that this program wrote.

        Args:
            checkpoint: content from `load_checkpoint`.
            with_optimizer: also the optimizer's state.
            with_schedule: also the schedule's state.

        Raises:
            CheckpointError: it belongs to another model or optimizer, or lacks a part.
        """
        try:
            own = self.model.state_dict(keep_vars=True)
            self.model.load_state_dict(fitted_model_state(checkpoint["model_state_dict"], own))
            if self.averages is not None:
                self.averages.own_was_loaded()
            if with_optimizer:
                state = fitted_optimizer_state(checkpoint["optimizer_state_dict"], self.optimizer)
                self.optimizer.load_state_dict(state)
            if with_schedule:
                self.schedule.load_state_dict(checkpoint["scheduler_state_dict"])
            if self.scaler is not None and checkpoint["scaler_state_dict"]:
                self.scaler.load_state_dict(checkpoint["scaler_state_dict"])
            self.position.update(**checkpoint["position"])
            self.totals = Totals.of(checkpoint["totals"])
            if checkpoint["best"]["metric"] == self.best.metric:
                best: SavedBest = {**checkpoint["best"], "larger_is_better": self.best.larger_is_better}
                self.best = Best(**best)
            if checkpoint["early_stopping"]["metric"] == self.early_stopping.metric:
                self.early_stopping.load_state(checkpoint["early_stopping"])
            self.evaluated_step = checkpoint["evaluated_step"]
            self._restore_averages(checkpoint)
            restore_python_randomness(checkpoint["rng"])
        except KeyError as error:
            raise CheckpointError(f"the checkpoint can't be resumed from: it has no {error}") from error
        except (RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run's model or optimizer: {error}") from error

    def _restore_averages(self, checkpoint: Checkpoint) -> None:
        """Averages that were not kept before begin at the checkpoint's weights."""
        if self.averages is None:
            return
        if "ema_state_dict" in checkpoint:
            own = self.model.state_dict(keep_vars=True)
            averages = fitted_model_state(checkpoint["ema_state_dict"], own)
            self.averages.load_state_dict(averages, checkpoint["ema_updates"])
        else:
            self.averages.restart()


def new_run_state(
    config: RunConfig,
    step: TrainStep,
    schedule: Schedule,
    identity: Identity,
    *,
    steps_per_epoch: int,
) -> RunState:
    """The state before the first step.

    Args:
        config: the run.
        step: of a model and an optimizer that lie on their device.
        schedule: of that optimizer.
        identity: see `RunState`.
        steps_per_epoch: optimizer steps of an epoch.

    Raises:
        ConfigError: a metric that isn't measured for the objective's targets.
    """
    metrics, stopping = DecisiveMetrics.of(config, step.objective), config.early_stopping
    return RunState(
        config,
        steps_per_epoch,
        step.model,
        step.optimizer,
        schedule,
        step.scaler,
        Best(metrics.best.name, larger_is_better=metrics.best.larger_is_better),
        identity,
        EarlyStopping(
            metrics.early_stopping.name,
            stopping.patience,
            stopping.min_delta,
            larger_is_better=metrics.early_stopping.larger_is_better,
        ),
        AveragedWeights(step.model, config.ema) if config.ema.decay else None,
    )
