"""Evaluation of a model on a split: in eval mode and back, without moving any state of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.data.loaders import BatchLoader
from engine.inputs import call_model, channels_last
from engine.training.metrics import ConfusionMatrix, accuracy, macro_f1
from engine.training.placement import Placement


@dataclass(frozen=True)
class Evaluation:
    """What a model scores on a split.

    Attributes:
        loss: mean cross-entropy in nats, without label smoothing, so that runs compare.
        accuracy: share of right predictions, between 0 and 1.
        macro_f1: unweighted mean of the classes' F1, between 0 and 1.
        counts: [C, C] int64 confusion matrix; rows are targets.
    """

    loss: float
    accuracy: float
    macro_f1: float
    counts: Tensor

    def metrics(self) -> dict[str, float]:
        """The scalar metrics by name, as they stand in the run's records."""
        return {"loss": self.loss, "accuracy": self.accuracy, "macro_f1": self.macro_f1}


def evaluate(
    model: nn.Module,
    loader: BatchLoader,
    num_classes: int,
    placement: Placement,
    interrupted: Callable[[], bool] = lambda: False,
) -> Evaluation | None:
    """Evaluate `model` on every batch of `loader`.

    Args:
        model: any classifier [B, C, H, W] -> [B, num_classes].
        loader: the split, with its eval transforms.
        num_classes: size of the confusion matrix.
        placement: precision and memory format, as in training.
        interrupted: asked between batches; when it says True, evaluation ends.

    Returns:
        The scores, or None when interrupted.
    """
    matrix = ConfusionMatrix(num_classes, placement.device)
    total_loss = torch.zeros((), dtype=torch.float64, device=placement.device)
    samples = 0
    # no_grad rather than inference_mode: tensors made in inference mode break a later compiled training step.
    with eval_mode(model), torch.no_grad():
        for inputs, targets in loader.batches(epoch=0):
            if interrupted():
                return None
            if placement.channels_last:
                inputs = channels_last(inputs)
            with torch.autocast(
                placement.device.type,
                dtype=placement.autocast_dtype,
                enabled=placement.autocast_dtype is not None,
            ):
                logits = call_model(model, inputs)
            total_loss += functional.cross_entropy(logits.float(), targets, reduction="sum")
            matrix.update(logits, targets)
            samples += len(targets)
    counts = matrix.counts()
    loss = float(total_loss) / samples if samples else float("nan")
    return Evaluation(loss, accuracy(counts), macro_f1(counts), counts)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put every module into eval mode, and each back into its own mode afterwards.

    A module that was held in eval during training (a frozen norm layer) stays so.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
