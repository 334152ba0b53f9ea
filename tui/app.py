"""The studio's screen: a draft of the next run, the run that is watched, and the panes that show them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar, Literal

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widgets import ContentSwitcher, Footer

from engine.config import RunConfig
from engine.config_file import remove_argument, replace_value
from engine.errors import ConfigError, TorchdeckError
from engine.launch import LaunchedRun, describe_failure, launch, launch_resumed
from engine.runs.control import send
from engine.runs.directory import LOG_FILE
from tui.aside import Aside
from tui.messages import (
    ArgumentRemoved,
    CommandRequested,
    DraftEdited,
    DraftReplaced,
    ResumeRequested,
    StartRequested,
    WatchRequested,
)
from tui.panes.data import DataPane
from tui.panes.log import LogPane
from tui.panes.model import ModelPane
from tui.panes.runs import RunsPane
from tui.panes.setup import SetupPane
from tui.panes.train import TrainPane
from tui.screens.leave import LeaveScreen
from tui.terminal import Terminal, TerminalApp
from tui.widgets.plain_text import printable
from tui.widgets.tab_line import TabLine

Leaving = Literal["", "keep", "stop"]

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
        Binding("s", "start", "Start"),
        Binding("p", "pause", "Pause"),
        Binding("c", "save", "Save now"),
        Binding("x", "stop", "Stop"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True),
    ]

    draft: reactive[RunConfig] = reactive(RunConfig, init=False)
    draft_error: reactive[str] = reactive("")
    watched: reactive[Path | None] = reactive(None)

    def __init__(
        self, config: RunConfig, runs_root: Path, terminal: Terminal | None = None, *, spec: str = "digits"
    ) -> None:
        """A studio that is not shown yet.

        Args:
            config: the draft.
            runs_root: the folder that holds the runs.
            terminal: the terminal to show it on; None under a test's headless driver.
            spec: the preset or file that the draft came from.
        """
        super().__init__(terminal)
        self._spec = spec
        self.set_reactive(Studio.draft, config)
        self.runs_root = runs_root
        self.launched: LaunchedRun | None = None
        self.leaving: Leaving = ""
        self.aside = Aside()

    def compose(self) -> ComposeResult:
        """A line of tabs, the panes, the keys."""
        yield TabLine(PANES, active="data")
        with ContentSwitcher(initial="data"):
            yield DataPane(self.aside, id="data").data_bind(Studio.draft)
            yield ModelPane(self.aside, id="model").data_bind(Studio.draft)
            yield SetupPane(self.aside, self._spec, id="setup").data_bind(Studio.draft, Studio.draft_error)
            yield TrainPane(id="train").data_bind(Studio.draft, Studio.watched)
            yield RunsPane(self.runs_root, id="runs")
            yield LogPane(self.terminal.log if self.terminal is not None else None, id="log")
        yield Footer(show_command_palette=False)

    def on_ready(self) -> None:
        """After the first paint: begin what takes long."""
        self.call_after_refresh(self._warm_up)

    @work(exclusive=True, group="warm-up")
    async def _warm_up(self) -> None:
        await self.aside.start()
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
    def _start(self) -> None:
        if self._is_training():
            return
        self._follow(launch(self.draft, self.runs_root, argv=["torchdeck"], on_directory=self._on_directory))

    @on(ResumeRequested)
    def _resume(self, message: ResumeRequested) -> None:
        if self._is_training():
            return
        try:
            run = launch_resumed(message.run, checkpoint=message.checkpoint, on_directory=self._on_directory)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        self._follow(run)

    @on(CommandRequested)
    def _command(self, message: CommandRequested) -> None:
        if self.watched is None:
            self._tell("no run is shown: start one with s, or choose one in Runs")
            return
        self._send(self.watched, message.command)

    @work(thread=True, exit_on_error=False, group="commands")
    def _send(self, run: Path, command: dict[str, object]) -> None:
        try:
            answer = send(run, dict(command))
        except (TorchdeckError, OSError) as error:
            answer = {"ok": False, "error": str(error)}
        if not answer.get("ok"):
            self.call_from_thread(self._tell, str(answer.get("error")))

    @on(WatchRequested)
    def _watch(self, message: WatchRequested) -> None:
        self.watched = message.run
        self.action_show("train")

    # Keys

    def action_show(self, pane: str) -> None:
        """Show a pane and give it the focus."""
        self.query_one(TabLine).active = pane
        self.query_one(ContentSwitcher).current = pane
        self.query_one(f"#{pane}").focus()

    @on(TabLine.Chosen)
    def _choose_tab(self, message: TabLine.Chosen) -> None:
        self.action_show(message.tab)

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

    @work(exclusive=True, group="leave")
    async def action_leave(self) -> None:
        """Leave; with a live run, ask what is to become of it."""
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
        self.action_show("train")
        self._see_it_start(run)

    @work(thread=True, exit_on_error=False, group="start")
    def _see_it_start(self, run: LaunchedRun) -> None:
        path = run.wait_for_directory()
        if path is not None:
            self.call_from_thread(self._show_started, path)
        elif run.error is not None:
            self.call_from_thread(self.query_one(TrainPane).refused, describe_failure(run.error))

    def _show_started(self, path: Path) -> None:
        self.watched = path
        if self.terminal is not None:
            self.query_one(LogPane).follow(path / LOG_FILE)

    def _on_directory(self, path: Path) -> None:
        """In the engine's thread: from here on, what it prints belongs to the run."""
        if self.terminal is not None:
            self.terminal.send_output_to(path / LOG_FILE)

    def _tell(self, text: str) -> None:
        self.notify(printable(text), severity="warning", timeout=8, markup=False)


def _import_engine() -> None:
    import engine.build
    import engine.training.trainer  # noqa: F401
