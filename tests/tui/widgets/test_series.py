"""The numbers behind a chart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from torchdeck.tui.widgets.charts.series import (
    decimate,
    exponential_average,
    finite_range,
    linear_ticks,
    log_ticks,
    short_number,
    tick_label,
)


def averaged_by_definition(y: np.ndarray, weight: float) -> np.ndarray:
    average, count, result = 0.0, 0, []
    for value in y:
        if np.isfinite(value):
            average = weight * average + (1 - weight) * value
            count += 1
            result.append(average / (1 - weight**count))
        else:
            result.append(value)
    return np.array(result)


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("count", [1, 127, 128, 129, 1000])
def test_the_average_is_the_recurrence(weight: float, count: int) -> None:
    y = np.random.default_rng(count).normal(size=count) + 5
    np.testing.assert_allclose(exponential_average(y, weight), averaged_by_definition(y, weight), rtol=1e-9)


def test_the_average_passes_over_what_is_not_finite() -> None:
    y = np.array([1.0, np.nan, 2.0, np.inf, 3.0])
    np.testing.assert_allclose(exponential_average(y, 0.5), averaged_by_definition(y, 0.5))


def test_the_first_average_is_the_first_value() -> None:
    assert exponential_average(np.array([7.0, 0.0]), 0.99)[0] == pytest.approx(7.0)


def test_averaging_leaves_its_argument_alone() -> None:
    y = np.arange(5.0)
    exponential_average(y, 0.5)
    np.testing.assert_array_equal(y, np.arange(5.0))


def test_few_points_are_drawn_as_they_are() -> None:
    x, y = np.arange(10.0), np.arange(10.0)
    drawn = decimate(x, y, (0, 9), 5)
    assert drawn[0] is x
    assert drawn[1] is y


@pytest.mark.parametrize("seed", range(20))
def test_decimation_keeps_every_columns_extremes_and_at_most_two_points_each(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count, columns = int(generator.integers(300, 5000)), int(generator.integers(5, 120))
    x = np.sort(generator.uniform(0, 100, count)) if seed % 2 else np.arange(float(count))
    y = generator.normal(size=count)
    limits = (float(x[0]), float(x[-1]))
    drawn_x, drawn_y = decimate(x, y, limits, columns)
    assert len(drawn_x) == len(drawn_y) <= 2 * columns
    assert (np.diff(drawn_x) >= 0).all()
    edges = np.linspace(*limits, columns + 1)
    for left, right in pairwise(edges):
        last = right == edges[-1]
        inside = y[(x >= left) & ((x <= right) if last else (x < right))]
        shown = drawn_y[(drawn_x >= left) & ((drawn_x <= right) if last else (drawn_x < right))]
        if len(inside):
            assert {inside.min(), inside.max()} == set(shown)


def test_a_single_spike_survives() -> None:
    y = np.zeros(100_000)
    y[54_321] = 9.0
    assert decimate(np.arange(100_000.0), y, (0, 99_999), 80)[1].max() == 9.0


def test_a_column_of_nan_is_a_gap_and_a_lone_nan_is_not() -> None:
    y = np.ones(1000)
    y[500:600] = np.nan
    y[5] = np.nan
    drawn_x, drawn_y = decimate(np.arange(1000.0), y, (0, 999), 100)
    gap = drawn_x[np.isnan(drawn_y)]
    assert len(gap) > 5
    assert 495 < gap.min() < gap.max() < 605


def test_positions_that_are_far_apart_make_no_gap() -> None:
    x = np.concatenate([np.arange(1000.0), np.arange(9000.0, 10_000.0)])
    assert not np.isnan(decimate(x, np.ones(2000), (0, 10_000), 50)[1]).any()


def test_finite_range() -> None:
    assert finite_range(np.array([np.nan, 3.0, -np.inf, 1.0])) == (1.0, 3.0)
    assert finite_range(np.array([np.nan])) is None
    assert finite_range(np.array([])) is None


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (1, 938, 5, [200, 400, 600, 800]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
        (0.05, 0.21, 3, [0.1, 0.2]),
        (3, 3, 4, [3]),
    ],
)
def test_linear_ticks(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert linear_ticks(low, high, count) == pytest.approx(ticks)


def test_log_ticks_are_powers_of_ten_or_parts_of_one() -> None:
    assert log_ticks(-3, 1, 10) == pytest.approx([-3, -2, -1, 0, 1])
    assert [10**tick for tick in log_ticks(-1, 0.1, 10)] == pytest.approx([0.1, 1])
    assert [10**tick for tick in log_ticks(0.1, 0.8, 10)] == pytest.approx([2, 5])
    assert len(log_ticks(-30, 30, 6)) <= 6


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0, 1, "0"),
        (0.5, 0.5, "0.5"),
        (1, 0.5, "1.0"),
        (2000, 1000, "2000"),
        (20_000, 10_000, "20k"),
        (12_000, 2000, "12k"),
        (12_500, 500, "12.5k"),
        (1_500_000, 500_000, "1.5M"),
        (2e-5, 1e-5, "2e-5"),
        (3e12, 1e12, "3e12"),
    ],
)
def test_tick_label(value: float, step: float, text: str) -> None:
    assert tick_label(value, step) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (3.0, "3"), (float("nan"), "nan"), (float("inf"), "inf"), (1e-7, "1e-07")],
)
def test_short_number(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize(("low", "high"), [(1, 46), (1, 2.9), (51, 99), (0.011, 0.019), (-46, -1), (1001, 1999)])
def test_limits_between_two_round_values_have_a_tick_all_the_same(low: float, high: float) -> None:
    for count in (1, 2, 3):
        ticks = linear_ticks(low, high, count)
        assert ticks
        assert all(low <= tick <= high for tick in ticks)
