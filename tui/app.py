"""The studio app: the draft of the next run, the watched run, and the panes that show both."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widgets import ContentSwitcher

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.run_files import CONFIG_FILE, LOG_FILE
from torchdeck.engine.runs.commands import Answer, Command
from torchdeck.engine.runs.on_disk.directory import LIVE_STATUSES, require_sound_config
from torchdeck.engine.user_trust import code_files

from .code_question import CodeQuestion
from .draft_editing import DraftEditing
from .graphics.support import Wish
from .messages import (
    CommandRequested,
    ResumeRequested,
    RunNoticed,
    StartRequested,
    WatchRequested,
)
from .own_run import OwnRun, Refusal, import_engine
from .panes.data import DataPane
from .panes.log import LogPane
from .panes.model import ModelPane
from .panes.runs import RunsPane
from .panes.setup import SetupPane
from .panes.train import TrainPane
from .plain_text import printable
from .polling import Poll
from .process.terminal import Terminal
from .process.terminal_notice import notice_of
from .process.worker_process import WorkerError, WorkerProcess
from .screens.ask import start_question, stop_question
from .screens.help import HelpScreen, in_words
from .screens.leave import LeaveScreen
from .screens.overlay import OverScreen
from .widgets.key_line import KeyLine
from .widgets.tab_line import TabLine
from .words.run_text import nothing_live

if TYPE_CHECKING:
    from torchdeck.engine.launching.launch import LaunchedRun

Leaving = Literal["", "keep", "stop"]

_LOOK_EVERY = 0.5  # seconds, while a run is live or starting
_LOOK_SELDOM = 2.0  # seconds
_WARM_UP_AFTER = 0.25  # seconds

# These keep their place in the key line.
_ALWAYS_SHOWN = ("start", *(f"command('{name}')" for name in ("pause", "resume", "save", "stop")), "keys", "leave")

PANES = {
    "data": "Data",
    "model": "Model",
    "setup": "Setup",
    "train": "Train",
    "runs": "Runs",
    "log": "Log",
}


class Studio(DraftEditing):
    """Holds the state that panes share, and acts on their messages.

    Attributes:
        watched: directory of the run in the train pane.
        leaving: what to do with a live run when the screen closes.
        worker: process that inspects models and previews data.
    """

    TITLE = "torchdeck"
    CSS_PATH = "studio.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"show('{pane}')", title, show=False)
            for number, (pane, title) in enumerate(PANES.items(), start=1)
        ),
        Binding("s,f5", "start", "Start", key_display="s"),
        Binding("p", "command('pause')", "Pause"),
        Binding("p", "command('resume')", "Resume"),
        Binding("c", "command('save')", "Save now"),
        Binding("x", "command('stop')", "Stop"),
        Binding("question_mark,f1", "keys", "Keys", key_display="?"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True),
    ]

    watched: reactive[Path | None] = reactive(None)

    def __init__(
        self,
        config: RunConfig,
        runs_root: Path,
        terminal: Terminal | None = None,
        *,
        spec: str = "digits",
        watch: Path | None = None,
        named: Sequence[str] = (),
        graphics: Wish = "auto",
    ) -> None:
        """Create the app without showing it.

        Args:
            config: the draft.
            runs_root: folder that holds the runs.
            terminal: terminal to show it on; None under a test's headless driver.
            spec: preset or file that the draft came from.
            watch: directory of a run to show first; another process may own the run.
            named: words of the command line; user code that they name may run without a question.
            graphics: how to show pictures.
        """
        super().__init__(config, spec, terminal, graphics=graphics)
        self._watch_first = watch
        self.runs_root = runs_root
        self._own = OwnRun(runs_root, terminal)
        self._is_start_offered = True
        self._poll: Poll | None = None
        self.leaving: Leaving = ""
        self._code = CodeQuestion(self, named)
        self.worker = WorkerProcess(
            terminal.log if terminal is not None else None, is_held=True, refuse=self._code.refusal
        )

    @property
    def launched(self) -> LaunchedRun | None:
        """The run that this process is training, or trained last."""
        return self._own.launched

    def compose(self) -> ComposeResult:
        """Lay out the tabs, the panes and the key line."""
        yield TabLine(PANES, active="data", id="tabs")
        with ContentSwitcher(initial="data"):
            yield DataPane(self.worker, id="data").data_bind(Studio.draft)
            yield ModelPane(self.worker, id="model").data_bind(Studio.draft, Studio.watched)
            yield SetupPane(self.worker, id="setup").data_bind(Studio.draft, Studio.draft_error, Studio.spec)
            yield TrainPane(self.worker, id="train").data_bind(Studio.draft, Studio.watched)
            yield RunsPane(self.worker, self.runs_root, id="runs").data_bind(Studio.draft)
            yield LogPane(self.terminal.log if self.terminal is not None else None, id="log")
        yield KeyLine(_ALWAYS_SHOWN)

    def on_ready(self) -> None:
        """Start slow work, after the first paint."""
        if self.leaving:
            # A signal arrived before the event loop started.
            self.exit()
        self._ask_for(self.draft)
        self.offer_kept_draft()
        if self._watch_first is not None:
            self.post_message(WatchRequested(self._watch_first))
        self.watch(self.query_one(TrainPane), "one_line", self._show_line, init=False)
        self._poll = Poll(self, self._look_after_run, self._is_any_run_alive, _LOOK_EVERY, _LOOK_SELDOM)
        # The worker's imports would take CPU time from the first paint.
        self.set_timer(_WARM_UP_AFTER, self._warm_up)

    @work(exclusive=True, group="warm-up")
    async def _warm_up(self) -> None:
        try:
            await self.worker.start()
        except WorkerError as error:
            self._tell(str(error))
        # Runs train in this process, so it needs torch too. A thread keeps the screen responsive meanwhile.
        threading.Thread(target=import_engine, name="import", daemon=True).start()

    async def on_unmount(self) -> None:
        """Keep the draft, and end the worker process."""
        self.keep_draft()
        await self.worker.close()

    def leave_soon(self) -> None:
        """End the screen and the run, from a signal handler."""
        self.leaving = "stop"
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.exit)

    # What panes ask for

    @on(StartRequested)
    @work(group="start")
    async def _start(self) -> None:
        if self._is_training() or not await self._code.may_train(self.draft) or self._is_training():
            return
        self.draft_started(self.draft)
        self._follow(self._own.start(self.draft))

    @on(ResumeRequested)
    @work(group="start")
    async def _resume(self, message: ResumeRequested) -> None:
        try:
            require_sound_config(message.run)
            config = load_config(str(message.run / CONFIG_FILE))
        except TorchdeckError as error:
            self._tell(str(error))
            return
        if self._is_training() or not await self._code.may_train(config) or self._is_training():
            return
        try:
            run = self._own.resume(message.run, message.checkpoint, message.epochs)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        self._follow(run)

    # The user's code

    def watch_draft(self, draft: RunConfig) -> None:
        """Ask if the draft names code that the user has not approved."""
        self._ask_for(draft)

    @work(exclusive=True, group="trust")
    async def _ask_for(self, draft: RunConfig) -> None:
        if await self._code.ask_about(draft):
            # The draft is the same, but now its code may run.
            if code_files((draft.data, draft.loader)):
                self.query_one(DataPane).watch_draft()
            self.query_one(ModelPane).watch_draft()
            await self.query_one(SetupPane).watch_draft()

    @on(CommandRequested)
    def _command(self, message: CommandRequested) -> None:
        if self.watched is None and self._own.is_awaited and self.launched is not None:
            # It has no directory yet, hence no socket.
            self.launched.control.submit(message.command)
            return
        if self.watched is None:
            self._tell("no run to act on: press s to start one, or choose one in Runs")
        elif not self._is_watched_live():
            self._tell(nothing_live(self.query_one(TrainPane).run_status))
        else:
            self._send(self.watched, message.command)

    @work(group="commands")
    async def _send(self, run: Path, command: Command) -> None:
        from torchdeck.engine.runs.control import send

        try:
            answer: Answer = await asyncio.to_thread(send, run, command)
        except (TorchdeckError, OSError) as error:
            answer = {"ok": False, "error": str(error)}
        if not answer.get("ok"):
            self._tell(str(answer.get("error")))

    @on(WatchRequested)
    def _watch(self, message: WatchRequested) -> None:
        self.watched = message.run
        self._hurry()
        self.query_one(LogPane).follow_run(message.run / LOG_FILE)
        self.action_show("train")

    # Keys

    def action_show(self, pane: str) -> None:
        """Show a pane and focus it."""
        self.query_one("#tabs", TabLine).active = pane
        self.query_one(ContentSwitcher).current = pane
        self.query_one(f"#{pane}").focus()

    @on(TabLine.Chosen, "#tabs")
    def _choose_tab(self, message: TabLine.Chosen) -> None:
        self.action_show(message.tab)

    def offers(self, action: str) -> bool:
        """Offer commands only while a live run is shown, and a start only while no run trains here."""
        if action.startswith("command("):
            return self._is_watched_live()
        if action == "start":
            return not self._own.is_awaited and not self._own.is_alive
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let one key pause a running run and resume a paused one."""
        if action == "command" and parameters[0] in ("pause", "resume"):
            is_paused = any(pane.run_status == "paused" for pane in self.query(TrainPane))
            return is_paused == (parameters[0] == "resume")
        return super().check_action(action, parameters)

    def _is_watched_live(self) -> bool:
        # There is no pane while the app starts.
        return any(pane.run_status in LIVE_STATUSES for pane in self.query(TrainPane))

    def action_keys(self) -> None:
        """List every key of the current pane, or of the screen above it."""
        if isinstance(self.screen, OverScreen):
            self.push_screen(HelpScreen(in_words(type(self.screen)).removesuffix(" screen"), self.screen))
            return
        current = self.query_one(ContentSwitcher).visible_content
        if current is not None and not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(PANES[str(current.id)], current))

    def action_start(self) -> None:
        """Start a run from the draft, unless an edit of it is open. Where the draft is not shown, ask first."""
        if not self._is_training() and self._are_edits_settled():
            self._ask_to_start()

    def _are_edits_settled(self) -> bool:
        """Whether every form shows what the draft holds; if not, go to the field and say so."""
        for pane in (self.query_one(SetupPane), self.query_one(DataPane)):
            if reason := pane.unsettled():
                self.action_show(str(pane.id))
                pane.go_to_unsettled()
                self._tell(f"not started: {reason}; Enter applies it, Esc cancels")
                return False
        return True

    @work(exclusive=True, group="start question")
    async def _ask_to_start(self) -> None:
        pane = self.query_one(ContentSwitcher).current
        is_draft_shown = pane == "setup" or (pane == "train" and self.watched is None)
        if is_draft_shown or await self.push_screen_wait(start_question(self.draft)):
            self.post_message(StartRequested())

    @work(group="stop question")
    async def action_command(self, name: Literal["pause", "resume", "save", "stop"]) -> None:
        """Ask the watched run to pause, resume, save or, after a question, stop at its next step."""
        if name == "stop" and (run := self._run_to_command()) and not await self.push_screen_wait(stop_question(run)):
            return
        self.post_message(CommandRequested({"cmd": "stop"} if name == "stop" else {"cmd": name}))

    def _run_to_command(self) -> str:
        """Name of the run that a command would reach; empty if there is none."""
        if self.watched is not None:
            return self.watched.name if self._is_watched_live() else ""
        return self.draft.name if self._own.is_awaited else ""

    def action_leave(self) -> None:
        """Quit; if a run is live, ask first what to do with it. Ignored while that question is open."""
        if not any(isinstance(screen, LeaveScreen) for screen in self.screen_stack):
            self._leave()

    @work(exclusive=True, group="leave")
    async def _leave(self) -> None:
        if self.launched is not None and self._own.is_alive:
            answer = await self.push_screen_wait(LeaveScreen(can_detach=self.terminal is not None))
            if answer == "cancel":
                return
            self.leaving = answer
            if answer == "stop":
                self.launched.stop(reason="the studio was closed")
        self.exit()

    def _is_training(self) -> bool:
        if self._own.is_alive:
            self._tell("a run is already training here: stop it with x or let it finish first")
            return True
        return False

    def _follow(self, run: LaunchedRun) -> None:
        # A resumed run has the same directory as before.
        self.watched = None
        pane = self.query_one(TrainPane)
        pane.prepare(run)
        self.query_one(LogPane).follow_run(None)
        self.action_show("train")
        self._hurry()

    def _hurry(self) -> None:
        if self._poll is not None:
            self._poll.hurry()

    def _is_any_run_alive(self) -> bool:
        """Whether a run that trains here, or the watched run, may change soon."""
        return self._own.is_awaited or self._own.is_alive or self._is_watched_live()

    def _look_after_run(self) -> None:
        """Notice when a run's directory appears, and update the run's line beside the tabs."""
        panes, tabs = self.query(TrainPane), self.query("#tabs")
        if not panes or not tabs:
            # The screen is closing.
            return
        pane = panes.first()
        news = self._own.look()
        if isinstance(news, Refusal):
            pane.refused(news.reason, news.advice)
        elif (news := news or pane.renamed) is not None:
            self.watched = news
            self.query_one(LogPane).follow_run(news / LOG_FILE)
        tabs.first(TabLine).status = self._one_line(pane)
        if self.offers("start") != self._is_start_offered:
            self._is_start_offered = not self._is_start_offered
            self.refresh_bindings()

    def _show_line(self) -> None:
        """Update at once, so that the line agrees with the pane."""
        self.query_one("#tabs", TabLine).status = self._one_line(self.query_one(TrainPane))

    def _one_line(self, pane: TrainPane) -> Text:
        """Show the live run's line even while another run is watched; otherwise the watched run's."""
        return self._own.line(self.watched) or pane.one_line

    @on(RunNoticed)
    def _tell_terminal(self, message: RunNoticed) -> None:
        """Notify the user in another window, as the run's config says."""
        sequences = notice_of(message.path, message.status, os.environ)
        if sequences and self._driver is not None:
            self._driver.write(sequences)

    def _tell(self, text: str) -> None:
        self.notify(printable(text), severity="warning", timeout=8, markup=False)
