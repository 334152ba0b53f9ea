"""Metrics have the same name and format everywhere."""

import numpy as np
import pytest

from torchdeck.engine.metric_names import METRICS
from torchdeck.tui.words.metric_text import best_words, chart_title, charted, metric_text, metric_title
from torchdeck.tui.words.train.epoch_columns import epoch_columns


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 1.0, "100.00%"),
        ("macro_f1", 0.958, "95.80%"),
        ("calibration_error", 0.02146, "2.15%"),
        ("loss", 0.15, "0.1500"),
        ("loss", 1.0, "1.000"),
        ("loss", 0.021461, "0.02146"),
        ("loss", 12345.6, "1.235e+04"),
        ("mae", 1234.0, "1234"),
        ("r2", float("nan"), "–"),
        ("accuracy", None, "–"),
        ("of_a_later_version", 0.5, "0.5000"),
    ],
)
def test_a_share_is_in_percent_and_all_else_has_four_digits(name: str, value: float | None, text: str) -> None:
    assert metric_text(name, value) == text


def test_every_title_fits_its_column() -> None:
    assert all(len(metric_title(name)) <= 11 for name in METRICS)


def test_a_chart_of_shares_is_in_percent() -> None:
    assert (chart_title("accuracy"), charted("accuracy", np.array([0.5, 1.0])).tolist()) == ("accuracy %", [50, 100])
    assert (chart_title("loss"), charted("loss", np.array([0.5])).tolist()) == ("loss", [0.5])


def test_the_best_result_is_said_in_its_own_unit() -> None:
    assert best_words({"metric": "accuracy", "value": 0.9729, "epoch": 5}) == "accuracy 97.29% in epoch 5"
    assert best_words({"metric": "mae", "value": 2.5, "epoch": 1}) == "MAE 2.500 in epoch 1"


def test_metrics_of_ones_own_are_columns_with_short_headings() -> None:
    names = ["loss", "accuracy", "worst_recall_of_all", "parts.a", "parts.b", "parts.c", "parts.d"]
    record = {"validation": dict.fromkeys(names, 0.5), "train": {}}
    columns = epoch_columns([record], "accuracy", "accuracy")
    own = [(column.name, column.heading) for column in columns if column.name not in METRICS]
    assert own == [("worst_recall_of_all", "worst_reca…"), *((f"parts.{x}", f"parts.{x}") for x in "abc")]
    assert best_words({"metric": "worst_recall_of_all", "value": 0.5, "epoch": 3}).startswith(
        "worst_recall_of_all 0.5"
    )
