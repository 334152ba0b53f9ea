"""Evaluation of a model on a split: in eval mode and back, without moving any state of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from ...data.loading.batch_loader import BatchLoader
from ...distributed.ranks import ALONE, Ranks
from ...inputs import call_model, channels_last
from ...models.tree.prediction import prediction_of
from ..metrics.meter import Meter
from ..metrics.output_buffer import HeldOutputs
from .objective import Objective
from .placement import Placement
from .step import Batch


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a split.

    Attributes:
        metrics: the figures by name, those of `MEASURED` for its targets.
        tables: results other than single numbers; see the meters of `torchdeck.engine.training.metrics.meter`.
        samples: number of samples in the split.
    """

    metrics: dict[str, float]
    tables: dict[str, Any]
    samples: int


@dataclass(frozen=True)
class Measured:
    """A forward pass in evaluation.

    Attributes:
        outputs: predictions of its samples.
        targets: their targets.
        loss: their mean loss, times `weight`.
        weight: what they count.
    """

    outputs: Tensor
    targets: Tensor
    loss: Tensor
    weight: Tensor | float


Passes = Callable[[Batch, Callable[[Batch], Measured]], Sequence[Measured]]


def _in_one_pass(batch: Batch, measure: Callable[[Batch], Measured]) -> Sequence[Measured]:
    # A process may have no sample of the last batch.
    return [measure(batch)] if len(batch[1]) else []


def evaluate(
    model: nn.Module,
    loader: BatchLoader,
    objective: Objective,
    placement: Placement,
    interrupted: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
    passes: Passes = _in_one_pass,
) -> Evaluation | None:
    """Evaluate `model` on every batch of `loader`.

    Args:
        model: takes a batch's inputs; what of its output counts, `prediction_of` says.
        loader: the split, with its eval transforms.
        objective: the loss and what else is measured.
        placement: precision and memory format, as in training.
        interrupted: asked between batches; when it says True, evaluation ends.
        ranks: the processes, each of which evaluates its block of the split; all have the scores of the whole.
        passes: does the forward pass of a batch, in parts where it must.

    Returns:
        The scores, or None when interrupted.
    """
    meter, held = objective.new_meter(), HeldOutputs()
    losses: list[Tensor] = []
    samples = 0
    total_weight: Tensor | float = 0.0
    # no_grad rather than inference_mode: tensors made in inference mode break a later compiled training step.
    measure = partial(_measured, model, objective, placement)
    with eval_mode(model), torch.no_grad():
        for batch in loader.batches(epoch=0):
            if interrupted():
                return None
            for part in passes(batch, measure):
                losses.append(part.loss)
                total_weight = total_weight + part.weight
                held.add([part.outputs], [part.targets])
                if held.is_full:
                    meter.update(*held.take())
                samples += len(part.targets)
        if held:
            meter.update(*held.take())
    total_loss = sum(torch.stack(losses).double().tolist()) if losses else 0.0
    weight_in_all = float(total_weight)
    if ranks.world > 1:
        total_loss, weight_in_all, samples = _of_all(ranks, meter, losses, weight_in_all, samples)
    mean_loss = total_loss / weight_in_all if weight_in_all else float("nan")
    evaluation = Evaluation({"loss": mean_loss, **meter.metrics()}, meter.tables(), samples)
    # Decisions follow from it: a last bit that differs on one process must not make it decide otherwise.
    return replace(evaluation, metrics=ranks.agreed(evaluation.metrics))


def _measured(model: nn.Module, objective: Objective, placement: Placement, batch: Batch) -> Measured:
    inputs, targets = batch
    if placement.channels_last:
        inputs = channels_last(inputs)
    with torch.autocast(
        placement.device.type, dtype=placement.autocast_dtype, enabled=placement.autocast_dtype is not None
    ):
        outputs = prediction_of(call_model(model, inputs))
    loss, weight = objective.plain_loss(outputs.float(), targets), objective.plain_weight(targets)
    # The mean over nothing is NaN, and counts nothing.
    loss = torch.where(weight > 0, loss, 0) * weight if isinstance(weight, Tensor) else loss * weight
    # A compiled model may write its next output where this one lies.
    return Measured(outputs.clone(), targets, loss, weight)


def _of_all(
    ranks: Ranks, meter: Meter, losses: Sequence[Tensor], weight: float, samples: int
) -> tuple[float, float, int]:
    """Loss, weight and samples of all processes together, whose meter then counts for all of them.

    Losses are added in the order in which processes take batches in turn: as one process adds them.
    """
    meter.add_up(ranks)
    own = torch.stack(list(losses)).double().tolist() if losses else []
    of_ranks = ranks.gathered((own, weight, samples))
    in_turn = zip_longest(*(terms for terms, _, _ in of_ranks), fillvalue=0.0)
    total = sum(term for batches in in_turn for term in batches)
    return total, sum(each for _, each, _ in of_ranks), sum(each for _, _, each in of_ranks)


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
