"""The loop: how it computes, what it measures, and when it ends early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ..metric_names import METRICS, metric_key
from .section import CodeName, Component, MetricName, Section, named_components

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]


class TrainingConfig(Section):
    """The loop."""

    epochs: int = Field(default=10, ge=1, le=1_000_000, description="passes over the training split")
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:1, mps"
    )
    precision: Precision = Field(
        default="auto",
        description="fp32, tf32, bf16 or fp16 (with GradScaler); auto: bf16 on a GPU that has it, else fp32",
    )
    compile: bool = Field(default=False, description="compile the model with torch.compile")
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = Field(
        default="default", description="torch.compile's mode"
    )
    compile_dynamic: Literal["auto", "always", "never"] = Field(
        default="auto", description="graphs for any batch size: auto from the second size on, always, or never"
    )
    channels_last: bool = Field(default=False, description="keep images and weights in channels-last memory format")
    accumulate: int = Field(default=1, ge=1, le=4096, description="batches a step: gradients are summed over them")
    clip_norm: float = Field(default=0.0, ge=0, description="largest gradient norm; 0 switches clipping off")
    clip_by: Literal["norm", "value", "adaptive"] = Field(
        default="norm",
        description="what clip_norm bounds: the norm of all gradients, each component, or adaptive: the norm of each "
        "unit's gradient as a share of the norm of its weights",
    )
    probe_every: int = Field(
        default=50, ge=0, description="steps between two looks at the gradients of every module; 0 for none"
    )
    on_nonfinite: Literal["stop", "rollback"] = Field(
        default="stop", description="after a loss that is no number: stop, or go back to the last good checkpoint"
    )
    rollback_lr_factor: float = Field(
        default=0.5, gt=0, le=1, description="what going back multiplies the learning rate by"
    )
    max_rollbacks: int = Field(default=3, ge=1, description="how often a run goes back before it stops")
    deterministic: bool = Field(default=False, description="only deterministic kernels; slower on some GPUs")
    num_threads: int = Field(
        default=0, ge=0, le=1024, description="CPU threads of torch; 0 leaves one core to the screen"
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
    """When and how the model is measured on the validation split."""

    every_epochs: int = Field(
        default=1, ge=1, description="measure after every so many epochs; after the last in any case"
    )
    every_steps: int = Field(default=0, ge=0, description="measure after every so many steps as well; 0 for never")
    top_k: int = Field(default=5, ge=1, description="a sample counts in top_k when its class is among so many")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="probability from which bce's labels are predicted")
    calibration_bins: int = Field(
        default=15, ge=1, le=1000, description="intervals of confidence that calibration is measured in"
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
    """A moving average of the weights, measured and saved beside them."""

    decay: float = Field(
        default=0.0, ge=0, lt=1, description="share of itself that the average keeps at an update; 0 for no average"
    )
    warmup: bool = Field(default=True, description="a smaller decay in the first updates: (1 + n) / (10 + n)")
    every_steps: int = Field(default=1, ge=1, description="update the average after every so many steps")
    decides_best: bool = Field(
        default=False, description="the average's metrics decide which is best, early stopping and plateaus"
    )


class EarlyStoppingConfig(Section):
    """Ending a run that no longer gets better."""

    patience: int = Field(
        default=0, ge=0, description="evaluations in a row without an improvement that end the run; 0 for never"
    )
    min_delta: float = Field(default=0.0, ge=0, description="an improvement has to be larger than this")
    metric: MetricName = Field(
        default="auto", description="validation metric that has to improve; auto: that of checkpoint.best_metric"
    )
