"""Weights of batches: what a batch counts where losses of several, each a mean itself, become the loss of all.

A mean of means is the mean of all only with the sum of the samples' weights as each one's weight: where classes have
weights, or a loss ignores some samples, that is not the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...randomness import generators_kept
from ...user_code import raise_user_error
from .losses import UserLoss

BatchWeight = Callable[[Tensor], Tensor]
"""A function from the targets of a batch to the sum of its samples' weights, a scalar on the device."""

# A loss of the user's own is tried on single samples, of this many classes at most.
_MAX_CLASSES = 256
_VERIFIED_SAMPLES = 64
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class LossWeights:
    """How much the batches of a loss count.

    Attributes:
        of_batch: weight of a batch by its class indices or other targets; None where it is the number of samples.
        may_be_zero: whether a batch may count nothing.
        are_known: False where the loss is no mean over samples and doesn't say its weight either.
    """

    of_batch: BatchWeight | None = None
    may_be_zero: bool = False
    are_known: bool = True

    @classmethod
    def of_classes(cls, weights: Tensor) -> LossWeights:
        """Each class has its weight, [C]."""
        # The sum is that of the loss's own denominator, not that of another rounding.
        table = weights if weights.device.type == "mps" else weights.double()
        return cls(lambda targets: table[targets].sum(), bool((weights == 0).any()))


def weights_of_user_loss(loss: UserLoss, name: str, targets: Tensor, num_outputs: int) -> LossWeights:
    """The weights of a loss of the user's own.

    A loss with a method `batch_weight(targets)` says them; those of torch's classes are known; of another the weight
    of each class is measured on single samples and pairs.

    Args:
        loss: returns the mean loss of a batch.
        name: name in the config, for messages.
        targets: some of the training split, on the loss's device.
        num_outputs: classes, labels or values per sample.

    Raises:
        UserCodeError: `batch_weight` raised.
    """
    if loss.says_weight:
        return _said(loss, name, targets)
    if loss.has_classes and (weights := _of_torch(loss.made, num_outputs, targets.device)) is not None:
        return LossWeights() if bool((weights == weights[0]).all()) else LossWeights.of_classes(weights)
    module = loss.made if isinstance(loss.made, nn.Module) else nn.Identity()
    buffers = {key: value.clone() for key, value in module.state_dict().items()}
    with generators_kept():
        try:
            return _measured(loss, targets, num_outputs)
        except Exception:
            # A loss that needs several samples, as contrastive ones do, is no mean over samples.
            return LossWeights(are_known=False)
        finally:
            module.load_state_dict(buffers)


def on_host(weights: Sequence[Tensor | float]) -> list[float]:
    """Weights as numbers. Waits for the device once."""
    there = [weight for weight in weights if isinstance(weight, Tensor)]
    values = iter(torch.stack(there).tolist() if there else [])
    return [next(values) if isinstance(weight, Tensor) else weight for weight in weights]


def _said(loss: UserLoss, name: str, targets: Tensor) -> LossWeights:
    def weight(targets: Tensor) -> Tensor:
        said = loss.batch_weight(targets)
        return torch.as_tensor(said, dtype=torch.float32, device=targets.device).detach().sum()

    try:
        weight(targets)
    except Exception as error:
        raise_user_error(error, f"{name}: batch_weight")
    return LossWeights(weight, may_be_zero=True)


def _of_torch(made: Any, num_classes: int, device: torch.device) -> Tensor | None:
    """The class weights of torch's own mean losses of classes; None for anything else.

    With label smoothing, samples of a class that weighs 0 have a loss of the other classes all the same.
    """
    is_plain = type(made) in (nn.CrossEntropyLoss, nn.NLLLoss)
    if not is_plain or made.reduction != "mean" or (made.weight is not None and len(made.weight) != num_classes):
        return None
    weights = torch.ones(num_classes, device=device) if made.weight is None else made.weight.detach().clone()
    if getattr(made, "label_smoothing", 0) and bool((weights == 0).any()):
        return None
    if 0 <= made.ignore_index < num_classes:
        weights[made.ignore_index] = 0
    return weights


def _measured(loss: UserLoss, targets: Tensor, num_outputs: int) -> LossWeights:
    if not loss.has_classes or targets.is_floating_point():
        outputs = torch.randn(len(targets), num_outputs, device=targets.device)
        is_mean = _agree(_loss_of(loss, outputs, targets), _singles(loss, outputs, targets).mean())
        return LossWeights(are_known=is_mean)
    steps = min(num_outputs, _MAX_CLASSES)
    classes = torch.linspace(0, num_outputs - 1, steps, device=targets.device, dtype=torch.float64).round().long()
    outputs = torch.randn(steps, num_outputs, device=targets.device)
    singles = _singles(loss, outputs, classes)
    if _agree(_loss_of(loss, outputs, classes), singles.mean()):
        return LossWeights()
    weights = _class_weights(loss, outputs, classes, singles) if steps == num_outputs else None
    if weights is None or not _explains(loss, weights, targets):
        return LossWeights(are_known=False)
    return LossWeights.of_classes(weights)


def _class_weights(loss: UserLoss, outputs: Tensor, classes: Tensor, singles: Tensor) -> Tensor | None:
    """What each class counts beside a class that counts 1, float64 [C]; None where none counts.

    The loss L of two samples with losses a and b is (w·a + b) / (w + 1), so w = (L - b) / (a - L).
    """
    counted = (singles.isfinite() & (singles != 0)).nonzero()
    if not len(counted):
        return None
    reference = int(counted[0])
    beside = [torch.tensor([index, reference], device=classes.device) for index in range(len(classes))]
    pairs = torch.stack([_loss_of(loss, outputs[pair], classes[pair]) for pair in beside])
    weights = (pairs - singles[reference]) / (singles - pairs)
    weights[~singles.isfinite()] = 0
    weights[reference] = 1
    # What is 0 or 1 but for rounding is just that.
    for whole in (0.0, 1.0):
        weights[(weights - whole).abs() < _TOLERANCE] = whole
    return weights if bool((weights >= 0).all()) else None


def _explains(loss: UserLoss, weights: Tensor, targets: Tensor) -> bool:
    """Whether the loss of a batch is the mean of its samples' by these weights."""
    some = torch.cat([torch.arange(len(weights), device=targets.device), targets])[:_MAX_CLASSES]
    some = torch.cat([some, targets[:_VERIFIED_SAMPLES]])
    outputs = torch.randn(len(some), len(weights), device=targets.device)
    of_each = weights[some]
    singles = _singles(loss, outputs, some).masked_fill(of_each == 0, 0)
    return _agree(_loss_of(loss, outputs, some), (singles * of_each).sum() / of_each.sum())


def _singles(loss: UserLoss, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of each sample alone, float64 [N]."""
    alone = (slice(index, index + 1) for index in range(len(targets)))
    return torch.stack([_loss_of(loss, outputs[one], targets[one]) for one in alone])


def _loss_of(loss: UserLoss, outputs: Tensor, targets: Tensor) -> Tensor:
    """In double precision where the loss can compute so."""
    try:
        return loss(outputs.double().requires_grad_(), targets).detach().double()
    except (RuntimeError, TypeError):
        return loss(outputs.clone().requires_grad_(), targets).detach().double()


def _agree(loss: Tensor, expected: Tensor) -> bool:
    return bool(torch.isclose(loss, expected, rtol=_TOLERANCE, atol=_TOLERANCE))
