"""Parameter groups of a run's model, computed before anything is loaded or trained."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from ..config import OptimizerConfig, RunConfig
from ..inputs import Inputs, one_sample
from ..models.architecture import build_for_shapes
from ..models.module_tree import default_input_shape
from ..randomness import generators_kept
from ..shapes import Shape
from ..training.optimization.optimizers import check_optimizer
from ..training.optimization.parameter_groups import PlannedGroup, idle_rules, optimizer_factory, plan_groups
from ..user_code import short_spec
from .memory_estimate import classes_of


@dataclass(frozen=True)
class WeightGroup:
    """Weights that are trained alike.

    Attributes:
        method: the optimizer's name.
        lr: learning rate before any schedule.
        lr_factor: factor of `optimizer.lr` from `layer_decay` and the rules.
        weight_decay: None where the optimizer has none.
        options: arguments of the optimizer that a rule gave besides those.
        patterns: patterns in `optimizer.groups` that matched some of the tensors.
        tensors: names of the parameters.
        vectors: how many of those have at most one dimension, as biases and the weights of normalization layers.
        params: elements of the parameters.
    """

    method: str
    lr: float
    lr_factor: float
    weight_decay: float | None
    options: dict[str, Any]
    patterns: list[str]
    tensors: list[str]
    vectors: int
    params: int


@dataclass(frozen=True)
class WeightGroups:
    """All weights of a model.

    Attributes:
        groups: trained groups, those at the full learning rate first.
        frozen_tensors: how many parameters are not trained.
        frozen_params: elements of those.
        notes: rules that name nothing.
    """

    groups: list[WeightGroup]
    frozen_tensors: int
    frozen_params: int
    notes: list[str]


def weight_groups(
    config: RunConfig, num_classes: int | None = None, input_shape: Shape | None = None, example: Inputs | None = None
) -> WeightGroups:
    """Sort the weights of a run's model into groups as the run will; allocates none of them.

    Args:
        config: the run.
        num_classes: number of classes; None for the model's own.
        input_shape: shape of one sample; None for the model's own.
        example: a batch of one sample, for the types of its tensors; None for floats.

    Raises:
        ConfigError, UserCodeError: a setting that is wrong, or nothing that would be trained.
    """
    check_optimizer(config.optimizer)
    shape = input_shape if input_shape is not None else default_input_shape(config.model)
    classes = num_classes or classes_of(config.model, shape)
    sample = one_sample(shape) if example is None else example
    with generators_kept():
        model = build_for_shapes(config.model, classes, shape, sample)
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    return WeightGroups(
        groups=[_described(group, config.optimizer) for group in plan_groups(config.optimizer, model)],
        frozen_tensors=len(frozen),
        frozen_params=sum(parameter.numel() for parameter in frozen),
        notes=idle_rules(config.optimizer, model),
    )


def _described(group: PlannedGroup, config: OptimizerConfig) -> WeightGroup:
    options = dict(group.options)
    decay = options.pop("weight_decay", config.arguments.get("weight_decay", _usual_decay(group.method)))
    return WeightGroup(
        method=short_spec(group.method),
        lr=config.lr * group.lr_factor,
        lr_factor=group.lr_factor,
        weight_decay=decay,
        options=options,
        patterns=group.patterns,
        tensors=group.names,
        vectors=sum(parameter.ndim <= 1 for parameter in group.parameters),
        params=group.elements,
    )


def _usual_decay(method: str) -> float | None:
    """The weight decay of an optimizer where none is given; None where it takes none, or its signature has none."""
    parameter = inspect.signature(optimizer_factory(method)).parameters.get("weight_decay")
    usual = None if parameter is None else parameter.default
    return float(usual) if isinstance(usual, int | float) else None
