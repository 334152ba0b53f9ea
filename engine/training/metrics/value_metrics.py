"""Regression metrics, added up on the device in double precision."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...distributed.ranks import Ranks


class ValueMeter:
    """Everything that is measured of a model that predicts numbers. See `Meter`.

    R² is 1 − Σ(y − ŷ)² / Σ(y − ȳ)² of each output, and the mean of that over outputs; an output whose targets are all
    alike has 1 when every prediction is exact and 0 otherwise, as in scikit-learn's `r2_score`.
    """

    def __init__(self, num_values: int, device: torch.device) -> None:
        # Rows: Σ|e|, Σe², Σ(y − s), Σ(y − s)², with the shift s a first guess of the mean: the difference of two large
        # sums would lose the variance of targets far from 0.
        self._sums = torch.zeros(4, num_values, dtype=torch.float64, device=device)
        self._shift: Tensor | None = None
        self._samples = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count predictions and targets [B, K], or [B] for one value a sample."""
        wanted = targets.reshape(len(targets), -1).double()
        errors = outputs.reshape(wanted.shape).double() - wanted
        if self._shift is None:
            self._shift = wanted.mean(dim=0)
        shifted = wanted - self._shift
        self._sums += torch.stack([errors.abs(), errors.square(), shifted, shifted.square()]).sum(dim=1)
        self._samples += len(targets)

    def add_up(self, ranks: Ranks) -> None:
        """See `Meter.add_up`. Sums of shifted targets add up only where they are shifted alike: as on rank 0."""
        shift = torch.zeros_like(self._sums[0]) if self._shift is None else self._shift.clone()
        ranks.spread([shift])
        if self._shift is not None:
            moved, once = self._shift - shift, self._sums[2].clone()
            self._sums[2] += self._samples * moved
            self._sums[3] += 2 * moved * once + self._samples * moved.square()
        self._shift = shift
        samples = torch.tensor([self._samples], device=self._sums.device)
        ranks.add_up([self._sums, samples])
        self._samples = int(samples)

    def metrics(self) -> dict[str, float]:
        """See `Meter.metrics`."""
        if not self._samples:
            return dict.fromkeys(("mae", "rmse", "r2"), math.nan)
        absolute, squared, _, _ = self._sums.cpu()
        r2 = self._r2()
        return {
            "mae": float(absolute.mean()) / self._samples,
            "rmse": math.sqrt(float(squared.mean()) / self._samples),
            "r2": float(r2.mean()),
        }

    def tables(self) -> dict[str, Any]:
        """`per_output`: MAE, RMSE and R² of each output."""
        if not self._samples:
            return {}
        absolute, squared, _, _ = self._sums.cpu()
        return {
            "per_output": {
                "mae": (absolute / self._samples).tolist(),
                "rmse": (squared / self._samples).sqrt().tolist(),
                "r2": self._r2().tolist(),
            }
        }

    def _r2(self) -> Tensor:
        _, squared, shifted, shifted_squared = self._sums.cpu()
        variation = shifted_squared - shifted.square() / self._samples
        exact = torch.where(squared == 0, 1.0, 0.0).double()
        return torch.where(variation > 0, 1 - squared / variation.clamp(min=1e-300), exact)
