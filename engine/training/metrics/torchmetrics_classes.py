"""The classes of torchmetrics by name, where it is installed: found, checked, and given tensors as they take them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...errors import ConfigError, did_you_mean
from ...metric_names import TargetKind

TORCHMETRICS = "torchmetrics."


def torchmetrics_class(name: str) -> Callable[..., Any]:
    """A class of torchmetrics by its dotted name.

    Raises:
        ConfigError: torchmetrics is not installed, or has no such class.
    """
    where = f"metric {name}"
    try:
        import torchmetrics
    except ImportError as error:
        raise ConfigError(
            f"{where}: needs the package torchmetrics: pip install 'torchdeck[metrics]' ({error})"
        ) from error
    module, _, class_name = name.rpartition(".")
    try:
        found = vars(importlib.import_module(module))
    except ImportError as error:
        raise ConfigError(f"{where}: there is no module {module}: {error}") from error
    classes = [
        each for each, value in found.items() if isinstance(value, type) and issubclass(value, torchmetrics.Metric)
    ]
    if class_name not in classes:
        hint = did_you_mean(class_name, sorted(classes))
        raise ConfigError(f"{where}: {module} has no metric of that name{hint}")
    maker: Callable[..., Any] = found[class_name]
    return maker


def check_keywords_of_base(maker: Any, arguments: Mapping[str, Any], where: str) -> None:
    """Check the arguments that a class passes on as `**kwargs`, which its signature doesn't tell.

    Raises:
        ConfigError: neither the class nor `torchmetrics.Metric` takes it.
    """
    import torchmetrics

    class Bare(torchmetrics.Metric):  # type: ignore[misc, name-defined, unused-ignore]
        def update(self) -> None:
            """Counts nothing."""

        def compute(self) -> None:
            """Has nothing to tell."""

    takers = [maker, *(base.__init__ for base in maker.__mro__)]
    named = {name for taker in takers for name in inspect.signature(taker).parameters}
    for name, value in arguments.items():
        if name in named:
            continue
        try:
            Bare(**{name: value})
        except ValueError as error:
            own = list(inspect.signature(maker).parameters)
            raise ConfigError(f"{where}: unknown argument '{name}'{did_you_mean(name, own)}") from error


def as_torchmetrics_takes(kind: TargetKind, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and targets of a batch in the forms that torchmetrics documents.

    Args:
        kind: what the targets are.
        outputs: float32 [B, K], logits or predicted values.
        targets: [B] class indices, or [B, K] floats.

    Returns:
        Probabilities [B, C] and indices [B]; probabilities [B, K] and labels of 0 and 1 [B, K]; or two times [B, K],
        [B] for one value per sample.
    """
    if kind == "classes":
        return outputs.softmax(dim=1), targets.argmax(dim=1) if targets.is_floating_point() else targets
    targets = targets.reshape(outputs.shape)
    if kind == "labels":
        return outputs.sigmoid(), (targets >= 0.5).long()
    return (outputs, targets) if outputs.shape[1] > 1 else (outputs[:, 0], targets[:, 0])
