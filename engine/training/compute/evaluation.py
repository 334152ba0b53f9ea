"""Evaluation of a model on a split: in eval mode and back, without moving any state of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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


def evaluate(
    model: nn.Module,
    loader: BatchLoader,
    objective: Objective,
    placement: Placement,
    interrupted: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> Evaluation | None:
    """Evaluate `model` on every batch of `loader`.

    Args:
        model: takes a batch's inputs; what of its output counts, `prediction_of` says.
        loader: the split, with its eval transforms.
        objective: the loss and what else is measured.
        placement: precision and memory format, as in training.
        interrupted: asked between batches; when it says True, evaluation ends.
        ranks: the processes, each of which evaluates its block of the split; all have the scores of the whole.

    Returns:
        The scores, or None when interrupted.
    """
    meter, held = objective.new_meter(), HeldOutputs()
    losses: list[Tensor] = []
    samples = 0
    total_weight: Tensor | int = 0
    # Running statistics of a batch norm are those of the first process, which saves them.
    ranks.spread(list(model.buffers()))
    # no_grad rather than inference_mode: tensors made in inference mode break a later compiled training step.
    with eval_mode(model), torch.no_grad():
        for inputs, targets in loader.batches(epoch=0):
            if interrupted():
                return None
            if not len(targets):
                # A process without a sample of the last batch.
                continue
            if placement.channels_last:
                inputs = channels_last(inputs)
            with torch.autocast(
                placement.device.type,
                dtype=placement.autocast_dtype,
                enabled=placement.autocast_dtype is not None,
            ):
                outputs = prediction_of(call_model(model, inputs))
            loss, weight = objective.plain_loss(outputs.float(), targets), objective.plain_weight(targets)
            # The mean over nothing is NaN, and counts nothing.
            losses.append(torch.where(weight > 0, loss, 0) * weight if isinstance(weight, Tensor) else loss * weight)
            total_weight = total_weight + weight
            # A compiled model may write its next output where this one lies.
            held.add([outputs.clone()], [targets])
            if held.is_full:
                meter.update(*held.take())
            samples += len(targets)
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
