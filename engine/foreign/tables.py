"""Tables and lines: Lightning's CSVLogger, Ultralytics, Keras, and any CSV, JSONL or log with named figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ..files.regular_file import open_regular_file
from .files import Files, ParsedFile
from .settings_text import read_yaml
from .source import Facts, Source
from .text_lines import JsonLines, LogLines, Table, delimiter_of, names_a_place

_CHECKPOINTS = (".ckpt", ".pt", ".pth", ".safetensors", ".keras", ".h5", ".bin")
_MOST_CHECKPOINTS = 1000
_HEAD_BYTES = 64 << 10


class _OneFile(Files):
    """A run that is one file of figures, with settings and checkpoints beside it."""

    def __init__(
        self, file: Path, opened: Callable[[Path], ParsedFile], settings: Path | None, checkpoints: Path | None
    ) -> None:
        super().__init__(lambda: {file: lambda: opened(file)})
        self._settings = settings
        self._checkpoints = checkpoints

    def facts(self) -> Facts:
        """When it was written, its settings and its checkpoints."""
        settings = read_yaml(self._settings) if self._settings is not None else {}
        epochs = settings.get("epochs", settings.get("max_epochs"))
        return Facts(
            modified=self.modified,
            epochs=epochs if isinstance(epochs, int) and 0 <= epochs < 1 << 40 else 0,
            settings=settings,
            checkpoints=tuple(checkpoints_in(self._checkpoints)) if self._checkpoints is not None else (),
        )


class LightningCsv:
    """Folders of Lightning's CSVLogger: metrics.csv, hparams.yaml, checkpoints."""

    title = "Lightning"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """The folder, if it holds both files."""
        return [folder] if "metrics.csv" in files and "hparams.yaml" in files else []

    def open(self, path: Path) -> Source:
        """The source of such a folder."""
        return _OneFile(path / "metrics.csv", Table, path / "hparams.yaml", path / "checkpoints")


class Ultralytics:
    """Folders of Ultralytics: results.csv, args.yaml, weights."""

    title = "Ultralytics"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """The folder, if it holds both files."""
        return [folder] if "results.csv" in files and "args.yaml" in files else []

    def open(self, path: Path) -> Source:
        """The source of such a folder."""
        return _OneFile(path / "results.csv", _UltralyticsTable, path / "args.yaml", path / "weights")


class _UltralyticsTable(Table):
    """Its `metrics/…` are of the validation."""

    def values_in(self, line: str) -> dict[str, float]:
        found = super().values_in(line)
        return {f"val/{name}" if name.startswith("metrics/") else name: value for name, value in found.items()}


class CsvFile:
    """Any CSV table with a column of steps or epochs: Keras' CSVLogger, timm's summary.csv, one written by hand."""

    title = "CSV"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """Each such file."""
        tables = [folder / name for name in sorted(files) if name.endswith((".csv", ".tsv"))]
        return [path for path in tables if _is_table(path)]

    def open(self, path: Path) -> Source:
        """The source of such a file."""
        return _OneFile(path, Table, None, None)


class JsonLinesFile:
    """Any file of JSON objects, one a line, with numbers: a log written by hand, torchtune's and torchtitan's."""

    title = "JSONL"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """Each such file."""
        lines = [folder / name for name in sorted(files) if name.endswith((".jsonl", ".ndjson"))]
        return [path for path in lines if _holds_figures(JsonLines(path))]

    def open(self, path: Path) -> Source:
        """The source of such a file."""
        return _OneFile(path, JsonLines, None, None)


class LogFile:
    """A program's output, with figures written like `loss=0.5`.

    Attributes:
        pattern: what finds the figures instead; None for what is written that way.
    """

    title = "log"

    def __init__(self, pattern: re.Pattern[str] | None = None) -> None:
        self.pattern = pattern

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """Each such file; an output without figures is not one."""
        logs = [folder / name for name in sorted(files) if name.endswith((".log", ".out", ".txt"))]
        return [path for path in logs if _holds_figures(LogLines(path, self.pattern))]

    def open(self, path: Path) -> Source:
        """The source of such a file."""
        return _OneFile(path, lambda file: LogLines(file, self.pattern), None, None)


def checkpoints_in(folder: Path) -> list[Path]:
    """Files of a folder that are named like checkpoints, the oldest first."""
    try:
        found = [path for path in folder.iterdir() if path.suffix in _CHECKPOINTS and path.is_file()]
        return sorted(found, key=lambda path: path.stat().st_mtime)[-_MOST_CHECKPOINTS:]
    except OSError:
        return []


def _is_table(path: Path) -> bool:
    try:
        with open(open_regular_file(path, follow_links=True), "rb") as file:
            head = file.readline(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    return names_a_place(head.split(delimiter_of(head)))


def _holds_figures(file: Any) -> bool:
    return bool(file.read(_HEAD_BYTES))
