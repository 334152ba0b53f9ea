"""Evaluations as they are read: whatever the file holds, it can be shown."""

from typing import Any

import pytest

from torchdeck.engine.runs.on_disk.evaluation_record import known_evaluation

PER_CLASS = {"precision": [0.5, 1.0], "recall": [1.0, 0.5], "f1": [0.7, 0.7], "support": [3, 4]}
CALIBRATION = {"samples": [0, 7], "confidence": [0.0, 0.9], "accuracy": [0.0, 0.8]}
TABLES = {"per_class": PER_CLASS, "calibration": CALIBRATION, "confusion": [[0, 1, 2], [1, 1, 3]]}
WHOLE = {"epoch": 2, "step": 10, "metrics": {"loss": 0.5}, "ema": {"loss": 0.4}, "tables": {"": TABLES, "ema": TABLES}}


def test_an_evaluation_as_a_run_writes_it_is_kept_whole() -> None:
    assert known_evaluation(WHOLE, 2) == WHOLE


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("per_class", {**PER_CLASS, "f1": [0.7]}),
        ("per_class", {"support": [3, 4]}),
        ("per_class", {**PER_CLASS, "f1": [0.7, 10**400]}),
        ("per_class", [1, 2]),
        ("calibration", {**CALIBRATION, "accuracy": [0.0, 1e9]}),
        ("calibration", {"samples": [1]}),
        ("confusion", [[0, 2, 1]]),
        ("confusion", [[0, 1]]),
        ("confusion", [[0, 1, "many"]]),
        ("confusion", {}),
        ("of another version", {"f1": [1, 2]}),
    ],
)
def test_a_table_that_can_not_be_shown_is_left_out(name: str, table: Any) -> None:
    assert known_evaluation({**WHOLE, "tables": {"": {**TABLES, name: table}}}, 2)["tables"] == {
        "": {own: kept for own, kept in TABLES.items() if own != name}
    }


@pytest.mark.parametrize("value", [{}, {"metrics": []}, {"metrics": {"loss": "low"}, "tables": 3}])
def test_without_a_metric_there_is_no_evaluation(value: dict[str, Any]) -> None:
    assert known_evaluation(value, 2) == {}


def test_what_is_around_the_metrics_may_be_anything() -> None:
    odd = {"epoch": "two", "step": [], "metrics": {"loss": 1}, "ema": None, "tables": {"": 3}}
    assert known_evaluation(odd, 2) == {"epoch": 0, "step": 0, "metrics": {"loss": 1.0}, "tables": {}}
