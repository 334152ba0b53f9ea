"""Files of lines: tables with named columns, JSON lines, logs."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.documents import DocumentError, parse_json
from ..files.json_values import number, numbers_restored
from .source import EPOCH, SECONDS, Figure
from .tail import FileTail

_MOST_COLUMNS = 2000
_LONGEST_LINE = 1 << 20
_STEPS = ("global_step", "step", "_step", "steps", "iteration", "iter", "iter_num", "num_steps", "batch", "update")
_EPOCHS = ("epoch", "epochs", "current_epoch")
_TIMES = ("timestamp", "_timestamp", "wall_time", "time_stamp")
# Of a log: `loss=0.5`, `loss: 0.5`, `"loss": 0.5`; a number may have a unit or a percent sign behind it.
_PAIR = re.compile(
    r"""(?<![\w.])["']?([A-Za-z_][\w/.@()-]{0,60}?)["']?[ \t]*(?:=|:)[ \t]*"""
    r"""([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf))(?![\w.]*\d:)""",
    re.IGNORECASE,
)
_OF = re.compile(r"\b(epoch|step|iter|iteration)s?[ \t]*[\[(]?[ \t:=]*(\d+)[ \t]*/[ \t]*(\d+)", re.IGNORECASE)
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class LineFile:
    """A file whose lines are read as they become whole.

    Attributes:
        tail: position up to which it was read.
        problem: why it can't be read on.
        rows: lines so far that held a figure.
    """

    def __init__(self, path: Path) -> None:
        self.tail = FileTail(path)
        self.problem = ""
        self.rows = 0
        self._step = 0.0

    def read(self, max_bytes: int) -> list[Figure]:
        """The figures of the whole lines that are new."""
        content = self.tail.read(max_bytes)
        end = content.rfind(b"\n") + 1
        was_replaced = self.tail.was_replaced
        if not end and self.tail.has_more and max_bytes < _LONGEST_LINE:
            content = self.tail.read(_LONGEST_LINE)
            end = content.rfind(b"\n") + 1
        if was_replaced:
            self.tail.was_replaced = True
            self.begin_again()
        if not end and len(content) >= _LONGEST_LINE:
            # Nothing that a program logs is that long.
            self.tail.take(len(content))
            return []
        self.tail.take(end)
        figures: list[Figure] = []
        for line in content[:end].decode("utf-8", "replace").split("\n")[:-1]:
            if line.strip() and (values := self.values_in(line.rstrip("\r"))):
                figures += self._placed(values)
        return figures

    def begin_again(self) -> None:
        """The file was replaced."""
        self.problem, self.rows, self._step = "", 0, 0.0

    def values_in(self, line: str) -> Mapping[str, float]:
        """The figures of a line by name; empty for a line without any."""
        raise NotImplementedError

    def _placed(self, values: Mapping[str, float]) -> list[Figure]:
        """The figures of a row at its step: the one it names, else its epoch, else its number."""
        by_lower = {name.lower(): name for name in values}
        step_name = next((by_lower[name] for name in _STEPS if name in by_lower), "")
        epoch_name = next((by_lower[name] for name in _EPOCHS if name in by_lower), "")
        time_name = next((by_lower[name] for name in _TIMES if name in by_lower), "")
        self.rows += 1
        named = values.get(step_name, values.get(epoch_name, math.nan) if epoch_name else math.nan)
        self._step = named if math.isfinite(named) and named >= 0 else self._step + (0 if step_name else 1)
        places = {step_name, epoch_name, time_name}
        found = [Figure(name, self._step, value) for name, value in values.items() if name not in places]
        if epoch_name and math.isfinite(values[epoch_name]):
            found.append(Figure(EPOCH, self._step, values[epoch_name]))
        if time_name:
            found.append(Figure(SECONDS, self._step, values[time_name]))
        return found


class Table(LineFile):
    """A CSV table: a line of headings, then a row per step or epoch. Empty cells are no figures."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.headings: list[str] = []
        self._delimiter = ","

    def begin_again(self) -> None:
        """The file was replaced."""
        super().begin_again()
        self.headings = []

    def values_in(self, line: str) -> Mapping[str, float]:
        """The numbers of a row by their headings."""
        if not self.headings:
            self._delimiter = delimiter_of(line)
            self.headings = [cell.strip() for cell in self._cells(line)][:_MOST_COLUMNS]
            return {}
        cells = zip(self.headings, self._cells(line), strict=False)
        return {name: value for name, cell in cells if name and (value := _number(cell)) is not None}

    def _cells(self, line: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=self._delimiter), [])
        except csv.Error:
            return []


class JsonLines(LineFile):
    """JSON objects, one a line; figures within them have the names of both, joined by a slash."""

    def values_in(self, line: str) -> Mapping[str, float]:
        """The numbers of an object by name."""
        try:
            value = numbers_restored(parse_json(line))
        except DocumentError:
            return {}
        return dict(flat_numbers(value)) if isinstance(value, dict) else {}


class LogLines(LineFile):
    """Output of a program: figures are what is written like `loss=0.5`, or what a pattern finds.

    A pattern has groups named for the figures: `step (?P<step>\\d+).*loss (?P<loss>[\\d.]+)`.
    """

    def __init__(self, path: Path, pattern: re.Pattern[str] | None = None) -> None:
        super().__init__(path)
        self._pattern = pattern

    def values_in(self, line: str) -> Mapping[str, float]:
        """What the pattern finds, or what is written like loss=0.5."""
        # A progress bar rewrites its line.
        shown = _ESCAPES.sub("", line.rsplit("\r", 1)[-1])[:4000]
        if self._pattern is not None:
            found = self._pattern.search(shown)
            pairs = found.groupdict().items() if found is not None else ()
            return {name: value for name, text in pairs if (value := _number(text or "")) is not None}
        return figures_in(shown)


def figures_in(line: str) -> dict[str, float]:
    """The figures that a line of output names; empty if all it names is a place."""
    values = {name.strip(): value for name, text in _PAIR.findall(line) if (value := _number(text)) is not None}
    values |= {name.lower(): float(at) for name, at, _ in _OF.findall(line)}
    places = {*_STEPS, *_EPOCHS, *_TIMES}
    return values if any(name.lower() not in places for name in values) else {}


def delimiter_of(heading: str) -> str:
    """What separates the cells of a table, by its line of headings."""
    return max(",\t;", key=heading.count)


def names_a_place(headings: list[str]) -> bool:
    """Whether a table has a column of steps or epochs."""
    return any(heading.strip().lower() in (*_STEPS, *_EPOCHS) for heading in headings)


def flat_numbers(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, float]]:
    """The numbers in nested tables, by their names joined by slashes."""
    found: list[tuple[str, float]] = []
    for name, value in list(values.items())[:_MOST_COLUMNS]:
        if isinstance(value, dict) and depth < 4:
            found += flat_numbers(value, f"{prefix}{name}/", depth + 1)
        elif (known := number(value)) is not None:
            found.append((f"{prefix}{name}", known))
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
