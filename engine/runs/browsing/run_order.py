"""In which order runs are listed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...errors import ConfigError, did_you_mean
from ..on_disk.directory import RunSummary

_Key = Callable[[RunSummary], float | str | None]

# What the first of the list has: the largest value (True) or the smallest.
_ORDERS: dict[str, tuple[_Key, bool]] = {
    "newest": (lambda run: run.started, True),
    "accuracy": (lambda run: run.metrics.get("accuracy"), True),
    "loss": (lambda run: run.metrics.get("loss"), False),
    "best": (lambda run: run.best["value"] if run.best else None, True),
    "epoch": (lambda run: run.epoch, True),
    "step": (lambda run: run.step, True),
    "status": (lambda run: run.status, False),
    "run": (lambda run: run.name.lower(), False),
    "age": (lambda run: run.modified, True),
}
ORDERS = tuple(_ORDERS)


def in_order(runs: Sequence[RunSummary], order: str, *, is_reversed: bool = False) -> list[RunSummary]:
    """The runs by a column; those without a value, or with NaN, come last either way.

    Args:
        runs: the newest first, which decides between equals.
        order: one of `ORDERS`, or the name of a validation metric, largest first.
        is_reversed: whether the order is reversed.

    Raises:
        ConfigError: neither; names the nearest.
    """
    key, largest_first = _ORDERS.get(order) or (lambda run: run.metrics.get(order), True)
    metrics = {name for run in runs for name in run.metrics}
    if order not in _ORDERS and order not in metrics:
        raise ConfigError(f"{order}: unknown sort key{did_you_mean(order, [*ORDERS, *sorted(metrics)])}")
    known = [run for run in runs if _is_known(key(run))]
    missing = [run for run in runs if not _is_known(key(run))]
    # Only values that are known are left, all of one kind for each order.
    known.sort(key=key, reverse=largest_first is not is_reversed)  # type: ignore[arg-type]
    return known + missing


def _is_known(value: float | str | None) -> bool:
    return isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))
