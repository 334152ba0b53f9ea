"""The run that the studio's own process trains: its launch, its result, and where its output goes."""

from __future__ import annotations

import atexit
import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchdeck.engine.config import RunConfig
from torchdeck.engine.machine.torch_import import torch_failure
from torchdeck.engine.run_files import LOG_FILE
from torchdeck.engine.runs.on_disk.directory import load_run_config

from ..process.importing import no_garbage_sought
from ..process.private_output import carry_over
from ..process.terminal import Terminal
from ..words.train.run_text import run_forms

if TYPE_CHECKING:
    from torchdeck.engine.launching.followed_run import FollowedRun
    from torchdeck.engine.runs.reader import RunReader

_TRY_DRAFT = "Press 3 to change the settings, S to try again"
_TRY_RUN = "Press 5 then r to try again"


@dataclass(frozen=True)
class Refusal:
    """A run that could not be started.

    Attributes:
        reason: why it could not be started.
        advice: keys that change something and try again, as a sentence.
    """

    reason: str
    advice: str


class OwnRun:
    """Trains one run at a time; the run keeps training when the screen closes.

    Attributes:
        launched: the run that is training, or trained last.
        is_awaited: whether it was launched but has no directory yet.
    """

    def __init__(self, runs_root: Path, terminal: Terminal | None) -> None:
        """Start without a run.

        Args:
            runs_root: folder that holds the runs.
            terminal: redirects the process's output to the run's log; None to leave the output alone.
        """
        self._runs_root = runs_root
        self._terminal = terminal
        self._own_log = terminal.log if terminal is not None else None
        self._printed_before = 0
        self._advice = ""
        self._reader: RunReader | None = None
        self._path: Path | None = None
        self.launched: FollowedRun | None = None
        self.is_awaited = False

    @property
    def is_alive(self) -> bool:
        """Whether a run is training or being prepared."""
        return self.launched is not None and self.launched.is_alive

    def start(self, draft: RunConfig) -> FollowedRun:
        """Launch a new run. Raises TorchdeckError if it can't have the processes that it asks for."""
        if draft.parallel.is_several:
            from torchdeck.engine.launching.launched_ranks import launch_ranks

            return self._follow(launch_ranks(draft, self._runs_root, argv=["torchdeck"]), _TRY_DRAFT)
        from torchdeck.engine.launching.launch import launch

        self._take_output_back()
        run = launch(draft, self._runs_root, argv=["torchdeck"], on_directory=self._on_directory)
        return self._follow(run, _TRY_DRAFT)

    def resume(self, directory: Path, checkpoint: Path | None, epochs: int = 0) -> FollowedRun:
        """Resume a run, up to `epochs` epochs in all if it is not 0. Raises TorchdeckError if it can't be resumed."""
        overrides = (f"training.epochs={epochs}",) if epochs else ()
        if load_run_config(directory, overrides).parallel.is_several:
            from torchdeck.engine.launching.launched_ranks import launch_ranks_resumed

            return self._follow(launch_ranks_resumed(directory, checkpoint=checkpoint, overrides=overrides), _TRY_RUN)
        from torchdeck.engine.launching.launch import launch_resumed

        self._take_output_back()
        run = launch_resumed(directory, checkpoint=checkpoint, overrides=overrides, on_directory=self._on_directory)
        return self._follow(run, _TRY_RUN)

    def look(self) -> Path | Refusal | None:
        """The result of a launch, once: the run's directory, or why there is none; None if there is no news.

        The run's directory again where that was renamed, or replaced after a deletion.
        """
        run = self.launched
        if run is not None:
            # What is told by processes of its own is seen by asking.
            run.join(0)
        if run is not None and run.path != self._path and self._path is not None and not self.is_awaited:
            # Its directory was renamed while it trains.
            self._path = run.path
            return run.path
        if run is None or not self.is_awaited or (run.path is None and run.is_alive):
            return None
        self.is_awaited = False
        self._path = run.path
        return run.path if run.path is not None else Refusal(_why_not_started(run), self._advice)

    def forms(self, watched: Path | None) -> tuple[str, ...]:
        """The live run in the first line while another run is watched, longest form first; empty otherwise."""
        run = self.launched
        if run is None or run.path is None or not run.is_alive or run.path == watched:
            self._reader = None
            return ()
        if self._reader is None or self._reader.path != run.path:
            from torchdeck.engine.runs.reader import RunReader

            self._reader = RunReader(run.path)
        self._reader.poll()
        return run_forms(self._reader, self._reader.status())

    def _follow(self, run: FollowedRun, advice: str) -> FollowedRun:
        self.launched, self.is_awaited, self._advice, self._path = run, True, advice, None
        return run

    def _take_output_back(self) -> None:
        """Send output back to the studio's log, so that preparing the next run does not print into the last one's."""
        if self._terminal is not None and self._own_log is not None:
            self._terminal.send_output_to(self._own_log)
            self._printed_before = self._own_log.stat().st_size

    def _on_directory(self, path: Path) -> None:
        """Send output to the run's log from now on. Called in the engine's thread."""
        if self._terminal is not None and self._own_log is not None:
            log = path / LOG_FILE
            self._terminal.send_output_to(log)
            carry_over(self._own_log, self._printed_before, log)


def import_engine() -> None:
    """Import the modules that training needs, so that a launch is fast. Takes seconds; call it in a thread."""
    if torch_failure():
        # Starting a run says so.
        return
    with no_garbage_sought():
        import torchdeck.engine.build
        import torchdeck.engine.training.trainer  # noqa: F401
    # Modules stay alive, and a full collection that scans torch's holds the screen for a third of a second.
    gc.freeze()
    # Libraries of torch report leaks of what no collection has seen at the end.
    atexit.register(gc.unfreeze)


def _why_not_started(run: FollowedRun) -> str:
    from torchdeck.engine.launching.failure_words import describe_failure

    return describe_failure(run.error) if run.error is not None else "stopped before it started"
