"""Settings of the loss, the optimizer and the learning rate schedule."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator

from .section import CodeName, Component, MetricName, Section


def _class_weights(value: Any) -> str | list[float]:
    if value in ("none", "balanced"):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(item, int | float) and item >= 0 for item in value):
        return [float(item) for item in value]
    raise ValueError('must be "none", "balanced", or a list with one non-negative number per class')


class LossConfig(Component):
    """The loss function."""

    name: CodeName = Field(
        default="cross_entropy",
        min_length=1,
        description="cross_entropy for classes, bce for labels of 0 and 1, mse, l1, smooth_l1 or huber for numbers, "
        "or path/to/file.py:loss",
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
    class_weights: Annotated[str | list[float], PlainValidator(_class_weights)] = Field(
        default="none",
        description="weight per class, or per label where it is 1: a list of numbers, or balanced: inverse to its "
        "frequency in the training split",
    )
    auxiliary: float = Field(
        default=0.3, ge=0, description="weight of the losses of auxiliary classifiers, for models that return them"
    )


class ParameterGroup(Section):
    """Options for the parameters whose names match a pattern; additional keys are arguments of the optimizer."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    pattern: str = Field(min_length=1, description='pattern for parameter names, as in model.freeze: "head", "*.bias"')
    lr_factor: float = Field(default=1.0, gt=0, description="factor applied to the learning rate")

    @property
    def arguments(self) -> dict[str, Any]:
        """The optimizer's own keyword arguments."""
        return dict(self.model_extra or {})


class OptimizerConfig(Component):
    """Any optimizer of torch.optim, or your own, with its own arguments."""

    name: CodeName = Field(default="SGD", min_length=1, description="a class of torch.optim, or path/to/file.py:name")
    lr: float = Field(default=0.01, gt=0, description="learning rate")
    decay_1d: bool = Field(
        default=True, description="apply weight decay to vectors, too: biases and the weights of normalization layers"
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="factor applied to the learning rate from each layer to the previous one"
    )
    groups: list[ParameterGroup] = Field(
        default_factory=list,
        description='parameter groups by name; the last match wins: [{ pattern = "head", lr_factor = 10 }]',
    )


class ScheduleConfig(Component):
    """Any schedule of torch.optim.lr_scheduler, or your own, with its arguments, after an optional linear warm-up."""

    name: CodeName = Field(
        default="constant",
        min_length=1,
        description='a class of torch.optim.lr_scheduler, "constant", or path/to/file.py:name',
    )
    warmup_epochs: float = Field(default=0.0, ge=0, description="epochs of linear warm-up from 0 to the learning rate")
    interval: Literal["epoch", "step"] = Field(
        default="step",
        description="unit of one step of the schedule and of its arguments; ReduceLROnPlateau always counts "
        "evaluations",
    )
    metric: MetricName = Field(default="loss", description="validation metric that ReduceLROnPlateau watches")
