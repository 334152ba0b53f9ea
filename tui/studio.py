"""The studio as a process: its terminal, its signals, and what becomes of a run when the screen goes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from engine.config import RunConfig
from engine.errors import ConfigError
from engine.runs.directory import LOG_FILE
from tui.app import Studio
from tui.terminal import Terminal

if TYPE_CHECKING:
    from engine.launch import LaunchedRun
    from tui.parent import Parent


def open_studio(config: RunConfig, spec: str, runs_root: Path, parent: Parent | None) -> int:
    """Show the studio until it is left, and train on afterwards if a run is alive. Returns the exit status.

    Args:
        config: the draft that is loaded.
        spec: the preset or file that it came from.
        runs_root: the folder that holds the runs.
        parent: the process that waits in the shell, which can be given back; None when there is none.

    Raises:
        ConfigError: there is no terminal to show it on.
    """
    if not any(os.isatty(descriptor) for descriptor in (0, 1, 2)):
        raise ConfigError(f"the studio needs a terminal, and there is none; without one: torchdeck train {spec}")
    descriptor, name = tempfile.mkstemp(prefix="torchdeck-", suffix=".log")
    os.close(descriptor)
    log = Path(name)
    try:
        with Terminal(log) as terminal:
            app = Studio(config, runs_root, terminal, spec=spec)
            signals = _Signals(app)
            app.run()
            return _after_the_screen(app, signals, terminal, parent)
    finally:
        log.unlink(missing_ok=True)


def _after_the_screen(app: Studio, signals: _Signals, terminal: Terminal, parent: Parent | None) -> int:
    """Give the shell back if a run goes on, and wait for its end."""
    run = app.launched
    crashed = bool(app.return_code)
    if run is not None and run.is_alive and not signals.received and app.leaving != "stop":
        name = run.path.name if run.path is not None else "the run"
        message = f"{name} goes on training in process {os.getpid()}; torchdeck show {name} tells how it stands"
        if parent is not None:
            parent.detach(message, log=run.path / LOG_FILE if run.path is not None else None)
        else:
            print(message, file=sys.stderr)
        terminal.lose()
    while run is not None and run.is_alive:
        run.join(0.5)
        signals.pass_on(run)
    if signals.received:
        return 128 + signals.received
    return 1 if crashed else 0


class _Signals:
    """SIGTERM and SIGINT: the first saves and ends run and screen, a second one ends the process at once."""

    def __init__(self, app: Studio) -> None:
        self.received = 0
        self._app = app
        self._is_passed_on = False
        # Set before the app's event loop starts, so that they stay when it has ended.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def pass_on(self, run: LaunchedRun) -> None:
        """Tell the run to stop: from the main loop, as a handler may interrupt the holder of a lock."""
        if self.received and not self._is_passed_on:
            self._is_passed_on = True
            run.stop(after="step", reason=signal.Signals(self.received).name)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
        self._app.leave_soon()
