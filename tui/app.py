"""The studio app: the draft of the next run, the watched run, and the panes that show both."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import ContentSwitcher

from torchdeck.engine.config import RunConfig

from .code_question import CodeQuestion
from .graphics.support import Wish
from .keys.bindings import bindings
from .keys.commands import PANES
from .messages import QueueRequested, StartRequested, WatchRequested
from .panes.pane import Pane
from .process.terminal import Terminal
from .process.worker_process import WorkerError, WorkerProcess
from .run_control import RunControl
from .runs.own_run import import_engine
from .widgets.key_line import KeyLine
from .widgets.tab_line import TabLine

_WARM_UP_AFTER = 0.25  # seconds
# These keep their place in the last line.
_ALWAYS_SHOWN = ("start", "command_palette", "keys")
# What a newcomer looks for: other keys of the focused panel make room for these.
_BETWEEN_PANELS = ("app.focus_next",)
_KEPT_IN: Mapping[str, tuple[str, ...]] = {
    "train": ("command('pause')", "command('resume')", "command('save')", "edit_live", "stop"),
    "runs": ("compare", "resume"),
}


def _everything() -> Any:
    from .palette.everything import Everything

    return Everything


class Studio(RunControl):
    """Makes the panes at their first visit, gives them what they show, and acts on their messages.

    Attributes:
        worker: process that inspects models and previews data.
    """

    COMMANDS: ClassVar[set[Any]] = {_everything}
    BINDINGS: ClassVar[list[BindingType]] = bindings("studio")

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
        super().__init__(config, spec, runs_root, terminal, graphics=graphics)
        self._watch_first = watch
        self._code = CodeQuestion(self, named)
        self.worker = WorkerProcess(
            terminal.log if terminal is not None else None, is_held=True, refuse=self._code.refusal
        )

    def compose(self) -> ComposeResult:
        """Lay out the first line, the panes and the last line."""
        first = "train" if self._watch_first is not None else "data"
        yield TabLine(PANES, active=first, id="tabs")
        with ContentSwitcher(initial=first):
            yield self._made(first)
        yield KeyLine(_ALWAYS_SHOWN, kept=self._kept_keys)

    def _made(self, name: str) -> Pane:
        """Make a pane. What is not looked at is not imported."""
        if name == "data":
            from .panes.data.pane import DataPane

            return DataPane(self.worker, id=name).data_bind(Studio.draft)
        if name == "model":
            from .panes.model.pane import ModelPane

            return ModelPane(self.worker, id=name).data_bind(Studio.draft, Studio.watched)
        if name == "setup":
            from .panes.setup.pane import SetupPane

            return SetupPane(self.worker, self.runs_root, id=name).data_bind(
                Studio.draft, Studio.draft_error, Studio.spec
            )
        if name == "train":
            from .panes.train.pane import TrainPane

            return TrainPane(self.watched_run, id=name).data_bind(Studio.draft)
        if name == "runs":
            from .panes.runs.pane import RunsPane

            return RunsPane(self.worker, self.runs_root, id=name).data_bind(Studio.draft)
        if name == "sweeps":
            from .panes.sweeps.pane import SweepsPane

            return SweepsPane(self.worker, self.runs_root, id=name).data_bind(Studio.draft)
        from .panes.log import LogPane

        return LogPane(self.terminal.log if self.terminal is not None else None, self.watched_run, id=name)

    def on_ready(self) -> None:
        """Start slow work, after the first paint."""
        if self.leaving:
            # A signal arrived before the event loop started.
            self.exit()
        self.pane.focus_first()
        self._ask_for(self.draft)
        self.offer_kept_draft()
        if self._watch_first is not None:
            self.post_message(WatchRequested(self._watch_first))
        # The worker's imports would take CPU time from the first paint.
        self.set_timer(_WARM_UP_AFTER, self._warm_up)

    @work(exclusive=True, group="warm-up")
    async def _warm_up(self) -> None:
        try:
            await self.worker.start()
        except WorkerError as error:
            self.notify(str(error), severity="warning")
        # Runs train in this process, so it needs torch too. A thread keeps the screen responsive meanwhile.
        threading.Thread(target=import_engine, name="import", daemon=True).start()

    async def on_unmount(self) -> None:
        """Keep the draft, and end the worker process."""
        self.keep_draft()
        await self.worker.close()

    # Panes

    @property
    def pane(self) -> Pane:
        """The pane that is shown."""
        switcher = self.screen_stack[0].query_one(ContentSwitcher)
        return switcher.query_one(f"#{switcher.current}", Pane)

    async def action_show(self, name: str) -> None:
        """Show a pane, made at its first visit, and focus it."""
        screen = self.screen_stack[0]
        screen.minimize()
        switcher = screen.query_one(ContentSwitcher)
        if not switcher.query(f"#{name}"):
            made = self._made(name)
            # Not beside the pane that is still shown.
            made.display = False
            await switcher.mount(made)
        switcher.current = name
        screen.query_one("#tabs", TabLine).active = name
        pane = self.pane
        pane.focus_first()
        pane.run_changed()

    async def action_next_pane(self, by: int) -> None:
        """Show the next or previous pane; behind the last comes the first."""
        names = list(PANES)
        await self.action_show(names[(names.index(str(self.pane.id)) + by) % len(names)])

    @on(TabLine.Chosen, "#tabs")
    async def _choose_tab(self, message: TabLine.Chosen) -> None:
        await self.action_show(message.tab)

    async def action_find_value(self, key: str) -> None:
        """Search for a value of a setting that can be found, in the setup pane."""
        from .panes.setup.pane import SetupPane

        await self.action_show("setup")
        pane = self.screen_stack[0].query_one(SetupPane)
        pane.go_to(key)
        pane.find_value(key)

    def action_view(self, by: int) -> None:
        """Show the next or previous view of the pane."""
        self.pane.next_view(by)

    def _kept_keys(self) -> Sequence[str]:
        pane = str(self.screen_stack[0].query_one(ContentSwitcher).current)
        return (*_KEPT_IN.get(pane, ()), *_BETWEEN_PANELS)

    def run_is_shown(self) -> None:
        """Show the watched run in the train pane."""
        self.call_later(self.action_show, "train")

    def run_changed(self) -> None:
        """Update the first line and the pane."""
        if not self.query("#tabs"):
            # The screen is closing.
            return
        self.screen_stack[0].query_one("#tabs", TabLine).status = self.forms()
        self.pane.run_changed()

    # The user's code

    async def may_train(self, config: RunConfig) -> bool:
        """Whether the code that a config names may run; asks the user if that is open."""
        return await self._code.may_train(config)

    @on(QueueRequested)
    @work(group="queue")
    async def _queue(self) -> None:
        from torchdeck.engine.errors import TorchdeckError
        from torchdeck.engine.plurals import plural
        from torchdeck.engine.queue.folder import Queue

        draft, queue = self.draft, Queue(self.runs_root)
        if not await self.may_train(draft):
            return
        try:
            job = queue.add(draft)
        except TorchdeckError as error:
            self.notify(str(error), title="Not queued", severity="warning")
            return
        is_watched = any(queue.is_watched(each) for each in queue.jobs())
        hint = "" if is_watched else "; `torchdeck queue work` starts it"
        waiting = plural(len(queue.waiting()), "job waits", "jobs wait")
        self.notify(f"{waiting}{hint}", title=f"Job {job.number}: {job.name}")

    def watch_draft(self, draft: RunConfig) -> None:
        """Ask if the draft names code that the user has not approved."""
        self._ask_for(draft)

    @work(exclusive=True, group="trust")
    async def _ask_for(self, draft: RunConfig) -> None:
        if await self._code.ask_about(draft):
            for pane in self.screen_stack[0].query(Pane):
                pane.code_trusted()

    # Keys

    def action_keys(self) -> None:
        """List every key of the focus and its parents, in the pane or in the screen above it."""
        from .screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_start(self) -> None:
        """Start a run from the draft, unless an edit of it is open. Where the draft is not shown, ask first."""
        if not self._is_training():
            self._ask_to_start()

    @work(exclusive=True, group="start question")
    async def _ask_to_start(self) -> None:
        for pane in self.screen_stack[0].query(Pane):
            if reason := pane.unsettled():
                await self.action_show(str(pane.id))
                pane.go_to_unsettled()
                self.notify(f"{reason}; Enter applies it, Esc cancels", title="Not started", severity="warning")
                return
        from .screens.ask import start_question

        is_draft_shown = self.pane.id == "setup" or (self.pane.id == "train" and self.watched is None)
        if is_draft_shown or await self.push_screen_wait(start_question(self.draft)):
            self.post_message(StartRequested())
