"""The studio's screen: a draft of the next run, the run that is watched, and the panes that show them."""

from __future__ import annotations

import asyncio
import contextlib
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
from textual.widgets import ContentSwitcher, Footer

from engine.config import RunConfig
from engine.config_file import load_config, remove_argument, replace_value
from engine.errors import ConfigError, TorchdeckError
from engine.runs.directory import CONFIG_FILE, LIVE_STATUSES, LOG_FILE
from engine.user_trust import code_files
from tui.aside import Aside, AsideError
from tui.code_question import CodeQuestion
from tui.messages import (
    ArgumentRemoved,
    CommandRequested,
    DraftEdited,
    DraftReplaced,
    ResumeRequested,
    RunNoticed,
    StartRequested,
    WatchRequested,
)
from tui.panes.data import DataPane
from tui.panes.log import LogPane
from tui.panes.model import ModelPane
from tui.panes.runs import RunsPane
from tui.panes.setup import SetupPane
from tui.panes.train import TrainPane
from tui.polling import Poll
from tui.private_output import carry_over
from tui.run_text import one_line
from tui.screens.help import HelpScreen
from tui.screens.leave import LeaveScreen
from tui.terminal import Terminal, TerminalApp
from tui.terminal_notice import notice_for
from tui.widgets.plain_text import printable
from tui.widgets.tab_line import TabLine

if TYPE_CHECKING:
    from engine.launch import LaunchedRun
    from engine.runs.reader import RunReader

Leaving = Literal["", "keep", "stop"]

_LOOK_EVERY = 0.5  # seconds, while a run lives or is awaited
_LOOK_SELDOM = 2.0  # seconds
_WARM_UP_AFTER = 0.25  # seconds

PANES = {
    "data": "Data",
    "model": "Model",
    "setup": "Setup",
    "train": "Train",
    "runs": "Runs",
    "log": "Log",
}


