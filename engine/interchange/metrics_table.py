"""The metrics of a run as a table: one row per step, with the evaluation's figures in the row of its step."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO, TypedDict

import numpy as np

from ..runs.on_disk.series import SERIES
from ..runs.run_view import RunView

Row = dict[str, Any]


class StepKeys(TypedDict):
    """What every row of a step has besides its curves.

    Attributes:
        step: optimizer steps done.
    """

    step: int


class EpochKeys(TypedDict):
    """What every row of an epoch has besides its figures.

    Attributes:
        epoch: number of the epoch, from 1.
        step: optimizer steps done at its end.
        seconds: time that the epoch took, in seconds.
        lr: learning rate of the next step.
        is_best: whether its evaluation was the best so far.
    """

    epoch: int
    step: int
    seconds: float
    lr: float
    is_best: bool


def step_rows(reader: RunView) -> Iterator[Row]:
    """One row per step that was trained or evaluated at: `step`, and every curve that has a point there.

    Args:
        reader: a run that was polled.
    """
    per_epoch = [name for name in reader.series_names if name.startswith("train/")]
    series = {name: reader.series(name) for name in dict.fromkeys((*SERIES, *per_epoch))}
    series |= evaluation_series(reader.evaluation_records())
    series = {name: points for name, points in series.items() if len(points[0])}
    if not series:
        return
    places = dict.fromkeys(series, 0)
    for step in np.unique(np.concatenate([x for x, _ in series.values()])).tolist():
        row: Row = {**StepKeys(step=int(step))}
        for name, (x, y) in series.items():
            at = places[name]
            # Of several points at one step, as after an evaluation that was done again, the newest counts.
            while at < len(x) and x[at] <= step:
                row[name] = float(y[at])
                at += 1
            places[name] = at
        yield row


def evaluation_series(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Every number that evaluations gave, as `validation/NAME` curves over steps."""
    columns: dict[str, tuple[list[float], list[float]]] = {}
    for record in records:
        for part in ("validation", "ema"):
            for name, value in record.get(part, {}).items():
                steps, values = columns.setdefault(f"{part}/{name}", ([], []))
                steps.append(float(record["step"]))
                values.append(float(value))
    return {name: (np.array(steps), np.array(values)) for name, (steps, values) in columns.items()}


def epoch_rows(reader: RunView) -> Iterator[Row]:
    """One row per evaluation: epoch, step, seconds, learning rate, training and validation figures.

    Args:
        reader: a run that was polled.
    """
    for record in reader.epoch_records():
        row: Row = {name: record[name] for name in ("epoch", "step", "seconds", "lr")}
        for split in ("train", "validation"):
            row |= {f"{split}/{name}": value for name, value in record[split].items()}
        yield {**row, "is_best": bool(record.get("is_best"))}


def write_csv(rows: Iterator[Row], file: TextIO) -> int:
    """Write rows as CSV with a line of headings; a figure that a row lacks is empty. Returns the rows written."""
    table = list(rows)
    headings = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.DictWriter(file, headings, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return len(table)
