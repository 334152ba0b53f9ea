"""Keys of the sweeps pane: what acts on the sweep, and on the trial under the cursor."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.reactive import reactive

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import ConfigError, TorchdeckError
from torchdeck.engine.machine.python_process import module_command
from torchdeck.engine.plurals import plural
from torchdeck.engine.user_path import user_path

from ...messages import DraftReplaced, WatchRequested
from ...screens.ask import ConfirmScreen, PromptScreen
from ...screens.dialog import Answer, Dialog
from ...screens.lines import LinesScreen
from ...screens.pick import PickEntry, PickScreen
from ...words.sweeps.study_text import TrialRow, trial_details
from ...words.sweeps.trial_text import settings_text
from ...working import Working
from ..pane import Pane

if TYPE_CHECKING:
    from torchdeck.engine.sweeps.folder import SweepFolder
    from torchdeck.engine.sweeps.report import SweepReport

_OPEN_OTHER = "another file …"


class SweepActions(Working, Pane):
    """A pane with a sweep and a cursor on one of its trials.

    Attributes:
        draft: config of the next run.
        report: the sweep that is shown; None while there is none.
    """

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, runs_root: Path, id: str | None = None) -> None:
        super().__init__(id=id)
        self.report: SweepReport | None = None
        self._runs_root = runs_root
        self._wanted: Path | None = None

    @property
    def chosen(self) -> TrialRow | None:
        """The trial under the cursor."""
        raise NotImplementedError

    def read(self) -> SweepReport | None:
        """Read the wanted sweep, or the newest; None where there is none. Call it in a thread.

        Raises:
            ConfigError: its file is damaged.
        """
        from torchdeck.engine.sweeps.folder import SweepFolder, list_sweeps
        from torchdeck.engine.sweeps.report import SweepReport

        if self._wanted is None:
            sweeps = list_sweeps(self._runs_root)
            folder = sweeps[0] if sweeps else None
        else:
            folder = SweepFolder(self._wanted)
        if folder is None:
            self.report = None
        elif self.report is None or self.report.folder.path != folder.path:
            self.report = SweepReport(folder)
        if self.report is not None:
            self.report.redefined()
            self.report.poll()
        return self.report

    # The trial under the cursor

    def action_show_run(self) -> None:
        """Show the trial's run in 4 Train."""
        if (row := self._trial()) is None:
            return
        path = self._runs_root / row.trial.runs[-1] if row.trial.runs else None
        if path is None or not path.is_dir():
            self.app.notify(row.trial.error or "it has no run yet", title=f"Trial {row.trial.number}")
            return
        self.post_message(WatchRequested(path))

    def action_inspect(self) -> None:
        """Everything that is known of the trial."""
        if (row := self._trial()) is not None and (report := self.report) is not None:
            lines = trial_details(row.trial, report.definition.objectives)
            self.app.push_screen(LinesScreen(f"Trial {row.trial.number}", lambda width: lines))

    def action_write(self) -> None:
        """Write the trial's values into the draft; the rest of the draft stays."""
        from torchdeck.engine.sweeps.space import with_settings

        row = self._trial()
        if row is None or self.draft is None:
            return
        try:
            draft = with_settings(self.draft, row.trial.settings)
        except ConfigError as error:
            self.app.notify(str(error), title="Not written", severity="warning")
            return
        self.post_message(DraftReplaced(draft))
        self.app.notify(settings_text(row.trial.settings), title=f"Values of trial {row.trial.number} in the draft")

    @work(group="action", exclusive=True)
    async def action_rerun(self) -> None:
        """Take the trial at full length as the draft, and start it after a question."""
        row, report = self._trial(), self.report
        if row is None or report is None:
            return
        config = report.definition.full_config(row.trial.settings)
        config = config.model_copy(update={"name": f"{config.name[:64]}-best-{row.trial.number}"})
        words = (
            f"{plural(config.training.epochs, 'epoch')}, {settings_text(row.trial.settings)}\nIt replaces the draft."
        )
        if await self.app.push_screen_wait(
            ConfirmScreen(f"Train trial {row.trial.number} at full length?", words, yes="Start", way_out="not now")
        ):
            from ...messages import StartRequested

            self.post_message(DraftReplaced(config))
            self.call_later(self.post_message, StartRequested())

    @work(group="action", exclusive=True)
    async def action_prune(self) -> None:
        """Stop the trial; the sweep continues without it."""
        row, report = self._trial(), self.report
        if row is None or report is None:
            return
        if row.trial.state != "running":
            self.app.notify(f"it is {row.trial.state}", title=f"Trial {row.trial.number}", severity="warning")
            return
        words = "Its run is saved and stopped. The sweep continues without it."
        question = ConfirmScreen(
            f"Stop trial {row.trial.number}?", words, yes="Stop it", way_out="trains on", again="d", tone="warning"
        )
        if await self.app.push_screen_wait(question):
            self._try(lambda: report.folder.prune(row.trial.number), "stop requested; takes effect at the next step")

    # The sweep

    @work(group="action", exclusive=True)
    async def action_edit(self) -> None:
        """Continue, pause or stop the sweep."""
        report = self._sweep()
        if report is None:
            return
        answers: list[Answer[str | None]] = [
            Answer("s", "Start workers", "work"),
            Answer("p", "Pause", "pause"),
            Answer("x", "Save and stop", "stop", "warning"),
        ]
        wish = await self.app.push_screen_wait(_SweepQuestion(f"{report.folder.name}: what next?", answers))
        if wish == "work":
            await self._start_workers(report.folder)
        elif wish == "pause":
            self._try(lambda: report.folder.set_wish("pause"), "no further trial starts; running ones train on")
        elif wish == "stop":
            self._try(lambda: report.folder.set_wish("stop"), "its runs save and stop")

    @work(group="action", exclusive=True)
    async def action_add(self) -> None:
        """More trials: ask how many in all."""
        report = self._sweep()
        if report is None:
            return
        trials = report.definition.sweep.trials
        explanation = f"It has {trials}. More can be added while it runs, and afterwards."
        answer = await self.app.push_screen_wait(PromptScreen("How many trials in all?", explanation, str(2 * trials)))
        if answer is not None:
            self._try(lambda: _set_trials(report.folder, answer), f"{answer} trials in all; e starts workers")

    @work(group="action", exclusive=True)
    async def action_open(self) -> None:
        """Show another sweep, or begin one from a file."""
        from torchdeck.engine.sweeps.folder import find_sweep, list_sweeps

        sweeps = await asyncio.to_thread(list_sweeps, self._runs_root)
        chosen: str | None = _OPEN_OTHER
        if sweeps:
            entries = [PickEntry(sweep.name) for sweep in sweeps]
            chosen = await self.app.push_screen_wait(PickScreen("Sweep", [*entries, PickEntry(_OPEN_OTHER)]))
        if chosen == _OPEN_OTHER:
            words = "A run's TOML file with [sweep.space]: a sweep begins with one worker."
            if answer := await self.app.push_screen_wait(PromptScreen("Begin a sweep from", words)):
                await self._begin(answer)
        elif chosen is not None:
            self._wanted = find_sweep(self._runs_root, chosen).path
            self.look_again()

    def look_again(self) -> object:
        """React to a change on the disk."""
        raise NotImplementedError

    async def _begin(self, file: str) -> None:
        from torchdeck.engine.launching.agreement import agree_to_named
        from torchdeck.engine.sweeps.definition import read_definition
        from torchdeck.engine.sweeps.folder import create_sweep
        from torchdeck.engine.sweeps.optuna_package import require_optuna

        try:
            require_optuna()
            definition = read_definition(str(user_path(file)))
            agree_to_named(definition.config)
            folder = create_sweep(self._runs_root, definition)
        except TorchdeckError as error:
            self.app.notify(str(error), title="No sweep begun", severity="warning")
            return
        self._wanted = folder.path
        await self._start_workers(folder)

    async def _start_workers(self, folder: SweepFolder) -> None:
        """Have a sweep worked on by processes of its own, which outlive the studio."""
        words = "Trials that train at a time, in processes that outlive the studio."
        answer = await self.app.push_screen_wait(PromptScreen("How many workers?", words, "1"))
        if answer is None:
            return
        if not answer.isdecimal() or not 1 <= int(answer) <= 64:
            self.app.notify(f"{answer}: must be a whole number from 1 to 64", severity="warning")
            return
        self._try(lambda: start_workers(folder, int(answer)), f"{plural(int(answer), 'worker')} started")

    def _try(self, action: object, done: str) -> None:
        assert callable(action)
        try:
            action()
        except TorchdeckError as error:
            self.app.notify(str(error), severity="warning")
            return
        self.app.notify(done)
        self.look_again()

    def _trial(self) -> TrialRow | None:
        if self.chosen is None:
            self.app.notify("there is no trial under the cursor", severity="warning")
        return self.chosen

    def _sweep(self) -> SweepReport | None:
        if self.report is None:
            self.app.notify("there is no sweep; o begins one from a file", severity="warning")
        return self.report


class _SweepQuestion(Dialog[str | None]):
    """What shall happen to a sweep."""

    def __init__(self, title: str, answers: list[Answer[str | None]]) -> None:
        super().__init__(title, answers, escape=None, way_out="changes nothing")


def start_workers(folder: SweepFolder, workers: int) -> None:
    """Start workers that outlive this process. Raises TorchdeckError where that is impossible."""
    from torchdeck.engine.sweeps.optuna_package import require_optuna

    require_optuna()
    folder.set_wish("work")
    words = ["sweep", "join", str(folder.path), "--runs", str(folder.runs_root), "--workers", str(workers)]
    try:
        with (folder.path / "sweep.log").open("ab") as log:
            subprocess.Popen(
                module_command("torchdeck", *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise ConfigError(f"no worker could be started: {error.strerror or error}") from error


def _set_trials(folder: SweepFolder, trials: str) -> None:
    from torchdeck.engine.sweeps.definition import read_definition

    folder.redefine(read_definition(str(folder.path / "sweep.toml"), [f"sweep.trials={trials}"]))
