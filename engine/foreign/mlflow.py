"""MLflow's file store: a folder per run, with a file per metric and per parameter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from ..files.regular_file import read_regular_file
from .files import Files, ParsedFile
from .settings_text import read_yaml
from .source import SECONDS, Facts, Source
from .tables import checkpoints_in
from .text_lines import LineFile

_STATUS = {"1": "", "2": "", "3": "finished", "4": "failed", "5": "stopped"}
_MOST_PARAMETERS = 2000
_MOST_BYTES = 8192


class MlflowFiles:
    """Run folders of `mlruns`: meta.yaml, metrics, params, tags."""

    title = "MLflow"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """The folder, if it is a run's."""
        return [folder] if "meta.yaml" in files and {"metrics", "params"} <= set(folders) else []

    def open(self, path: Path) -> Source:
        """The source of such a folder."""
        return _MlflowRun(path)


class _MetricFile(LineFile):
    """Lines of `milliseconds value step`."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path)
        self._name = name

    def values_in(self, line: str) -> Mapping[str, float]:
        try:
            milliseconds, value, *rest = (float(word) for word in line.split()[:3])
        except ValueError:
            return {}
        return {"step": rest[0] if rest else self.rows, self._name: value, SECONDS: milliseconds / 1000}


class _MlflowRun(Files):
    def __init__(self, path: Path) -> None:
        super().__init__(self._found)
        self._path = path

    def facts(self) -> Facts:
        """Its parameters, when it began and how it ended."""
        meta = read_yaml(self._path / "meta.yaml")
        started = meta.get("start_time")
        return Facts(
            status=_STATUS.get(str(meta.get("status")), ""),
            started=started / 1000 if isinstance(started, int | float) else 0.0,
            modified=max(self.modified, _changed(self._path / "meta.yaml")),
            settings=_parameters(self._path / "params"),
            checkpoints=tuple(checkpoints_in(self._path / "artifacts")),
        )

    def _found(self) -> dict[Path, Callable[[], ParsedFile]]:
        folder = self._path / "metrics"
        try:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
        except OSError:
            return {}
        return {path: partial(_MetricFile, path, path.relative_to(folder).as_posix()) for path in files}


def _parameters(folder: Path) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())[:_MOST_PARAMETERS]
    except OSError:
        return found
    for path in files:
        try:
            text = read_regular_file(path, _MOST_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        name = path.relative_to(folder).as_posix()
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = text
    return found


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
