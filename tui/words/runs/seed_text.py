"""Results of several seeds in words: mean ± standard deviation (number)."""

from __future__ import annotations

import math

from torchdeck.engine.metric_names import metric
from torchdeck.engine.plurals import plural
from torchdeck.engine.runs.browsing.group_comparison import FEWEST_PAIRS, FEWEST_RUNS, GroupDifference
from torchdeck.engine.runs.browsing.seed_groups import SeedGroup, Spread

from ..metric_text import metric_text


def spread_text(name: str, spread: Spread | None, *, with_number: bool = True) -> str:
    """Write a mean with its spread: 96.31% ± 0.42 (n=5)."""
    if spread is None:
        return "–"
    deviation = _deviation(name, spread.std)
    return f"{metric_text(name, spread.mean)}{deviation}{f' (n={spread.n})' if with_number else ''}"


def group_text(group: SeedGroup) -> str:
    """Write what some seeds reached: accuracy 96.31% ± 0.42 (n=5)."""
    name = group.best_metric
    return f"{metric(name).title} {spread_text(name, group.best())}" if name else plural(len(group.runs), "seed")


def difference_text(difference: GroupDifference) -> str:
    """Whether a difference is more than noise, with its interval."""
    name = difference.metric
    shown = _signed(name, difference.mean)
    how = f"paired over {plural(difference.pairs, 'seed')}" if difference.pairs else "of the means"
    if not difference.is_known:
        return (
            f"{metric(name).title} {shown} {how}: too few runs to tell it from noise; "
            f"train {FEWEST_PAIRS} seeds that both have, or {FEWEST_RUNS} of each"
        )
    interval = f"95% interval {_signed(name, difference.low)} to {_signed(name, difference.high)}"
    verdict = "more than noise" if difference.is_more_than_noise else "within noise"
    return f"{metric(name).title} {shown} {how}, {interval}: {verdict}"


def _deviation(name: str, std: float) -> str:
    if not math.isfinite(std):
        return ""
    return f" ± {std * 100:.2f}" if metric(name).is_share else f" ± {std:.2g}"


def _signed(name: str, value: float) -> str:
    return f"{value * 100:+.2f}%" if metric(name).is_share else f"{value:+.3g}"
