"""Curves that other tools wrote, for a comparison: TensorBoard's event files, Lightning's and other CSV tables."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np

from ..errors import RunError
from ..files.regular_file import open_regular_file
from ..machine.installation import install_command
from ..runs.on_disk.series import Points

# More than any real log has; what is beyond is a file that isn't meant to be read whole.
_MAX_CSV_BYTES = 1 << 30
_MAX_COLUMNS = 1000
_STEP_COLUMNS = ("step", "global_step", "iteration", "epoch")
_SYNONYMS = {
    "acc": "accuracy",
    "val": "validation",
    "valid": "validation",
    "eval": "validation",
    "training": "train",
    "learning": "lr",
}
_EVENT_FILES = "*tfevents*"


def read_curves(path: Path) -> dict[str, Points]:
    """The curves in a file or folder of another tool.

    Args:
        path: a CSV file with a column of steps, a TensorBoard event file, or a folder that holds either.

    Returns:
        by name x (steps) and y, float64 [N] each, ordered by step.

    Raises:
        RunError: there are none, or they can't be read.
    """
    if path.is_dir():
        if event_files := sorted(path.rglob(_EVENT_FILES)):
            return _from_events(event_files)
        if tables := sorted(path.rglob("metrics.csv")) or sorted(path.glob("*.csv")):
            return _from_csv(tables[-1])
        raise RunError(f"{path}: contains no curves; supported are TensorBoard event files and CSV tables")
    if "tfevents" in path.name:
        return _from_events([path])
    return _from_csv(path)


def curve_like(curves: dict[str, Points], name: str) -> str | None:
    """The name under which another tool may have written the curve that is `name` here; None when it has none.

    Names are compared by their words, in any order: `val_acc`, `acc/val` and `validation/accuracy` are one.
    """
    wanted = _words(name)
    fitting = [other for other in curves if wanted <= _words(other)]
    return min(fitting, key=lambda other: (len(_words(other)), len(other)), default=None)


def _words(name: str) -> frozenset[str]:
    parts = re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    return frozenset(_SYNONYMS.get(part, part) for part in parts if part)


def _from_csv(path: Path) -> dict[str, Points]:
    """Every numeric column of a table over its column of steps. Cells that are empty have no point."""
    try:
        with open(open_regular_file(path, follow_links=True), newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.reader(iter(lambda: file.readline(1 << 20), ""))
            headings = next(reader, [])[:_MAX_COLUMNS]
            at = next((headings.index(name) for name in _STEP_COLUMNS if name in headings), None)
            if at is None:
                columns = ", ".join(headings[:8]) or "none"
                raise RunError(f"{path}: has no column {', '.join(_STEP_COLUMNS)}; its columns are: {columns}")
            points: dict[str, list[tuple[float, float]]] = {name: [] for name in headings if name != headings[at]}
            for row in reader:
                if file.tell() > _MAX_CSV_BYTES:
                    raise RunError(f"{path}: larger than 1 GB, too large for a table of metrics")
                _add_row(points, headings, row, at)
    except (OSError, csv.Error) as error:
        raise RunError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    return _ordered(points, path)


def _add_row(points: dict[str, list[tuple[float, float]]], headings: list[str], row: list[str], at: int) -> None:
    step = _number(row[at]) if at < len(row) else None
    if step is None or not math.isfinite(step):
        return
    for name, cell in zip(headings, row, strict=False):
        if name in points and (value := _number(cell)) is not None:
            points[name].append((step, value))


def _from_events(files: list[Path]) -> dict[str, Points]:
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    except ImportError as error:
        raise RunError(
            f"{files[0]}: reading TensorBoard's files needs the package tensorboard, which is not installed: "
            f"{install_command(extra='tensorboard')}"
        ) from error
    points: dict[str, list[tuple[float, float]]] = {}
    for file in files:
        try:
            for event in EventFileLoader(str(file)).Load():
                for value in event.summary.value:
                    if value.HasField("tensor") and len(value.tensor.float_val) == 1:
                        points.setdefault(value.tag, []).append((float(event.step), float(value.tensor.float_val[0])))
        except (OSError, ValueError, RuntimeError) as error:
            raise RunError(f"{file}: can't be read as a TensorBoard event file: {error}") from error
    return _ordered(points, files[0])


def _ordered(points: dict[str, list[tuple[float, float]]], path: Path) -> dict[str, Points]:
    curves: dict[str, Points] = {}
    for name, pairs in points.items():
        if pairs:
            table = np.array(sorted(pairs, key=lambda pair: pair[0]))
            curves[name] = table[:, 0], table[:, 1]
    if not curves:
        raise RunError(f"{path}: contains no curve")
    return curves


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
