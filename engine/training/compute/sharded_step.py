"""A training step in shards that are added up in a fixed order: the same bits on any number of processes.

Every shard goes through the model alone, with random numbers of its own; gradients, running statistics and losses are
added in the order of a binary tree. A process adds up its own shards, then the processes exchange their sums: the tree
is the same however many of them there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...distributed.part import WHOLE, Part
from ...distributed.ranks import ALONE, Ranks
from ...inputs import Inputs, map_tensors
from .step import Batch, TrainStep, Weight


class ShardedStep(TrainStep):
    """Computes each batch in shards; see the module.

    Batch normalization takes its statistics over a shard, and the running ones become the mean over the shards'.
    """

    _ranks: Ranks = ALONE
    _shards: Part = WHOLE
    _seed_shard: Callable[[int], None]
    _samples_of_batches: Callable[[], list[int]]

    def join(
        self,
        ranks: Ranks,
        part: Part,
        seed_shard: Callable[[int], None],
        samples_of_batches: Callable[[], list[int]],
    ) -> None:
        """Compute in shards from the next step on.

        Args:
            ranks: the processes, a power of two of them.
            part: this process's shards.
            seed_shard: sets the generators for a shard of the run's next step.
            samples_of_batches: samples of each batch of the next step, in all processes.
        """
        self._ranks, self._shards = ranks, part
        self._seed_shard, self._samples_of_batches = seed_shard, samples_of_batches

    @property
    def can_split(self) -> bool:
        """Never: other parts would have other bits."""
        return False

    def forward_backward(self, window: Sequence[Batch]) -> tuple[Tensor, list[Tensor]]:
        """As `TrainStep.forward_backward`, of this process's shards.

        Returns:
            On the first process the mean loss of all, 0 on the others, and the predictions of each batch.
        """
        shards = [
            _cut(batch, self._shards.shard_sizes(samples))
            for batch, samples in zip(window, self._samples_of_batches(), strict=True)
        ]
        weights = [self.objective.window_weights([targets for _, targets in batch]) for batch in shards]
        in_all = self._weight_of_all(weights)
        self.has_counted = in_all > 0
        sums: Tensor | None = None
        predictions: list[Tensor] = []
        for batch, of_shards in zip(shards, weights, strict=True):
            before = [buffer.clone() for buffer in self.model.buffers()]
            of_batch, logits = self._batch(batch, of_shards, in_all, before)
            self._ranks.add_in_pairs(of_batch)
            self._take_statistics(of_batch, before)
            sums = of_batch if sums is None else sums + of_batch
            predictions.append(logits)
        assert sums is not None
        self._take_gradients(sums)
        loss = sums[-2].to(torch.float32)
        return (loss if self._ranks.is_first else torch.zeros_like(loss)), predictions

    def _weight_of_all(self, weights: Sequence[Sequence[Weight]]) -> float:
        """What the samples of the step count in all processes: added in the order of the shards."""
        if self.objective.weights.of_batch is None:
            return float(sum(self._samples_of_batches()))
        own = [[float(weight) for weight in of_shards] for of_shards in weights]
        of_ranks = self._ranks.gathered(own)
        return sum(weight for batch in zip(*of_ranks, strict=True) for shards in batch for weight in shards)

    def _batch(
        self, shards: Sequence[Batch], weights: Sequence[Weight], in_all: float, before: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The sums of one batch over this process's shards, as `_look` lays them out, and its predictions."""
        tree: list[tuple[int, Tensor]] = []
        predictions: list[Tensor] = []
        for number, shard, weight in zip(self._shards.own_shards, shards, weights, strict=True):
            loss = torch.zeros((), device=self.placement.device)
            if len(shard[1]):
                self._reset(before)
                self._seed_shard(number)
                function = (self.objective.loss_sum or self.objective.loss) if weight > 0 and in_all else None
                loss, logits = self._forward(*shard, function)
                predictions.append(self._kept(logits))
                if function is not None:
                    share = 1 / in_all if self.objective.loss_sum is not None else float(weight) / in_all
                    loss = loss * share
                    self._backward(loss)
            sums = self._look(loss.detach(), before, has_samples=bool(len(shard[1])))
            self.optimizer.zero_grad(set_to_none=True)
            height = 0
            # Two sums of equally many shards become one, as in the carries of a binary counter.
            while tree and tree[-1][0] == height:
                sums, height = tree.pop()[1] + sums, height + 1
            tree.append((height, sums))
        # As many shards as a power of two leave one sum.
        return tree[0][1], torch.cat(predictions) if predictions else self._no_predictions(shards)

    def _look(self, loss: Tensor, before: Sequence[Tensor], *, has_samples: bool) -> Tensor:
        """One vector of everything that is added up, float32.

        Gradients; what running statistics changed by; 1 for each weight that has a gradient; the loss; 1 where there
        are samples.
        """
        weights = self._parameters
        there = [weight.grad is not None for weight in weights]
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        changes = [
            buffer - first if has_samples else torch.zeros_like(buffer)
            for buffer, first in zip(self.model.buffers(), before, strict=True)
            if buffer.is_floating_point()
        ]
        flags = torch.tensor([*there, has_samples], dtype=torch.float32, device=self.placement.device)
        flat = [tensor.detach().reshape(-1).float() for tensor in (*gradients, *changes)]
        return torch.cat([*flat, flags[:-1], loss.reshape(1).float(), flags[-1:]])

    def _take_gradients(self, sums: Tensor) -> None:
        """Give each weight the gradient that was added up."""
        start = 0
        there = sums[-2 - len(self._parameters) : -2].tolist()
        for weight, has_gradient in zip(self._parameters, there, strict=True):
            part = sums[start : start + weight.numel()]
            start += weight.numel()
            weight.grad = part.view_as(weight).to(weight.dtype) if has_gradient else None

    @torch.no_grad()
    def _take_statistics(self, sums: Tensor, before: Sequence[Tensor]) -> None:
        """Change the model's running statistics by the mean over the shards that had samples."""
        start = sum(weight.numel() for weight in self._parameters)
        shards = sums[-1].clamp(min=1)
        for buffer, first in zip(self.model.buffers(), before, strict=True):
            if buffer.is_floating_point():
                change = sums[start : start + buffer.numel()] / shards
                start += buffer.numel()
                buffer.copy_(first + change.view_as(buffer).to(buffer.dtype))

    @torch.no_grad()
    def _reset(self, before: Sequence[Tensor]) -> None:
        for buffer, first in zip(self.model.buffers(), before, strict=True):
            buffer.copy_(first)

    def _no_predictions(self, shards: Sequence[Batch]) -> Tensor:
        return torch.zeros(len(shards[0][1]), self.objective.num_outputs, device=self.placement.device)


def _cut(batch: Batch, sizes: Sequence[int]) -> list[Batch]:
    """A batch as adjacent shards of given sizes."""
    inputs, targets = batch
    shards: list[Batch] = []
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        shards.append((_rows(inputs, part), targets[part]))
        start += size
    return shards


def _rows(inputs: Inputs, part: slice) -> Inputs:
    rows: Inputs = map_tensors(lambda tensor: tensor[part], inputs)
    return rows