class Studio(TerminalApp[None]):
    """Holds what panes share; does what their messages ask.

    Attributes:
        draft: the config of the next run.
        draft_error: what is wrong with the last edit of the draft; empty when nothing is.
        watched: the directory of the run in the train pane.
        launched: the run that this process trains or has trained last.
        leaving: what is to become of a live run when the screen goes.
        aside: the process that inspects models and previews data.
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
        Binding("p", "pause", "Pause"),
        Binding("c", "save", "Save now"),
        Binding("x", "stop", "Stop"),
        Binding("question_mark,f1", "keys", "Keys", key_display="?"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True),
    ]

    draft: reactive[RunConfig] = reactive(RunConfig, init=False)
    draft_error: reactive[str] = reactive("")
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
    ) -> None:
        """A studio that is not shown yet.

        Args:
            config: the draft.
            runs_root: the folder that holds the runs.
            terminal: the terminal to show it on; None under a test's headless driver.
            spec: the preset or file that the draft came from.
            watch: the directory of a run to show at once, which another process may own.
            named: words of the command line; the user's code that they name may run without a question.
        """
        super().__init__(terminal)
        self._spec = spec
        self._watch_first = watch
        self.set_reactive(Studio.draft, config)
        self.runs_root = runs_root
        self.launched: LaunchedRun | None = None
        self._is_start_awaited = False
        self._way_on = ""
        self._live_reader: RunReader | None = None
        self._poll: Poll | None = None
        self._own_log = terminal.log if terminal is not None else None
        self._printed_before = 0
        self.leaving: Leaving = ""
        self._code = CodeQuestion(self, named)
        self.aside = Aside(self._own_log, is_held=True, refuse=self._code.why_not)

    def compose(self) -> ComposeResult:
        """A line of tabs, the panes, the keys."""
        yield TabLine(PANES, active="data", id="tabs")
        with ContentSwitcher(initial="data"):
            yield DataPane(self.aside, id="data").data_bind(Studio.draft)
            yield ModelPane(self.aside, id="model").data_bind(Studio.draft, Studio.watched)
            yield SetupPane(self.aside, self._spec, id="setup").data_bind(Studio.draft, Studio.draft_error)
            yield TrainPane(self.aside, id="train").data_bind(Studio.draft, Studio.watched)
            yield RunsPane(self.aside, self.runs_root, id="runs").data_bind(Studio.draft)
            yield LogPane(self.terminal.log if self.terminal is not None else None, id="log")
        yield Footer(show_command_palette=False)

    def on_ready(self) -> None:
        """After the first paint: begin what takes long."""
        if self.leaving:
            # A signal came before there was a loop that could be told.
            self.exit()
        self._ask_for(self.draft)
        if self._watch_first is not None:
            self.post_message(WatchRequested(self._watch_first))
        self._poll = Poll(self, self._look_after_run, self._is_any_run_alive, _LOOK_EVERY, _LOOK_SELDOM)
        # Its imports would take processor time from the first paint.
        self.set_timer(_WARM_UP_AFTER, self._warm_up)

    @work(exclusive=True, group="warm-up")
    async def _warm_up(self) -> None:
        try:
            await self.aside.start()
        except AsideError as error:
            self._tell(str(error))
        # Imported here as well, where runs are trained; in a thread, so that the screen stays alive meanwhile.
        threading.Thread(target=_import_engine, name="import", daemon=True).start()

    async def on_unmount(self) -> None:
        """The process beside us goes with the screen."""
        await self.aside.close()

    def leave_soon(self) -> None:
        """End the screen and the run, from a signal handler."""
        self.leaving = "stop"
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.exit)

    # What panes ask for

    @on(DraftEdited)
    def _edit_draft(self, message: DraftEdited) -> None:
        try:
            self.draft = replace_value(self.draft, message.key, message.text)
            self.draft_error = ""
        except ConfigError as error:
            self.draft_error = str(error)

    @on(ArgumentRemoved)
    def _remove_argument(self, message: ArgumentRemoved) -> None:
        self.draft = remove_argument(self.draft, message.key)
        self.draft_error = ""

    @on(DraftReplaced)
    def _replace_draft(self, message: DraftReplaced) -> None:
        self.draft = message.config
        self.draft_error = ""

    @on(StartRequested)
    @work(group="start")
    async def _start(self) -> None:
        from engine.launch import launch

        if self._is_training() or not await self._code.may_train(self.draft) or self._is_training():
            return
        self._take_output_back()
        self._way_on = "3 changes the settings, s tries again"
        self._follow(launch(self.draft, self.runs_root, argv=["torchdeck"], on_directory=self._on_directory))

    @on(ResumeRequested)
    @work(group="start")
    async def _resume(self, message: ResumeRequested) -> None:
        from engine.launch import launch_resumed

        try:
            config = load_config(str(message.run / CONFIG_FILE))
        except TorchdeckError as error:
            self._tell(str(error))
            return
        if self._is_training() or not await self._code.may_train(config) or self._is_training():
            return
        self._take_output_back()
        try:
            run = launch_resumed(message.run, checkpoint=message.checkpoint, on_directory=self._on_directory)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        self._way_on = "5, then r, tries again"
        self._follow(run)

    # The user's code

    def watch_draft(self, draft: RunConfig) -> None:
        """Ask when the draft names code that nobody has agreed to."""
        self._ask_for(draft)

    @work(exclusive=True, group="trust")
    async def _ask_for(self, draft: RunConfig) -> None:
        if await self._code.ask_about(draft):
            # The draft is the same, but now it can be looked at.
            if code_files((draft.data, draft.loader)):
                self.query_one(DataPane).watch_draft()
            self.query_one(ModelPane).watch_draft()
            await self.query_one(SetupPane).watch_draft()

    @on(CommandRequested)
    def _command(self, message: CommandRequested) -> None:
        if self.watched is None and self._is_start_awaited and self.launched is not None:
            # It has no directory yet, and so no socket.
            self.launched.control.submit(dict(message.command))
            return
        if self.watched is None:
            self._tell("no run is shown: start one with s, or choose one in Runs")
            return
        self._send(self.watched, message.command)

    @work(group="commands")
    async def _send(self, run: Path, command: dict[str, object]) -> None:
        from engine.runs.control import send

        try:
            answer = await asyncio.to_thread(send, run, dict(command))
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
        """Show a pane and give it the focus."""
        self.query_one("#tabs", TabLine).active = pane
        self.query_one(ContentSwitcher).current = pane
        self.query_one(f"#{pane}").focus()

    @on(TabLine.Chosen, "#tabs")
    def _choose_tab(self, message: TabLine.Chosen) -> None:
        self.action_show(message.tab)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what a live run can do only while a live run is shown."""
        if action in ("pause", "save", "stop"):
            # While the app starts there is no pane yet.
            return any(pane.run_status in LIVE_STATUSES for pane in self.query(TrainPane))
        return super().check_action(action, parameters)

    def action_keys(self) -> None:
        """Show every key that works in the pane."""
        current = self.query_one(ContentSwitcher).visible_content
        if current is not None and not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(PANES[str(current.id)], current))

    def action_start(self) -> None:
        """Start a run from the draft."""
        self.post_message(StartRequested())

    def action_pause(self) -> None:
        """Pause the watched run, or let it go on."""
        paused = self.query_one(TrainPane).run_status == "paused"
        self.post_message(CommandRequested({"cmd": "resume" if paused else "pause"}))

    def action_save(self) -> None:
        """Save a checkpoint at the next step."""
        self.post_message(CommandRequested({"cmd": "save"}))

    def action_stop(self) -> None:
        """Stop the watched run at the next step, saved."""
        self.post_message(CommandRequested({"cmd": "stop", "after": "step"}))

    def action_leave(self) -> None:
        """Leave; with a live run, ask what is to become of it. Once is enough while the question stands."""
        if not any(isinstance(screen, LeaveScreen) for screen in self.screen_stack):
            self._leave()

    @work(exclusive=True, group="leave")
    async def _leave(self) -> None:
        if self.launched is not None and self.launched.is_alive:
            answer = await self.push_screen_wait(LeaveScreen(can_detach=self.terminal is not None))
            if answer == "cancel":
                return
            self.leaving = answer
            if answer == "stop":
                self.launched.stop(reason="the studio was left")
        self.exit()

    def _is_training(self) -> bool:
        if self.launched is not None and self.launched.is_alive:
            self._tell("a run is training here: stop it with x, or let it finish, before the next one")
            return True
        return False

    def _follow(self, run: LaunchedRun) -> None:
        self.launched = run
        # The same directory may be watched again: a run that is resumed.
        self.watched = None
        pane = self.query_one(TrainPane)
        pane.prepare(run)
        self.query_one(LogPane).follow_run(None)
        self.action_show("train")
        self._is_start_awaited = True
        self._hurry()

    def _hurry(self) -> None:
        if self._poll is not None:
            self._poll.hurry()

    def _is_any_run_alive(self) -> bool:
        """Whether something may change soon: a run that is trained here, or the one that is watched."""
        is_own = self._is_start_awaited or (self.launched is not None and self.launched.is_alive)
        return is_own or any(pane.run_status in LIVE_STATUSES for pane in self.query(TrainPane))

    def _look_after_run(self) -> None:
        """See a run's directory appear, and keep its line at the end of the tabs."""
        run, panes, tabs = self.launched, self.query(TrainPane), self.query("#tabs")
        if not panes or not tabs:
            # The screen is being taken down.
            return
        pane = panes.first()
        if run is not None and self._is_start_awaited:
            if run.path is not None:
                self._is_start_awaited = False
                self._show_started(run.path)
            elif not run.is_alive:
                self._is_start_awaited = False
                pane.refused(_why_not_started(run), self._way_on)
        tabs.first(TabLine).status = self._one_line(pane)

    def _one_line(self, pane: TrainPane) -> Text:
        """The live run's line, also while another run is watched; otherwise that of the watched run."""
        run = self.launched
        if run is None or run.path is None or not run.is_alive or run.path == self.watched:
            self._live_reader = None
            return pane.one_line
        if self._live_reader is None or self._live_reader.path != run.path:
            from engine.runs.reader import RunReader

            self._live_reader = RunReader(run.path)
        self._live_reader.poll()
        return one_line(self._live_reader.status(), self._live_reader.progress())

    @on(RunNoticed)
    def _tell_terminal(self, message: RunNoticed) -> None:
        """Whoever looks at another window hears of it, as the run's config says."""
        from engine.runs.reader import RunReader

        with contextlib.suppress(TorchdeckError):
            sequences = notice_for(RunReader(message.path), message.status, os.environ)
            if sequences and self._driver is not None:
                self._driver.write(sequences)

    def _show_started(self, path: Path) -> None:
        self.watched = path
        self.query_one(LogPane).follow_run(path / LOG_FILE)

    def _take_output_back(self) -> None:
        """What the next run prints while it is prepared belongs to no earlier run."""
        if self.terminal is not None and self._own_log is not None:
            self.terminal.send_output_to(self._own_log)
            self._printed_before = self._own_log.stat().st_size

    def _on_directory(self, path: Path) -> None:
        """In the engine's thread: from here on, what it prints belongs to the run."""
        if self.terminal is not None and self._own_log is not None:
            log = path / LOG_FILE
            self.terminal.send_output_to(log)
            carry_over(self._own_log, self._printed_before, log)

    def _tell(self, text: str) -> None:
        self.notify(printable(text), severity="warning", timeout=8, markup=False)


def _why_not_started(run: LaunchedRun) -> str:
    from engine.launch import describe_failure

    return describe_failure(run.error) if run.error is not None else "it was stopped before it began"


def _import_engine() -> None:
    import engine.build
    import engine.training.trainer  # noqa: F401
