"""The training loss of a run in a few numbers, for a line in a list, read from a few places however long it is."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

from ...files.documents import parse_json
from ...files.json_values import numbers_restored
from ...files.regular_file import open_regular_file
from ...run_files import METRICS_FILE

_READ_WHOLE = 256 << 10
_PIECE_BYTES = 64 << 10
_MAX_LINE_BYTES = 1 << 20


def loss_line(run: Path, points: int = 16) -> list[float]:
    """The training loss at about evenly spaced places of the run's records, the first and the last among them.

    Args:
        run: the run's directory.
        points: how many values at most.

    Returns:
        Mean losses, NaN and infinity among them; empty when nothing is recorded or can be read.
    """
    try:
        with os.fdopen(open_regular_file(run / METRICS_FILE), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _READ_WHOLE:
                return _sampled(file, size, points)
            content = file.read(_READ_WHOLE)
    except OSError:
        return []
    blocks = [losses for line in content.split(b"\n") if (losses := _losses(line))]
    return _means([loss for block in blocks for loss in block], points)


def _sampled(file: BinaryIO, size: int, points: int) -> list[float]:
    """One block of steps from each of several positions in a large file."""
    values = []
    for number in range(points):
        file.seek(max(0, size - _PIECE_BYTES) * number // (points - 1))
        piece = file.read(_PIECE_BYTES)
        while piece.count(b"\n") < 2 and len(piece) < _MAX_LINE_BYTES and (more := file.read(_PIECE_BYTES)):
            piece += more
        # The first line began before this place, unless it is the file's first; the last may not be whole.
        lines = piece.split(b"\n")[0 if number == 0 else 1 : -1]
        if number == points - 1:
            lines.reverse()
        losses = next((losses for line in lines if (losses := _losses(line))), None)
        if losses:
            values.append(_mean(losses))
    return values


def _losses(line: bytes) -> list[float]:
    """The losses of a record of training steps, or of what was logged; empty for any other line."""
    if b'"train"' not in line[:200] and not (b'"log"' in line[:200] and b'"train/loss"' in line):
        return []
    try:
        record: Any = parse_json(line)
        kind = record["kind"]
        losses = numbers_restored(record["values"]["train/loss"] if kind == "log" else record["loss"])
        return [float(loss) for loss in losses] if kind in ("train", "log") else []
    except (ValueError, TypeError, KeyError):
        return []


def _means(values: list[float], points: int) -> list[float]:
    """The means of equal parts."""
    if len(values) <= points:
        return values
    bounds = [len(values) * number // points for number in range(points + 1)]
    return [_mean(values[first:end]) for first, end in itertools.pairwise(bounds)]


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else values[-1]
