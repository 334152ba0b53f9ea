"""What the x axis of a run's charts counts, and where on it the run's optimizer steps lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import numpy as np

    from torchdeck.engine.runs.run_view import RunView

Axis = Literal["step", "epoch", "time"]
AXES: tuple[Axis, ...] = get_args(Axis)

# The longer units of time and their seconds. One is used if the longest run has at least so many of it.
_TIME_UNITS = (("h", 3600.0), ("min", 60.0))
_FEWEST_OF_A_UNIT = 3


def next_axis(axis: Axis) -> Axis:
    """Epochs instead of steps, time instead of epochs, steps instead of time."""
    return AXES[(AXES.index(axis) + 1) % len(AXES)]


def axis_unit(axis: Axis, longest: float) -> tuple[str, float]:
    """The label of an axis, and what its positions are divided by.

    Args:
        axis: what it counts.
        longest: the last position on it, of all runs that are drawn; NaN if unknown.
    """
    if axis != "time":
        return axis, 1.0
    return next((unit for unit in _TIME_UNITS if longest >= _FEWEST_OF_A_UNIT * unit[1]), ("s", 1.0))


def positions(reader: RunView, steps: np.ndarray, axis: Axis) -> np.ndarray:
    """Positions of steps on an axis: between the places that the run's records name; beyond them at the last pace.

    Args:
        reader: whose run is placed.
        steps: float64 [N].
        axis: what it counts.

    Returns:
        float64 [N], in steps, epochs or seconds of training; NaN while the records name no place.
    """
    import numpy as np

    if axis == "step" or not len(steps):
        return steps
    known_steps, known = reader.series("time") if axis == "time" else _ends_of_epochs(reader)
    if not len(known):
        return np.full(len(steps), np.nan)
    known_steps, known = np.append(0.0, known_steps), np.append(0.0, known)
    placed = np.interp(steps, known_steps, known)
    beyond = steps > known_steps[-1]
    pace = (known[-1] - known[-2]) / max(1.0, known_steps[-1] - known_steps[-2])
    placed[beyond] = known[-1] + (steps[beyond] - known_steps[-1]) * pace
    return placed


def _ends_of_epochs(reader: RunView) -> tuple[np.ndarray, np.ndarray]:
    """Steps at the ends of epochs, and the epochs; before the first has ended, the end that it will have."""
    import numpy as np

    ended = [(record["step"], record["epoch"]) for record in reader.epoch_records()]
    if not ended and (per_epoch := reader.progress().steps_per_epoch):
        ended = [(per_epoch, 1)]
    steps, epochs = np.array(ended, dtype=np.float64).reshape(-1, 2).T
    return steps, epochs
