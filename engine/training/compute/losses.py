"""The loss functions: torch's own by name, or a function in the user's own file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config import LossConfig
from ...errors import ConfigError, UserCodeError, did_you_mean
from ...metric_names import TargetKind
from ...user_code import check_arguments, is_user_spec, load_object, raise_user_error

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""A function from outputs [B, K] and targets to the mean loss of the batch, a scalar."""


@dataclass(frozen=True)
class LossEntry:
    """A loss that a config can name.

    Attributes:
        name: name in the config.
        summary: purpose, in one line.
        kind: kind of its targets.
        arguments: its own arguments, with their defaults.
    """

    name: str
    summary: str
    kind: TargetKind
    arguments: dict[str, float]


_ENTRIES = (
    LossEntry("cross_entropy", "one class of many; soft targets are allowed, too", "classes", {}),
    LossEntry("bce", "binary cross-entropy of every label: any number of labels per sample", "labels", {}),
    LossEntry("mse", "mean squared error", "values", {}),
    LossEntry("l1", "mean absolute error", "values", {}),
    LossEntry("smooth_l1", "squared below beta, absolute above", "values", {"beta": 1.0}),
    LossEntry("huber", "squared below delta, delta times absolute above", "values", {"delta": 1.0}),
)
_BY_NAME = {entry.name: entry for entry in _ENTRIES}
_OF_VALUES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "huber": functional.huber_loss,
}


def check_loss(config: LossConfig) -> LossEntry | None:
    """Check the name and the arguments of a loss. Imports the user's own file where the config names one.

    Returns:
        What is known of the loss; None for a user's, which takes whatever targets the data have.

    Raises:
        ConfigError: an unknown name, an argument that the loss doesn't take or a value that it can't use.
        UserCodeError: the user's file raised when it was imported.
    """
    if is_user_spec(config.name):
        _check_no_options(config, "your own loss", allowed=())
        loss = load_object(config.name, "a loss function, or a class or function that makes one")
        if not _is_loss_itself(loss):
            check_arguments(loss, config.arguments, f"loss {config.name}")
        return None
    entry = _BY_NAME.get(config.name)
    if entry is None:
        hint = did_you_mean(config.name, _BY_NAME)
        raise ConfigError(f"loss.name = '{config.name}': no such loss{hint} (path/to/file.py:loss is allowed, too)")
    options = {"classes": ("label_smoothing", "class_weights"), "labels": ("class_weights",), "values": ()}
    _check_no_options(config, entry.name, allowed=options[entry.kind])
    for name, value in config.arguments.items():
        if name not in entry.arguments:
            known = [*entry.arguments, *LossConfig.model_fields]
            raise ConfigError(f"loss {config.name}: unknown argument '{name}'{did_you_mean(name, known)}")
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise ConfigError(f"loss.{name} = {value!r}: must be a number above 0")
    return entry


def _check_no_options(config: LossConfig, loss: str, allowed: tuple[str, ...]) -> None:
    for name, off in (("label_smoothing", 0.0), ("class_weights", "none")):
        if name not in allowed and getattr(config, name) != off:
            raise ConfigError(f"loss.{name} = {getattr(config, name)!r}: {loss} has no such option; remove it")


def cross_entropy(
    label_smoothing: float, weights: Tensor | None, reduction: Literal["mean", "sum"] = "mean"
) -> LossFunction:
    """Cross-entropy in nats of class indices [B] or of class probabilities [B, C]."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        # torch wants weights of the outputs' precision; autocast gives them it only from 32 bits down.
        of_classes = weights.double() if weights is not None and outputs.dtype == torch.float64 else weights
        return functional.cross_entropy(
            outputs, targets, of_classes, reduction=reduction, label_smoothing=label_smoothing
        )

    return loss


def binary_cross_entropy(positive_weights: Tensor | None) -> LossFunction:
    """Mean over samples and labels of the binary cross-entropy in nats, of logits and labels [B, K]."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            outputs.float(), in_columns(targets), pos_weight=positive_weights
        )

    return loss


