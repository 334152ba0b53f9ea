"""Where the steps of a run lie on an axis of steps, epochs or time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from written_runs import written_run

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.runs.step_axis import AXES, Axis, axis_unit, next_axis, positions


def read(run: Path) -> RunReader:
    reader = RunReader(run)
    reader.poll()
    return reader


def test_the_axes_follow_one_another() -> None:
    assert [next_axis(axis) for axis in AXES] == ["epoch", "time", "step"]


@pytest.mark.parametrize(
    ("longest", "unit"),
    [
        (0.0, ("s", 1.0)),
        (179.9, ("s", 1.0)),
        (180.0, ("min", 60.0)),
        (10_799.0, ("min", 60.0)),
        (10_800.0, ("h", 3600.0)),
        (math.nan, ("s", 1.0)),
    ],
)
def test_time_is_in_minutes_from_three_minutes_and_in_hours_from_three_hours(
    longest: float, unit: tuple[str, float]
) -> None:
    assert axis_unit("time", longest) == unit
    assert (axis_unit("step", longest), axis_unit("epoch", longest)) == (("step", 1.0), ("epoch", 1.0))


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("step", [0, 25, 50, 100, 150]),
        ("epoch", [0, 0.5, 1, 2, 3]),
        ("time", [0, 30, 60, 120, 180]),
    ],
)
def test_steps_lie_between_the_records_and_beyond_the_last_at_the_last_pace(
    tmp_path: Path, axis: Axis, expected: list[float]
) -> None:
    # Two epochs of 50 steps and a minute each.
    reader = read(written_run(tmp_path))
    np.testing.assert_allclose(positions(reader, np.array([0.0, 25, 50, 100, 150]), axis), expected)


def test_the_last_pace_is_that_of_the_last_two_records(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, load_config("digits"), {})
    for step, seconds in ((10, 100.0), (20, 120.0)):
        place = {"kind": "train", "epoch": 1, "step": step, "t": seconds, "seconds": seconds, "samples": 10, "lr": 0.1}
        writer.record({**place, "loss": [1.0] * 10, "accuracy": [0.5] * 10})
    writer.close("stopped")
    assert positions(read(writer.path), np.array([15.0, 20, 30, 40]), "time").tolist() == [110, 120, 140, 160]


def test_before_the_first_epoch_has_ended_an_epoch_is_as_long_as_the_run_says(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, load_config("digits"), {})
    writer.update_state(epochs=2, total_steps=100, steps_per_epoch=50, status="running")
    writer.close("stopped")
    assert positions(read(writer.path), np.array([0.0, 25, 75]), "epoch").tolist() == [0, 0.5, 1.5]


@pytest.mark.parametrize("axis", ["epoch", "time"])
def test_without_a_record_the_place_is_unknown(tmp_path: Path, axis: Axis) -> None:
    writer = RunWriter.create(tmp_path, load_config("digits"), {})
    writer.close("stopped")
    reader = read(writer.path)
    assert np.isnan(positions(reader, np.array([1.0, 2.0]), axis)).all()
    assert positions(reader, np.array([]), axis).shape == (0,)
