"""Settings of the training loop, of evaluation, of averaged weights and of early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ..metric_names import METRICS, metric_key
from .section import CodeName, Component, MetricName, Section, named_components

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]


class TrainingConfig(Section):
    """The training loop."""

    epochs: int = Field(default=10, ge=1, le=1_000_000, description="passes over the training split")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="device to train on: auto, cpu, cuda, cuda:1, mps",
    )
    precision: Precision = Field(
        default="auto",
        description="fp32, tf32, bf16 or fp16 (with GradScaler); auto: bf16 on a GPU that has it, else fp32",
    )
    compile: bool = Field(default=False, description="compile the model with torch.compile")
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = Field(
        default="default", description="mode of torch.compile"
    )
    compile_dynamic: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="compile graphs for any batch size: always, never, or auto (from the second size on)",
    )
    channels_last: bool = Field(default=False, description="keep images and weights in channels-last memory format")
    recompute: list[str] = Field(
        default_factory=list,
        description='activation checkpointing: modules by name, such as ["layer*"], whose activations are not kept '
        'but computed again in the backward pass; ["auto"]: the blocks that the model repeats',
    )
    accumulate: int = Field(default=1, ge=1, le=4096, description="batches per step: their gradients are accumulated")
    clip_norm: float = Field(default=0.0, ge=0, description="maximum gradient norm; 0 turns clipping off")
    clip_by: Literal["norm", "value", "adaptive"] = Field(
        default="norm",
        description="what clip_norm limits: norm: the norm of all gradients; value: each element; adaptive: the norm "
        "of each unit's gradient relative to the norm of its weights",
    )
    probe_every: int = Field(
        default=50, ge=0, description="record the gradient norms of every module every N steps; 0: never"
    )
    on_nonfinite: Literal["stop", "rollback"] = Field(
        default="stop", description="after a NaN or infinite loss: stop, or roll back to the last good checkpoint"
    )
    rollback_lr_factor: float = Field(
        default=0.5, gt=0, le=1, description="factor applied to the learning rate by a rollback"
    )
    max_rollbacks: int = Field(default=3, ge=1, description="number of rollbacks before the run stops")
    deterministic: bool = Field(default=False, description="use deterministic kernels only; slower on some GPUs")
    num_threads: int = Field(
        default=0, ge=0, le=1024, description="CPU threads of torch; 0: all cores but one, which is left to the screen"
    )


class MetricConfig(Component):
    """A metric of the user's own, or of torchmetrics, with its arguments."""

    name: CodeName = Field(
        min_length=1,
        description="path/to/file.py:name, or a class of torchmetrics: torchmetrics.classification.MulticlassAUROC",
    )
    key: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_-]{0,39})?$",
        description="its name in records, tables and other settings; empty for the name of its class, as in macro_f1",
    )
    mode: Literal["auto", "max", "min"] = Field(
        default="auto",
        description="whether its largest or its smallest value is the best; auto: as its higher_is_better says",
    )

    @property
    def record_key(self) -> str:
        """What records call it."""
        return self.key or metric_key(self.name)


def _with_keys_of_their_own(metrics: Sequence[MetricConfig]) -> Sequence[MetricConfig]:
    taken = set(METRICS)
    for metric in metrics:
        if (key := metric.record_key) in taken:
            whose = "torchdeck's own" if key in METRICS else "another one's"
            raise ValueError(f'{metric.name} would be called {key}, which is {whose}; give it another key = "…"')
        taken.add(key)
    return metrics


class EvaluationConfig(Section):
    """When and how the model is evaluated on the validation split."""

    every_epochs: int = Field(default=1, ge=1, description="evaluate every N epochs, and always after the last one")
    every_steps: int = Field(default=0, ge=0, description="also evaluate every N steps; 0: never")
    top_k: int = Field(default=5, ge=1, description="k of top-k accuracy: the class is among the k highest scores")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="probability from which bce predicts a label")
    calibration_bins: int = Field(
        default=15, ge=1, le=1000, description="number of confidence bins of the calibration error"
    )
    metrics: Annotated[
        list[MetricConfig], BeforeValidator(named_components), AfterValidator(_with_keys_of_their_own)
    ] = Field(
        default_factory=list,
        description='further metrics, by name: ["metrics.py:Dice", { name = "torchmetrics.R2Score", key = "r2_tm" }]',
    )

    @property
    def metric_keys(self) -> list[str]:
        """What records call the further metrics."""
        return [metric.record_key for metric in self.metrics]


class EmaConfig(Section):
    """An exponential moving average of the weights, evaluated and saved along with them."""

    decay: float = Field(default=0.0, ge=0, lt=1, description="decay of the average per update; 0: no average")
    warmup: bool = Field(default=True, description="smaller decay in the first updates: (1 + n) / (10 + n)")
    every_steps: int = Field(default=1, ge=1, description="update the average every N steps")
    decides_best: bool = Field(
        default=False,
        description="use the average's metrics for the best checkpoint, early stopping and ReduceLROnPlateau",
    )


class EarlyStoppingConfig(Section):
    """Stopping a run that no longer improves."""

    patience: int = Field(default=0, ge=0, description="stop after N evaluations without improvement; 0: never")
    min_delta: float = Field(default=0.0, ge=0, description="minimum change that counts as an improvement")
    metric: MetricName = Field(
        default="auto", description="validation metric that has to improve; auto: the metric of checkpoint.best_metric"
    )
