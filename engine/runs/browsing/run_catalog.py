"""All runs under a folder, looked at again and again: only what changed since the last look is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config import RunConfig
from ...config.file import MAX_CONFIG_BYTES, config_values, flat_values
from ...files.documents import DocumentError, read_toml
from ...run_files import CHECKPOINTS, CONFIG_FILE, LABELS_FILE, METRICS_FILE, STATE_FILE
from ..on_disk.directory import DAMAGED, ENDED_STATUSES, RunSummary, newest_first, run_directories, summarize_run
from ..on_disk.recorded_config import settings_in
from ..saving.checkpoint_index import list_checkpoints
from .loss_line import loss_line

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class RunExtent:
    """Disk usage of a run.

    Attributes:
        losses: training losses at a few places of the run, for a line.
        bytes: size of its checkpoints.
        checkpoints: how many there are.
        pinned: how many of them the user keeps.
    """

    losses: list[float]
    bytes: int
    checkpoints: int
    pinned: int


class RunCatalog:
    """The runs of one folder. Never raises on damaged or vanished files. Used by one thread at a time.

    Attributes:
        root: the folder.
        progress: how many runs the present or last `look` has read, and how many there are; any thread may ask.
    """

    def __init__(self, root: Path) -> None:
        """Nothing is read yet.

        Args:
            root: the folder that holds the runs.
        """
        self.root = root
        self.progress = (0, 0)
        self._summaries: dict[str, tuple[tuple[Stamp | None, ...], RunSummary]] = {}
        self._unparsed: set[str] = set()
        self._settings: dict[str, tuple[Stamp | None, dict[str, Any]]] = {}
        self._extents: dict[str, tuple[tuple[Stamp | None, ...], RunExtent]] = {}

    def look(self, most_parsed: int | None = None) -> list[RunSummary]:
        """All runs, the newest first.

        A run that has ended and was not written to costs three `stat`; one whose state is live is checked again, with
        its lock.

        Args:
            most_parsed: with more runs than this, a config without a noted checksum, as runs of earlier versions have
                it, is left to `checked`; None to check every config.
        """
        known, self._summaries = self._summaries, {}
        summaries: list[RunSummary] = []
        folders = run_directories(self.root, is_known=known.__contains__)
        unparsed = self._unparsed if most_parsed is not None and len(folders) > most_parsed else None
        for folder in folders:
            self.progress = len(summaries), len(folders)
            # As text: making paths of thousands of runs takes longer than looking at them.
            base = str(folder)
            stamps = tuple(_stamp(f"{base}/{name}") for name in (STATE_FILE, CONFIG_FILE, LABELS_FILE))
            cached = known.get(folder.name)
            if cached is None or cached[0] != stamps or cached[1].status not in (*ENDED_STATUSES, DAMAGED):
                was_parsed = cached is not None and folder.name not in self._unparsed
                self._unparsed.discard(folder.name)
                summary = summarize_run(folder, None if was_parsed else unparsed)
            else:
                summary = cached[1]
            if unparsed is None:
                summary = self.checked(summary)
            if stamps[0] is not None:
                self._summaries[folder.name] = (stamps, summary)
            summaries.append(summary)
        return newest_first(summaries)

    def checked(self, run: RunSummary) -> RunSummary:
        """A run's summary after its config was checked, too: the same one if it had been."""
        if run.name not in self._unparsed:
            return run
        self._unparsed.discard(run.name)
        summary = summarize_run(run.path)
        if known := self._summaries.get(run.name):
            self._summaries[run.name] = (known[0], summary)
        return summary

    def settings(self, run: RunSummary) -> dict[str, Any]:
        """A run's config by dotted key, such as "optimizer.lr", read as it stands; empty when it can't be read.

        Lists of components are their names, joined by commas.
        """
        stamp = _stamp(run.path / CONFIG_FILE)
        cached = self._settings.get(run.name)
        if cached is None or cached[0] != stamp:
            cached = self._settings[run.name] = (stamp, read_settings(run.path / CONFIG_FILE))
        return cached[1]

    def known_settings(self, run: RunSummary) -> dict[str, Any] | None:
        """A run's config if it was read before; costs nothing."""
        cached = self._settings.get(run.name)
        return cached[1] if cached is not None else None

    def known_extent(self, run: RunSummary) -> RunExtent | None:
        """What a run had on the disk if that was looked at before; costs nothing."""
        cached = self._extents.get(run.name)
        return cached[1] if cached is not None else None

    def extent(self, run: RunSummary) -> RunExtent:
        """What a run has on the disk, read again when its records or its checkpoints have changed."""
        stamps = (_stamp(run.path / METRICS_FILE), _stamp(run.path / CHECKPOINTS))
        cached = self._extents.get(run.name)
        if cached is None or cached[0] != stamps:
            checkpoints = list_checkpoints(run.path)
            extent = RunExtent(
                losses=loss_line(run.path),
                bytes=sum(checkpoint.bytes for checkpoint in checkpoints),
                checkpoints=len(checkpoints),
                pinned=sum(checkpoint.is_pinned for checkpoint in checkpoints),
            )
            cached = self._extents[run.name] = (stamps, extent)
        return cached[1]


def settings_of(config: RunConfig) -> dict[str, Any]:
    """A config as `read_settings` gives that of a file."""
    return _shown(config_values(config))


def read_settings(path: Path) -> dict[str, Any]:
    """A config file as one flat dict by dotted key, unchecked; empty when it can't be read."""
    try:
        values = read_toml(path, MAX_CONFIG_BYTES)
    except (OSError, DocumentError):
        return {}
    return _shown(settings_in(values))


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    """By dotted key, with a list as the names in it."""
    return {key: _names(value) if isinstance(value, list) else value for key, value in flat_values(values).items()}


def _names(items: list[Any]) -> str:
    return ", ".join(str(item.get("name", item) if isinstance(item, dict) else item) for item in items)


def _stamp(path: Path | str) -> Stamp | None:
    """Changes when a file is written to or replaced; None when it isn't there."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
