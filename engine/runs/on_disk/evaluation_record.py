"""Validated content of `evaluation.json`: only values of the expected form, whichever program wrote the file."""

from __future__ import annotations

from typing import Any

from ...files.json_values import number, numbers, whole_number

_PER_CLASS = {"precision", "recall", "f1", "mae", "rmse", "r2"}
_CALIBRATION = {"samples", "confidence", "accuracy"}


def known_evaluation(value: dict[str, Any], num_classes: int) -> dict[str, Any]:
    """An evaluation without the parts that can't be shown; empty when it has no metrics.

    Args:
        value: value as read from the file, NaN and infinity as floats.
        num_classes: names of classes or labels that the run has; 0 where targets are numbers.
    """
    metrics = numbers(value.get("metrics"))
    if not metrics:
        return {}
    known: dict[str, Any] = {name: whole_number(value.get(name)) for name in ("epoch", "step")}
    known["metrics"] = metrics
    if averaged := numbers(value.get("ema")):
        known["ema"] = averaged
    tables = value.get("tables")
    known["tables"] = {
        weights: {name: table for name, table in own.items() if _is_known(name, table, num_classes)}
        for weights, own in (tables if isinstance(tables, dict) else {}).items()
        if isinstance(own, dict)
    }
    return known


def _is_known(name: str, table: Any, num_classes: int) -> bool:
    if name == "confusion":
        return isinstance(table, list) and all(_is_cell(cell, num_classes) for cell in table)
    if not isinstance(table, dict) or not all(isinstance(column, list) for column in table.values()):
        return False
    if any(number(figure) is None for column in table.values() for figure in column):
        return False
    lengths = {len(column) for column in table.values()}
    if name == "calibration":
        shares = [*table.get("confidence", []), *table.get("accuracy", [])]
        return table.keys() >= _CALIBRATION and len(lengths) == 1 and all(0 <= share <= 1 for share in shares)
    has_columns = name in ("per_class", "per_output") and bool(_PER_CLASS & table.keys())
    return has_columns and len(lengths) == 1 and (not num_classes or lengths == {num_classes})


def _is_cell(cell: Any, num_classes: int) -> bool:
    """Whether it is [target, predicted, samples]."""
    if not isinstance(cell, list) or len(cell) != 3 or any(whole_number(part) != part for part in cell):
        return False
    return max(cell[:2]) < num_classes
