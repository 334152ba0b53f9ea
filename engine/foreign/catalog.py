"""All runs below some folders, torchdeck's own and those of other trainers, looked at again and again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..runs.browsing.run_catalog import RunCatalog, RunExtent
from ..runs.on_disk.directory import RunSummary, is_run, newest_first, summarize_run
from .formats import ForeignRun, discovered, foreign_run
from .reader import ForeignReader

_BYTES_PER_LOOK = 1 << 20
_LOSSES = 16


class WideCatalog(RunCatalog):
    """The runs below some paths. Never raises on damaged or vanished files. Used by one thread at a time."""

    def __init__(self, paths: Sequence[Path], *, is_read_whole: bool = False) -> None:
        """Nothing is read yet.

        Args:
            paths: folders that are searched at any depth, and runs.
            is_read_whole: read every run of another trainer to its end, rather than a megabyte of it with every look.
        """
        super().__init__(paths[0])
        self._paths = list(paths)
        # One for each folder: names of runs are unique within one only.
        self._catalogs: dict[Path, RunCatalog] = {}
        self._bytes_per_look = None if is_read_whole else _BYTES_PER_LOOK
        self._readers: dict[Path, ForeignReader] = {}
        self._wide_extents: dict[Path, RunExtent] = {}

    def look(self, most_parsed: int | None = None) -> list[RunSummary]:
        """All runs, the newest first; `most_parsed` counts for each folder."""
        summaries: list[RunSummary] = []
        for path in self._paths:
            if is_run(path):
                summaries.append(summarize_run(path))
            elif path.is_dir():
                summaries += self._catalog(path).look(most_parsed)
        found = {run.path: run for path in self._paths if not is_run(path) for run in _runs_at(path)}
        self._readers = {path: reader for path, reader in self._readers.items() if path in found}
        for number, (path, run) in enumerate(found.items()):
            self.progress = number, len(found)
            reader = self._readers.setdefault(path, run.reader())
            reader.poll(self._bytes_per_look)
            self._wide_extents[path] = _extent(reader)
            summaries.append(_summary(reader, self._paths))
        return newest_first(list({summary.path: summary for summary in summaries}.values()))

    def checked(self, run: RunSummary) -> RunSummary:
        """A run's summary after its config was checked, too; other trainers' configs are not."""
        return run if run.path in self._readers else self._catalog(run.path.parent).checked(run)

    def settings(self, run: RunSummary) -> dict[str, Any]:
        """A run's settings by dotted key, as its own program names them."""
        reader = self._readers.get(run.path)
        return reader.settings() if reader is not None else self._catalog(run.path.parent).settings(run)

    def known_settings(self, run: RunSummary) -> dict[str, Any] | None:
        """Settings that were read before."""
        return self.settings(run) if run.path in self._readers else self._catalog(run.path.parent).known_settings(run)

    def known_extent(self, run: RunSummary) -> RunExtent | None:
        """What a run had on the disk if that was looked at before."""
        if run.path in self._readers:
            return self._wide_extents[run.path]
        return self._catalog(run.path.parent).known_extent(run)

    def extent(self, run: RunSummary) -> RunExtent:
        """What a run has on the disk."""
        if run.path in self._readers:
            return self._wide_extents[run.path]
        return self._catalog(run.path.parent).extent(run)

    def _catalog(self, folder: Path) -> RunCatalog:
        return self._catalogs.setdefault(folder, RunCatalog(folder))


def _runs_at(path: Path) -> list[ForeignRun]:
    """The runs of other trainers at a path: the one that it is, or all below it."""
    if path.is_dir():
        return list(discovered(path))
    found = foreign_run(path)
    return [found] if found is not None else []


def _summary(reader: ForeignReader, roots: Sequence[Path]) -> RunSummary:
    state, progress = reader.state(), reader.progress()
    return RunSummary(
        name=_name(reader.path, roots),
        path=reader.path,
        status=reader.status(),
        epoch=progress.epoch,
        epochs=progress.epochs,
        step=progress.step,
        metrics=reader.latest_metrics(),
        best=reader.best(),
        started=state["started"] or state["updated"],
        modified=state["updated"],
        error=state["error"] or "",
        source=reader.source_title,
    )


def _name(path: Path, roots: Sequence[Path]) -> str:
    """The path from the folder that was searched, which tells runs of one name apart."""
    for root in roots:
        if path != root and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name or str(path)


def _extent(reader: ForeignReader) -> RunExtent:
    _, losses = reader.series("train/loss")
    places = range(0, len(losses), max(1, -(-len(losses) // _LOSSES)))
    checkpoints = reader.checkpoints()
    return RunExtent(
        losses=[float(losses[place]) for place in places if math.isfinite(losses[place])],
        bytes=sum(checkpoint.bytes for checkpoint in checkpoints),
        checkpoints=len(checkpoints),
        pinned=0,
    )
