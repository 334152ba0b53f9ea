"""The run that the studio's own process trains: how it is launched, what became of it, and where its output goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from torchdeck.engine.config import RunConfig
from torchdeck.engine.runs.on_disk.directory import LOG_FILE

from .process.private_output import carry_over
from .process.terminal import Terminal
from .words.run_text import one_line

if TYPE_CHECKING:
    from torchdeck.engine.launching.launch import LaunchedRun
    from torchdeck.engine.runs.reader import RunReader

_TRY_DRAFT = "3 changes the settings, s tries again"
_TRY_RUN = "5, then r, tries again"


@dataclass(frozen=True)
class Refusal:
    """A run that did not come to be.

    Attributes:
        reason: why.
        way_on: which keys change something and try again, in words.
    """

    reason: str
    way_on: str


class OwnRun:
    """One run at a time; it goes on when the screen does not.

    Attributes:
        launched: the run that is trained or was trained last.
        is_awaited: whether it has been launched and has no directory yet.
    """

    def __init__(self, runs_root: Path, terminal: Terminal | None) -> None:
        """No run yet.

        Args:
            runs_root: the folder that holds the runs.
            terminal: whose output goes to the log of the run; None where it goes nowhere.
        """
        self._runs_root = runs_root
        self._terminal = terminal
        self._own_log = terminal.log if terminal is not None else None
        self._printed_before = 0
        self._way_on = ""
        self._reader: RunReader | None = None
        self.launched: LaunchedRun | None = None
        self.is_awaited = False

    @property
    def is_alive(self) -> bool:
        """Whether it is trained, or prepared."""
        return self.launched is not None and self.launched.is_alive

    def start(self, draft: RunConfig) -> LaunchedRun:
        """Launch a run of its own."""
        from torchdeck.engine.launching.launch import launch

        self._take_output_back()
        run = launch(draft, self._runs_root, argv=["torchdeck"], on_directory=self._on_directory)
        return self._follow(run, _TRY_DRAFT)

    def resume(self, directory: Path, checkpoint: Path | None) -> LaunchedRun:
        """Launch a run that goes on. Raises TorchdeckError when it can't."""
        from torchdeck.engine.launching.launch import launch_resumed

        self._take_output_back()
        run = launch_resumed(directory, checkpoint=checkpoint, on_directory=self._on_directory)
        return self._follow(run, _TRY_RUN)

    def look(self) -> Path | Refusal | None:
        """What became of a launch since the last look: its directory, or why there is none; None for no news."""
        run = self.launched
        if run is None or not self.is_awaited or (run.path is None and run.is_alive):
            return None
        self.is_awaited = False
        return run.path if run.path is not None else Refusal(_why_not_started(run), self._way_on)

    def line(self, watched: Path | None) -> Text | None:
        """It in a few words while it lives and another run is watched; None otherwise."""
        run = self.launched
        if run is None or run.path is None or not run.is_alive or run.path == watched:
            self._reader = None
            return None
        if self._reader is None or self._reader.path != run.path:
            from torchdeck.engine.runs.reader import RunReader

            self._reader = RunReader(run.path)
        self._reader.poll()
        return one_line(self._reader.status(), self._reader.progress())

    def _follow(self, run: LaunchedRun, way_on: str) -> LaunchedRun:
        self.launched, self.is_awaited, self._way_on = run, True, way_on
        return run

    def _take_output_back(self) -> None:
        """What the next run prints while it is prepared belongs to no earlier run."""
        if self._terminal is not None and self._own_log is not None:
            self._terminal.send_output_to(self._own_log)
            self._printed_before = self._own_log.stat().st_size

    def _on_directory(self, path: Path) -> None:
        """In the engine's thread: from here on, what it prints belongs to the run."""
        if self._terminal is not None and self._own_log is not None:
            log = path / LOG_FILE
            self._terminal.send_output_to(log)
            carry_over(self._own_log, self._printed_before, log)


def import_engine() -> None:
    """What a run is trained with, so that it is there when one is launched. Takes seconds: for a thread."""
    import torchdeck.engine.build
    import torchdeck.engine.training.trainer  # noqa: F401


def _why_not_started(run: LaunchedRun) -> str:
    from torchdeck.engine.launching.failure_words import describe_failure

    return describe_failure(run.error) if run.error is not None else "it was stopped before it began"
