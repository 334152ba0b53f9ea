"""In which order runs are listed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import ConfigError, did_you_mean
from ..on_disk.directory import RunSummary
from .run_filter import setting_of

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
    "tags": (lambda run: " ".join(run.tags) or None, False),
    "source": (lambda run: run.source, False),
    "note": (lambda run: run.note or None, False),
}
ORDERS = tuple(_ORDERS)


def in_order(
    runs: Sequence[RunSummary],
    order: str,
    *,
    is_reversed: bool = False,
    settings: Callable[[RunSummary], Mapping[str, Any]] | None = None,
) -> list[RunSummary]:
    """The runs by a column; those without a value, or with NaN, come last either way.

    Args:
        runs: the newest first, which decides between equals.
        order: one of `ORDERS`, the name of a validation metric, largest first, or a setting as in a filter: numbers
            largest first, then text.
        is_reversed: whether the order is reversed.
        settings: gives the config of a run by dotted key; without it, no setting is an order.

    Raises:
        ConfigError: none of these; names the nearest.
    """
    if order in _ORDERS:
        return _sorted(runs, *_ORDERS[order], is_reversed)
    metrics = {name for run in runs for name in run.metrics}
    if order in metrics:
        return _sorted(runs, lambda run: run.metrics.get(order), True, is_reversed)
    values = {run.path: setting_of(order, settings(run)) for run in runs} if settings is not None else {}
    if not any(value is not None for value in values.values()) and runs:
        raise ConfigError(f"{order}: unknown sort key{did_you_mean(order, [*ORDERS, *sorted(metrics)])}")
    numeric = [run for run in runs if _is_number(values[run.path])]
    worded = [run for run in runs if not _is_number(values[run.path])]
    parts = [
        _sorted(numeric, lambda run: float(values[run.path]), True, is_reversed),
        _sorted(worded, lambda run: _text(values[run.path]), False, is_reversed),
    ]
    return [run for part in parts for run in part]


def _sorted(runs: Sequence[RunSummary], key: _Key, largest_first: bool, is_reversed: bool) -> list[RunSummary]:
    known = [run for run in runs if _is_known(key(run))]
    missing = [run for run in runs if not _is_known(key(run))]
    # Only values that are known are left, all of one kind for each order.
    known.sort(key=key, reverse=largest_first is not is_reversed)  # type: ignore[arg-type]
    return known + missing


def _is_known(value: float | str | None) -> bool:
    return isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower()
