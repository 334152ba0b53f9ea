"""Loss and score of every step, kept on the device and read back a few times per second."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...distributed.ranks import ALONE, Ranks
from ..compute.loss_weights import on_host
from ..compute.objective import Objective
from ..metrics.output_buffer import HeldOutputs
from ..metrics.prediction_counts import PredictionCounts


@dataclass(frozen=True)
class StepBlock:
    """Consecutive steps read back from the device.

    Attributes:
        loss: mean loss of each step.
        scores: right predictions of each step, or whatever else its objective's `scores` add up to.
        samples: samples of each step.
        learning_rate: the rate each step ran at.
        weights: what each step counts in the mean loss of several; None where that is its samples.
        counts: what all of them predicted, as `PredictionCounts.take` gives it.
    """

    loss: list[float]
    scores: list[float]
    samples: list[int]
    learning_rate: list[float]
    weights: list[float] | None = None
    counts: Tensor | None = None

    def __len__(self) -> int:
        return len(self.loss)


class StepLog:
    """Collects what each step produced; `drain` is the only place that waits for the device."""

    def __init__(self, objective: Objective, ranks: Ranks = ALONE) -> None:
        """Collect nothing yet. Of several processes, each adds its own part; blocks are of all together."""
        self._objective = objective
        self._ranks = ranks
        self._losses: list[Tensor] = []
        self._samples: list[int] = []
        self._learning_rates: list[float] = []
        self._scores: list[Tensor] = []
        self._weights: list[Tensor | float] = []
        self._held = HeldOutputs()
        self._counts = PredictionCounts(objective.kind, objective.num_outputs, objective.device)
        self._unfolded_steps: list[int] = []

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, loss: Tensor, logits: list[Tensor], targets: list[Tensor], learning_rate: float) -> None:
        """Remember one step.

        Args:
            loss: scalar on the device.
            logits: [B, K] for each batch of the step's window.
            targets: targets of each batch of the window.
            learning_rate: the rate the step ran at.
        """
        self._losses.append(loss)
        self._learning_rates.append(learning_rate)
        if self._objective.weights.of_batch is not None:
            self._weights.append(sum(self._objective.weight(part) for part in targets))
        self._held.add(logits, targets)
        samples = sum(map(len, targets))
        self._samples.append(samples)
        self._unfolded_steps.append(samples)
        if self._held.is_full:
            self._fold()

    def clear(self) -> None:
        """Forget every step that was not read back."""
        self._losses, self._scores, self._samples, self._learning_rates, self._weights = [], [], [], [], []
        self._held.clear()
        self._counts.clear()
        self._unfolded_steps = []

    def drain(self) -> StepBlock:
        """Everything since the last drain, as numbers; waits for the device."""
        self._fold()
        block = StepBlock(
            loss=torch.stack(self._losses).tolist() if self._losses else [],
            scores=torch.cat(self._scores).tolist() if self._scores else [],
            samples=self._samples,
            learning_rate=self._learning_rates,
            weights=on_host(self._weights) if self._weights else None,
            counts=self._counts.take(),
        )
        self._losses, self._scores, self._samples, self._learning_rates, self._weights = [], [], [], [], []
        return block if self._ranks.world == 1 else self._of_all(block)

    def _of_all(self, block: StepBlock) -> StepBlock:
        """The sum of the processes' parts, in one message for each dtype."""
        floats = [torch.tensor(part, dtype=torch.float64) for part in (block.loss, block.scores, block.weights or [])]
        samples = torch.tensor(block.samples)
        counts = [block.counts] if block.counts is not None else []
        self._ranks.add_up([*floats, samples, *counts])
        loss, scores, weights = (part.tolist() for part in floats)
        return StepBlock(loss, scores, samples.tolist(), block.learning_rate, weights or None, block.counts)

    def _fold(self) -> None:
        """Reduce the logits held back to one score per step, and count them."""
        if not self._unfolded_steps:
            return
        predicted, wanted = self._objective.compared(*self._held.take())
        self._counts.update(predicted, wanted)
        scores = self._objective.scores(predicted, wanted)
        steps, self._unfolded_steps = self._unfolded_steps, []
        # Counts add up alike in any order; a sum of floats is the same bits only over the same slice.
        if not scores.is_floating_point() and all(samples == steps[0] for samples in steps):
            self._scores.append(scores.view(len(steps), steps[0]).sum(dim=1))
        else:
            self._scores.append(torch.stack([part.sum() for part in scores.split(steps)]))
