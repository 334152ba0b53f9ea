"""The runs behind the screen: the one that trains here, the one that is watched, and the commands to both."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual import on, work
from textual.reactive import reactive

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.runs.commands import Answer, Command
from torchdeck.engine.runs.on_disk.directory import load_run_config

from .draft_editing import DraftEditing
from .graphics.support import Wish
from .messages import CommandRequested, ResumeRequested, StartRequested, WatchRequested
from .polling import Poll
from .process.terminal import Terminal
from .process.terminal_notice import notice_of
from .runs.own_run import OwnRun, Refusal
from .runs.watched_run import WatchedRun
from .words.figures import duration
from .words.train.run_text import no_commands, unwritten_words

if TYPE_CHECKING:
    from torchdeck.engine.launching.followed_run import FollowedRun

    from .screens.leave import LeaveScreen

Leaving = Literal["", "keep", "stop"]

_LOOK_EVERY = 0.5  # seconds, while a run is live or starting
_LOOK_SELDOM = 2.0  # seconds: another process may resume it
_PROFILED_STEPS = 20


class RunControl(DraftEditing):
    """An app that trains one run and watches one, which may be the same.

    Attributes:
        watched_run: what is known of the watched run.
        watched: its directory; None if it has none yet, or no run is watched.
        leaving: what to do with a live run when the screen closes.
    """

    watched: reactive[Path | None] = reactive(None)

    def __init__(
        self, config: RunConfig, spec: str, runs_root: Path, terminal: Terminal | None, *, graphics: Wish
    ) -> None:
        super().__init__(config, spec, terminal, graphics=graphics)
        self.runs_root = runs_root
        self.own_run = OwnRun(runs_root, terminal)
        self.watched_run = WatchedRun()
        self.leaving: Leaving = ""
        self._poll: Poll | None = None
        self._is_start_offered = True
        self._write_error = ""

    @property
    def launched(self) -> FollowedRun | None:
        """The run that this process is training, or trained last."""
        return self.own_run.launched

    def on_ready(self) -> None:
        """Look after the runs from now on."""
        self._poll = Poll(self, self.look_after_runs, self._may_change, _LOOK_EVERY, _LOOK_SELDOM)

    # What the panes and the studio add

    async def may_train(self, config: RunConfig) -> bool:
        """Whether the code that a config names may run; asks the user if that is open."""
        raise NotImplementedError

    def run_is_shown(self) -> None:
        """Another run is watched, or is prepared here: show it."""
        raise NotImplementedError

    def run_changed(self) -> None:
        """The watched run has news."""
        raise NotImplementedError

    # Starting and watching

    @on(StartRequested)
    @work(group="start")
    async def _start(self) -> None:
        if self._is_training() or not await self.may_train(self.draft) or self._is_training():
            return
        try:
            run = self.own_run.start(self.draft)
        except TorchdeckError as error:
            self.notify(str(error), severity="warning")
            return
        self.draft_started(self.draft)
        self._follow(run)

    @on(ResumeRequested)
    @work(group="start")
    async def _resume(self, message: ResumeRequested) -> None:
        try:
            config = load_run_config(message.run)
            if self._is_training() or not await self.may_train(config) or self._is_training():
                return
            run = self.own_run.resume(message.run, message.checkpoint, message.epochs)
        except TorchdeckError as error:
            self.notify(str(error), severity="warning")
            return
        self._follow(run)

    @on(WatchRequested)
    def _watch(self, message: WatchRequested) -> None:
        try:
            self.watched_run.watch(message.run)
        except TorchdeckError as error:
            self.notify(str(error), severity="warning")
            return
        self.watched = message.run
        self._hurry()
        self.look_after_runs()
        self.run_is_shown()

    def _follow(self, run: FollowedRun) -> None:
        # A resumed run has the same directory as before.
        self.watched = None
        self.watched_run.prepare(run)
        self._hurry()
        self.look_after_runs()
        self.run_is_shown()

    def _is_training(self) -> bool:
        if self.own_run.is_alive:
            self.notify("X stops it; or let it finish first", title="A run is training here", severity="warning")
            return True
        return False

    # Commands

    @on(CommandRequested)
    def _command(self, message: CommandRequested) -> None:
        if self.watched is None and self.own_run.is_awaited and self.launched is not None:
            # It has no directory yet, hence no socket.
            self.launched.submit(message.command)
        elif self.watched is None or not self.watched_run.reads_commands:
            self._say_nothing_live()
        else:
            self._send(self.watched, message.command)

    def _say_nothing_live(self) -> None:
        if self.watched is None:
            self.notify("S starts one; 5 Runs lists all", title="No run to act on", severity="warning")
        else:
            self.notify(no_commands(self.watched_run.status), severity="warning")

    @work(group="commands")
    async def _send(self, run: Path, command: Command) -> None:
        from torchdeck.engine.runs.control import send

        try:
            answer: Answer = await asyncio.to_thread(send, run, command)
        except (TorchdeckError, OSError) as error:
            answer = {"ok": False, "error": str(error)}
        if not answer.get("ok"):
            self.notify(str(answer.get("error")), severity="warning")

    def action_command(self, name: Literal["pause", "resume", "save", "profile"]) -> None:
        """Ask the watched run to pause, continue, save or profile some steps."""
        command: Command = {"cmd": "profile", "steps": _PROFILED_STEPS} if name == "profile" else {"cmd": name}
        self.post_message(CommandRequested(command))

    @work(exclusive=True, group="stop question")
    async def action_stop(self) -> None:
        """Ask when the watched run is to stop."""
        from .screens.stop import StopScreen

        if not self.run_to_command:
            self.post_message(CommandRequested({"cmd": "stop"}))
            return
        answer = await self.push_screen_wait(StopScreen(self.run_to_command, self.watched_run.reader))
        if answer == "step":
            self.post_message(CommandRequested({"cmd": "stop"}))
        elif answer == "epoch":
            self.post_message(CommandRequested({"cmd": "stop", "after": "epoch"}))

    @work(exclusive=True, group="settings")
    async def action_edit_live(self) -> None:
        """Ask for other settings of the watched run, while it trains."""
        from .screens.live_settings import LiveSettingsScreen, live_settings

        reader = self.watched_run.reader
        if reader is None or not self.watched_run.reads_commands:
            self._say_nothing_live()
            return
        settings = live_settings(reader.state(), reader.progress().epochs)
        for command in await self.push_screen_wait(LiveSettingsScreen(settings)):
            self.post_message(CommandRequested(command))

    @property
    def run_to_command(self) -> str:
        """Name of the run that a command would reach; empty if there is none."""
        if self.watched is not None:
            return self.watched.name if self.watched_run.reads_commands else ""
        return self.draft.name if self.own_run.is_awaited else ""

    def action_leave(self) -> None:
        """Quit; if a run is live, ask first what to do with it. Ignored while that question is open."""
        from .screens.leave import LeaveScreen

        if not any(isinstance(screen, LeaveScreen) for screen in self.screen_stack):
            self._leave()

    @work(exclusive=True, group="leave")
    async def _leave(self) -> None:
        if self.launched is not None and self.own_run.is_alive:
            answer = await self.push_screen_wait(self._leave_question(self.launched))
            if answer == "cancel":
                return
            self.leaving = answer
            if answer == "stop":
                self.launched.stop(reason="the studio was closed")
        self.exit()

    def _leave_question(self, run: FollowedRun) -> LeaveScreen:
        from .screens.leave import LeaveScreen

        reader = self.watched_run.reader
        seconds = reader.progress().eta_seconds if reader is not None and reader.path == run.path else math.nan
        left = duration(seconds) if math.isfinite(seconds) else ""
        name = run.path.name if run.path is not None else self.draft.name
        return LeaveScreen(name, left, can_detach=self.terminal is not None)

    def leave_soon(self) -> None:
        """End the screen and the run, from a signal handler."""
        self.leaving = "stop"
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.exit)

    # Looking

    def look_after_runs(self) -> None:
        """Notice a new directory, and read what is new of the watched run."""
        if not self.is_running:
            return
        self._say_unwritten()
        news = self.own_run.look()
        if isinstance(news, Refusal):
            self.watched_run.refuse(news)
        elif news is not None:
            try:
                self.watched_run.watch(news)
            except TorchdeckError as error:
                self.notify(str(error), severity="error")
            else:
                self.watched = news
        changes, status = self.watched_run.changes, self.watched_run.status
        ended = self.watched_run.poll()
        if self.watched is not None and self.watched_run.path is not None:
            # The reader follows a directory that was renamed.
            self.watched = self.watched_run.path
        if ended and self.watched_run.path is not None:
            self._tell_terminal(self.watched_run.path, ended)
        if self.watched_run.changes != changes or news is not None:
            self.run_changed()
        is_offered = not self.own_run.is_awaited and not self.own_run.is_alive
        if status != self.watched_run.status or is_offered != self._is_start_offered:
            # The offered keys depend on it.
            self._is_start_offered = is_offered
            self.refresh_bindings()

    def _say_unwritten(self) -> None:
        problem = self.launched.write_error if self.launched is not None else ""
        if problem != self._write_error:
            self._write_error = problem
            if problem:
                self.notify(unwritten_words(problem), severity="error")

    def forms(self) -> tuple[str, ...]:
        """The run in the first line: the live one even while another is watched."""
        return self.own_run.forms(self.watched) or self.watched_run.forms()

    def _may_change(self) -> bool:
        return self.own_run.is_awaited or self.own_run.is_alive or self.watched_run.may_change

    def _hurry(self) -> None:
        if self._poll is not None:
            self._poll.hurry()

    def _tell_terminal(self, path: Path, status: str) -> None:
        """Say that a run ended or stalled: here, and to a user in another window as the run's config says."""
        tone = "information" if status in ("finished", "stopped") else "warning"
        self.notify(f"{path.name}: {status}", title=f"Run {status}", severity=tone)  # type: ignore[arg-type]
        sequences = notice_of(path, status, os.environ)
        if sequences and self._driver is not None:
            self._driver.write(sequences)

    def offers(self, action: str) -> bool:
        """Offer commands only while a live run is shown, and a start only while no run trains here."""
        if action.startswith("command(") or action in ("stop", "edit_live"):
            return bool(self.run_to_command)
        if action == "start":
            return not self.own_run.is_awaited and not self.own_run.is_alive
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let one key pause a running run and continue a paused one."""
        if action == "command" and parameters[0] in ("pause", "resume"):
            return (self.watched_run.status == "paused") == (parameters[0] == "resume")
        return super().check_action(action, parameters)
