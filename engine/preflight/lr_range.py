"""The learning-rate range test: a short run whose rate grows from step to step, on weights of its own.

L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017. It builds its own model and leaves the
generators as they were, so a run in the same process is not touched by it; nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..build import Progress, prepare
from ..config import RunConfig
from ..data.loading.batch_loader import BatchLoader
from ..data.loading.loaders import build_loaders
from ..errors import ConfigError
from ..randomness import StepRandomness, generators_kept
from ..training.compute.placement import placed
from ..training.compute.step import Batch, TrainStep
from ..training.optimization.optimizers import build_optimizer

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
# The loss is averaged as Adam averages gradients; the test ends when the average is this many times its best.
_SMOOTHING = 0.95
_DIVERGED = 4.0
_FEWEST_STEPS = 10
# Where classes count nothing, the test ends after so many windows for each of its steps.
_WINDOWS_PER_STEP = 20


@dataclass(frozen=True)
class RangeTest:
    """Result of a learning rate range test.

    Attributes:
        learning_rates: learning rate of each step, ascending.
        losses: the smoothed loss at each.
        suggested: a rate to train with; NaN when the loss fell nowhere.
        diverged: whether the loss rose so far that the test ended early.
    """

    learning_rates: list[float]
    losses: list[float]
    suggested: float
    diverged: bool


def find_learning_rate(
    config: RunConfig,
    *,
    progress: Progress,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
) -> RangeTest:
    """Train for some steps with a growing learning rate, and suggest one from the fall of the loss.

    Args:
        config: the run whose rate is looked for; its own rate and schedule have no effect.
        progress: called with what is done, steps done, steps in all; may raise to end the test.
        lowest: the first step's rate.
        highest: the last step's.
        steps: how many.

    Raises:
        ConfigError: a range that is none, or whatever is wrong with the config.
        TorchdeckError: data or model can't be had.
    """
    if not 0 < lowest < highest or steps < _FEWEST_STEPS:
        raise ConfigError(
            f"a range test goes from a rate above 0 to a higher one in at least {_FEWEST_STEPS} steps, "
            f"not from {lowest:g} to {highest:g} in {steps}"
        )
    with generators_kept():
        return _test(config, progress, lowest, highest, steps)


def _test(config: RunConfig, progress: Progress, lowest: float, highest: float, steps: int) -> RangeTest:
    prepared = prepare(config, progress)
    placement = prepared.placement
    with placed(placement):
        data = build_loaders(prepared.sources, config, placement.device, progress)
        model = prepared.model.to(placement.device).train()
        optimizer = build_optimizer(config.optimizer, model)
        step = TrainStep.of(config, model, optimizer, prepared.objective, placement)
        shares = [group["lr"] / optimizer.param_groups[0]["lr"] for group in optimizer.param_groups]
        randomness = StepRandomness(config.seed, placement.device)
        rates: list[float] = []
        losses: list[float] = []
        average, best = 0.0, math.inf
        for window_number, window in enumerate(_windows(data.train, config.training.accumulate)):
            number = len(rates)
            if number == steps or window_number == steps * _WINDOWS_PER_STEP:
                break
            rate = lowest * (highest / lowest) ** (number / (steps - 1))
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                group["lr"] = rate * share
            randomness.seed_step(window_number)
            loss = float(step(window)[0])
            if not step.has_counted:
                # It has no loss, and changed no weight: the rate is tried with the next window.
                continue
            average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
            smooth = average / (1 - _SMOOTHING ** (number + 1))
            if not math.isfinite(smooth) or (number >= _FEWEST_STEPS and smooth > _DIVERGED * best):
                return RangeTest(rates, losses, suggest(rates, losses), diverged=True)
            best = min(best, smooth)
            rates.append(rate)
            losses.append(smooth)
            progress(f"learning rate {rate:.1e}, loss {smooth:.4g}", number + 1, steps)
    return RangeTest(rates, losses, suggest(rates, losses), diverged=False)


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate at which the smoothed loss falls fastest; NaN when it doesn't fall by a hundredth anywhere.

    Args:
        rates: ascending, evenly spaced in their logarithms, [N].
        losses: at each rate, [N].
    """
    if len(losses) < 3:
        return math.nan
    lowest = min(range(len(losses)), key=losses.__getitem__)
    if lowest == 0 or losses[lowest] > 0.99 * losses[0]:
        return math.nan
    falls = [losses[max(0, at - 1)] - losses[at + 1] for at in range(lowest)]
    return rates[max(range(lowest), key=falls.__getitem__)]


def _windows(loader: BatchLoader, accumulate: int) -> Iterator[list[Batch]]:
    """Windows of training batches, through as many epochs as are asked for."""
    window: list[Batch] = []
    epoch = 0
    while True:
        for batch in loader.batches(epoch):
            window.append(batch)
            if len(window) == accumulate:
                yield window
                window = []
        epoch += 1
