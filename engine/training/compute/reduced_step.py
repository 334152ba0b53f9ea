"""A training step of which every process computes its part: the gradients are those of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ...distributed.ranks import ALONE, Ranks
from ...inputs import map_tensors
from ...randomness import generators_kept
from .step import Batch, TrainStep, Weight, batch_of_zeros, buffers_kept

# `spread` sends them once a step: were it done by the passes, one process that does them again would wait for the
# others. Older releases of torch have another name for it.
_NO_BUFFERS: dict[str, Any] = (
    {"forward_sync_buffers": False}
    if "forward_sync_buffers" in signature(DistributedDataParallel).parameters
    else {"broadcast_buffers": False}
)
# Of a batch of which this process has no sample, so many of an earlier one go through the model and count nothing.
_SPARE_SAMPLES = 2


class ReducedStep(TrainStep):
    """DistributedDataParallel averages gradients over processes, and each loss is weighted to make that the mean.

    A process's loss is multiplied by its weight · processes / weight of all: exact for parts of unequal size, for
    class weights, and over a window of accumulated batches, of which only the last backward pass sends anything.
    Passes that ran out of memory on one process are done again by that one alone: what all of them do together before
    the passes is done once a step.
    """

    _in_all: Weight | None = None
    _ranks: Ranks = ALONE
    _samples_of_step: Callable[[], int | None]
    _wrapped: nn.Module | None = None
    _spare: Batch | None = None

    def join(self, ranks: Ranks, samples_of_step: Callable[[], int | None]) -> None:
        """Compute together with others from the next step on.

        Args:
            ranks: the processes.
            samples_of_step: samples of the next step in all processes; None where targets don't tell samples.
        """
        self._ranks, self._samples_of_step = ranks, samples_of_step

    @property
    def can_split(self) -> bool:
        """Also where the processes have to be started again for it, as long as they may."""
        return not self.is_sending or self._ranks.can_begin_again

    def forward_backward(self, window: Sequence[Batch]) -> tuple[Tensor, list[Tensor]]:
        """As `TrainStep.forward_backward`, of this process's part.

        Returns:
            This process's part of the mean loss, which adds up to it over the processes, and the predictions of each
            batch.
        """
        weights = self.objective.window_weights([targets for _, targets in window])
        if self._in_all is None:
            # Buffers, such as running statistics, are those of the first process.
            self._ranks.spread(list(self.model.buffers()))
            self._in_all = self._weight_of_all(weights)
        in_all = self._in_all
        self.has_counted = isinstance(in_all, Tensor) or in_all > 0
        if self._wrapped is None:
            self._wrapped = self._wrap(window)
        total = torch.zeros((), device=self.placement.device)
        predictions: list[Tensor] = []
        self.is_sending = False
        for number, (batch, weight) in enumerate(zip(window, weights, strict=True), start=1):
            loss, logits = self._pass(batch, weight, in_all, is_last=number == len(window))
            total = total + loss
            predictions.append(logits)
        self.is_sending, self._in_all = False, None
        return total, predictions

    def _pass(self, batch: Batch, weight: Weight, in_all: Weight, *, is_last: bool) -> tuple[Tensor, Tensor]:
        """Forward and backward of one batch: its part of the loss, and its predictions."""
        inputs, targets = batch
        is_empty = len(targets) == 0
        if is_empty:
            inputs, targets = self._spare or batch_of_zeros(batch, _SPARE_SAMPLES)
        elif self._spare is None:
            self._spare = map_tensors(lambda tensor: tensor[:_SPARE_SAMPLES].clone(), (inputs, targets))
        counts = not is_empty and self.has_counted and (isinstance(weight, Tensor) or weight > 0)
        function = None
        if counts:
            function = self.objective.loss_sum or self.objective.loss
        assert self._wrapped is not None
        bare, self.model = self.model, self._wrapped if self.has_counted else self.model
        try:
            # DDP decides in the forward pass whether the backward pass sends.
            with nullcontext() if is_last else self._without_sending():
                loss, logits = self._forward(inputs, targets, function)
                if not counts:
                    # The others wait for gradients, and those of nothing are 0.
                    loss = logits.sum() * 0
                share = 1 / in_all if self.objective.loss_sum is not None else weight / in_all
                own = loss * (share.to(loss.dtype) if isinstance(share, Tensor) else share) if counts else loss
                if self.has_counted:
                    self.is_sending = is_last
                    self._backward(own * self._ranks.world)
        finally:
            self.model = bare
        kept = self._kept(logits)
        return own.detach(), kept[:0] if is_empty else kept

    def _weight_of_all(self, weights: Sequence[Weight]) -> Weight:
        """What the samples of the step count in all processes together."""
        if self.objective.weights.of_batch is None:
            samples = self._samples_of_step()
            if samples is not None:
                return samples
        own = sum(weights)
        total = torch.as_tensor(own, dtype=torch.float64).to(self.placement.device).reshape(1)
        self._ranks.add_up([total])
        return total[0] if isinstance(own, Tensor) else float(total[0])

    def _without_sending(self) -> AbstractContextManager[None]:
        """In this context, gradients stay in their process."""
        assert isinstance(self._wrapped, DistributedDataParallel)
        return self._wrapped.no_sync()

    def _wrap(self, window: Sequence[Batch]) -> nn.Module:
        """The model whose backward passes average the gradients."""
        device = self.placement.device
        return DistributedDataParallel(
            self.model,
            device_ids=[device.index] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            **_NO_BUFFERS,
            find_unused_parameters=self._leaves_weights_out(window),
        )

    def _leaves_weights_out(self, window: Sequence[Batch]) -> bool:
        """Whether a weight that trains has no part in the loss of the first batch, on any process."""
        inputs, targets = next((batch for batch in window if len(batch[1])), window[0])
        left_out = False
        if len(targets):
            with generators_kept(with_cuda=True), buffers_kept(self.model), self.rehearsed([(inputs, targets)]):
                left_out = any(weight.grad is None for weight in self._parameters)
        return any(self._ranks.gathered(left_out))