def value_loss(config: LossConfig) -> LossFunction:
    """A loss between numbers, the mean over samples and outputs."""
    function, arguments = _OF_VALUES[config.name], config.arguments

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return function(outputs.float(), in_columns(targets), **arguments)

    return loss


def in_columns(targets: Tensor) -> Tensor:
    """Float targets [B, K]: those of one number per sample stand in a column, as the model's output does. A difference
    of [B, 1] and [B] would be [B, B]."""
    return targets if targets.ndim > 1 else targets[:, None]


@dataclass(frozen=True)
class UserLoss:
    """A loss of the user's own.

    Attributes:
        made: takes outputs and targets.
        arguments: further keyword arguments of it.
        has_classes: whether it is given class indices as they are, rather than numbers in columns.
    """

    made: Any
    arguments: dict[str, Any]
    has_classes: bool

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Whatever the loss returns: the mean loss of the batch, once `check_scalar` has seen it."""
        loss: Tensor = self.made(outputs, self._given(targets), **self.arguments)
        return loss

    @property
    def says_weight(self) -> bool:
        """Whether it has a method `batch_weight`."""
        return callable(getattr(self.made, "batch_weight", None))

    def batch_weight(self, targets: Tensor) -> Any:
        """What a batch counts beside others, as the loss says it."""
        return self.made.batch_weight(self._given(targets))

    def _given(self, targets: Tensor) -> Tensor:
        return targets if self.has_classes else in_columns(targets)


def user_loss(config: LossConfig, device: torch.device, *, has_classes: bool) -> UserLoss:
    """The user's own loss, on its device.

    `path/to/file.py:name` is the loss itself where it is a function of two positional arguments, outputs and targets;
    `[loss]`'s further keys are its keyword arguments. Otherwise it is a class or a function that is called with these
    keys and returns the loss: any callable, such as an nn.Module.

    It is given outputs [B, K] and class indices [B], or float targets [B, K]. Where the loss of a batch is another
    mean than that over its samples, a method `batch_weight(targets)` may return the sum of the weights.

    Raises:
        ConfigError: arguments that it doesn't take.
        UserCodeError: it raised, or made something that can't be called or has weights of its own.
    """
    made: Any = load_object(config.name, "a loss function, or a class or function that makes one")
    arguments = config.arguments
    if not _is_loss_itself(made):
        check_arguments(made, arguments, f"loss {config.name}")
        try:
            made, arguments = made(**arguments), {}
        except Exception as error:
            raise_user_error(error, config.name)
        if not callable(made):
            raise UserCodeError(
                f"{config.name}: returned {type(made).__name__}; expected a loss: a callable of outputs and targets"
            )
    if isinstance(made, nn.Module):
        if any(parameter.requires_grad for parameter in made.parameters()):
            raise UserCodeError(
                f"{config.name}: has its own weights, which no optimizer would train; move them to the model, or "
                "make them buffers"
            )
        made = made.to(device)
    return UserLoss(made, arguments, has_classes)


def check_scalar(loss: object, name: str) -> None:
    """Check what a loss returned.

    Raises:
        UserCodeError: it is not a floating-point scalar with a gradient.
    """
    if not isinstance(loss, Tensor):
        raise UserCodeError(
            f"{name}: returned {type(loss).__name__}; expected the mean loss of a batch, a scalar tensor"
        )
    if loss.ndim:
        raise UserCodeError(
            f"{name}: returned a tensor of {list(loss.shape)}; expected a scalar: the mean over the batch, as "
            "`loss.mean()` makes it"
        )
    if not loss.is_floating_point():
        raise UserCodeError(f"{name}: returned a scalar of {loss.dtype}; expected a floating-point number")
    if not loss.requires_grad:
        raise UserCodeError(f"{name}: returned a number without a gradient; were the outputs detached?")


def _is_loss_itself(made: Callable[..., Any]) -> bool:
    """Whether it takes outputs and targets, rather than making what does: a function with two positional arguments
    that have no default."""
    if inspect.isclass(made):
        return False
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional and parameter.default is parameter.empty for parameter in parameters) >= 2
