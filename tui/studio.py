"""The studio as a process: its terminal, its signals, and its live run after the screen has closed."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.run_files import LOG_FILE

from .app import Studio
from .graphics.support import Wish
from .process.stop_signals import StopSignals
from .process.terminal import Terminal
from .words.shell_text import shell_command

if TYPE_CHECKING:
    from torchdeck.engine.launching.followed_run import FollowedRun

    from .process.parent import Parent


def open_studio(
    config: RunConfig,
    spec: str,
    runs_root: Path,
    parent: Parent | None,
    watch: Path | None = None,
    named: Sequence[str] = (),
    graphics: Wish = "auto",
) -> int:
    """Show the studio until the user quits, then keep training if a run is live. Returns the exit status.

    Args:
        config: the first draft.
        spec: preset or file that the draft came from.
        runs_root: folder that holds the runs.
        parent: process that waits in the shell, to return the prompt; None if there is none.
        watch: directory of a run to show first.
        named: words of the command line; code that they name may run without a question.
        graphics: how to show pictures.

    Raises:
        ConfigError: there is no terminal.
    """
    if not any(os.isatty(descriptor) for descriptor in (0, 1, 2)):
        raise ConfigError(f"the studio needs a terminal; to train without one: torchdeck train {spec}")
    descriptor, name = tempfile.mkstemp(prefix="torchdeck-", suffix=".log")
    os.close(descriptor)
    log = Path(name)
    try:
        with Terminal(log) as terminal:
            app = Studio(config, runs_root, terminal, spec=spec, watch=watch, named=named, graphics=graphics)
            # Before the app's event loop starts, so that the handlers stay when it has ended.
            signals = StopSignals(app.leave_soon, hang_up="is handled elsewhere")
            crashed = _show(app, terminal)
            return _after_the_screen(app, signals, terminal, parent, crashed=crashed)
    finally:
        log.unlink(missing_ok=True)


def _show(app: Studio, terminal: Terminal) -> bool:
    """Run the screen until it closes. Returns whether an error closed it; the error is then on the terminal."""
    try:
        app.run()
    except Exception:
        # Textual shows errors of its widgets; an error of Textual itself must not end a run either.
        terminal.write(traceback.format_exc().replace("\n", "\r\n"))
        terminal.flush()
        return True
    return bool(app.return_code)


def _after_the_screen(
    app: Studio, signals: StopSignals, terminal: Terminal, parent: Parent | None, *, crashed: bool
) -> int:
    """Return the shell's prompt if a run keeps training, and wait for its end."""
    run = app.launched
    if app.parting_words:
        _tell(terminal, app.parting_words)
    if run is not None and run.is_alive:
        if signals.received or app.leaving == "stop":
            run.stop(after="step", reason=signals.name or "the studio was closed")
            _tell(terminal, f"saving {_name(run)} …")
        elif run.outlives_us:
            _tell(terminal, _how_to_come_back_to(run))
            return 0
        else:
            message = f"the run keeps training in process {os.getpid()}"
            if run.path is not None:
                message = how_to_come_back(run.path, os.getpid())
            if parent is not None:
                parent.detach(message, log=run.path / LOG_FILE if run.path is not None else None)
            else:
                _tell(terminal, message)
            terminal.lose()
    while run is not None and run.is_alive:
        run.join(0.5)
        signals.pass_on(run)
        if run.save_if_stalled():
            _tell(terminal, f"{_name(run)}: {run.message}")
            os._exit(signals.exit_status)
    if run is not None and run.path is not None and (signals.received or app.leaving == "stop"):
        _tell(terminal, f"{run.path.name}: {run.status}; to resume: {shell_command('resume', run.path)}")
    if signals.received:
        return signals.exit_status
    return 1 if crashed else 0


def how_to_come_back(run: Path, pid: int) -> str:
    """The text that the shell shows when a run keeps training without its screen."""
    return (
        f"{run.name} keeps training in process {pid}.\n"
        f"To watch it: {shell_command('attach', run)}\n"
        f"To stop it:  {shell_command('send', run, 'stop')}"
    )


def _how_to_come_back_to(run: FollowedRun) -> str:
    """The same of a run whose processes are not this one's."""
    if run.path is None:
        return "the run keeps training in processes of its own"
    from torchdeck.engine.runs.reader import RunReader

    owner = RunReader(run.path).owner_pid()
    return how_to_come_back(run.path, owner) if owner is not None else shell_command("attach", run.path)


def _name(run: FollowedRun) -> str:
    return run.path.name if run.path is not None else "the run"


def _tell(terminal: Terminal, text: str) -> None:
    terminal.write(text.replace("\n", "\r\n") + "\r\n")
    terminal.flush()
