"""Actions on the run and the checkpoint under the cursor, one key each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.reactive import reactive

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import replace_value
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.plurals import plural
from torchdeck.engine.run_files import CHECKPOINTS
from torchdeck.engine.user_path import user_path

from ...messages import DraftReplaced, QueueRequested, ResumeRequested, WatchRequested, WeightsChosen
from ...process.worker_process import WorkerProcess
from ...screens.ask import ConfirmScreen, PromptScreen
from ...screens.exporting import ask_and_export
from ...words.figures import byte_size
from ...working import Working
from ..pane import Pane

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.directory import RunSummary
    from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo


class RunActions(Working, Pane):
    """A widget with a cursor on a run or on one of its checkpoints; its keys act on them.

    Attributes:
        draft: config of the next run.
    """

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self._worker = worker

    @property
    def root(self) -> Path:
        """The folder of the runs that are listed."""
        raise NotImplementedError

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        raise NotImplementedError

    @property
    def chosen_checkpoint(self) -> CheckpointInfo | None:
        """The checkpoint under the cursor, if the cursor is among the checkpoints."""
        raise NotImplementedError

    @property
    def compared(self) -> list[Path]:
        """What is marked to be compared: checkpoints, or else runs."""
        raise NotImplementedError

    def look_again(self) -> None:
        """React to a change on the disk."""
        raise NotImplementedError

    def show_folder(self, root: Path) -> None:
        """List the runs of another folder."""
        raise NotImplementedError

    @work(group="action", exclusive=True)
    async def action_resume(self) -> None:
        """Resume from the checkpoint under the cursor, or from the newest if the cursor is among the runs.

        If nothing is left to train, ask how many epochs to train in all.
        """
        run, checkpoint, path = self.chosen, self.chosen_checkpoint, self._chosen_path()
        if run is None:
            self._say_no_run()
            return
        trained = checkpoint.epoch if checkpoint is not None else run.epoch
        epochs = 0
        if run.status in ("finished", "stopped") and trained >= run.epochs > 0:
            chosen = await self._ask_epochs(
                f"{run.name} has trained all of its {plural(run.epochs, 'epoch')}.", trained
            )
            if chosen is None:
                return
            epochs = chosen
        self.post_message(ResumeRequested(run.path, path, epochs))

    async def _ask_epochs(self, what: str, trained: int) -> int | None:
        """Ask for a number of epochs above `trained`; None if the user cancels."""
        text, error = str(2 * trained), ""
        while True:
            explanation = f"{what} More than {trained} continue it."
            answer = await self.app.push_screen_wait(
                PromptScreen("How many epochs in all?", explanation, text, error=error)
            )
            if answer is None:
                return None
            if answer.isdecimal() and int(answer) > trained:
                return int(answer)
            text, error = answer, f"{answer or 'nothing'}: must be a whole number above {trained}"

    def action_queue_draft(self) -> None:
        """Add the draft to the queue of this machine, where it waits for a free GPU."""
        self.post_message(QueueRequested())

    def action_copy_path(self) -> None:
        """Copy the path of the run or checkpoint to the terminal's clipboard, and show it."""
        run = self.chosen
        if run is None:
            self._say_no_run()
            return
        path = str((self._chosen_path() or run.path).absolute())
        self.app.copy_to_clipboard(path)
        self.app.notify(path, title="Copied")

    @work(group="action", exclusive=True)
    async def action_inspect(self) -> None:
        """Show what is inside the checkpoint."""
        if (path := await self._checkpoint_to_use()) is not None:
            self.look_inside(path)

    @work(group="action", exclusive=True)
    async def action_open_path(self) -> None:
        """Ask for a path: of a checkpoint, to show what is inside; of a run, to show it; of a folder of runs."""
        from torchdeck.engine.foreign.formats import holds_runs, is_any_run

        explanation = (
            "A checkpoint of any program, a run of torchdeck or of another trainer, or a folder of runs. "
            "No code in it is run."
        )
        text, error = "", ""
        while True:
            answer = await self.app.push_screen_wait(PromptScreen("Open", explanation, text, error=error))
            if not answer:
                return
            text, path = answer, user_path(answer)
            if await asyncio.to_thread(is_any_run, path):
                self.post_message(WatchRequested(path))
                return
            if not await asyncio.to_thread(path.is_dir):
                self.look_inside(path)
                return
            if await asyncio.to_thread(holds_runs, path):
                self.show_folder(path)
                return
            error = f"{path}: contains no runs that are known; to open a checkpoint, name its file"

    @work(group="action", exclusive=True)
    async def action_evaluate(self) -> None:
        """Evaluate the checkpoint on the test split."""
        if (path := await self._checkpoint_to_use()) is not None:
            from ...screens.scores import ScoresScreen

            self.app.push_screen(ScoresScreen(path, self._worker))

    @work(group="action", exclusive=True)
    async def action_compare(self) -> None:
        """Compare the two that are marked, or the one that is marked with the one under the cursor."""
        chosen = self._chosen_path() or (self.chosen.path if self.chosen is not None else None)
        marked = self.compared
        if len(marked) == 1 and chosen is not None and chosen != marked[0]:
            marked = [marked[0], chosen]
        if len(marked) != 2:
            self._tell(
                "Space marks a run or a checkpoint: mark two to compare their weights; the curves of more are beside"
                if len(marked) < 2
                else f"{len(marked)} are marked, and weights are compared of two: Esc unmarks all"
            )
            return
        paths = [await self._checkpoint_of(path) for path in marked]
        if paths[0] is not None and paths[1] is not None:
            from ...screens.compare import CompareScreen

            self.app.push_screen(CompareScreen(paths[0], paths[1], self._worker))

    @work(group="action", exclusive=True)
    async def action_export(self) -> None:
        """Ask for a file, and export the weights or the model to it."""
        if (path := await self._checkpoint_to_use()) is not None:
            await ask_and_export(self.app, self._worker, path, averaged=False)

    @work(group="action", exclusive=True)
    async def action_export_averaged(self) -> None:
        """Export the averaged weights."""
        if (path := await self._checkpoint_to_use()) is not None:
            await ask_and_export(self.app, self._worker, path, averaged=True)

    @work(group="action", exclusive=True)
    async def action_fork(self) -> None:
        """Make the draft a run that continues from the checkpoint's state, or starts from its weights; asks which."""
        from ...screens.fork import ForkScreen

        if (path := await self._checkpoint_to_use()) is None:
            return
        epoch = await self._epoch_of(path)
        if epoch is None:
            return
        of = await self.app.push_screen_wait(ForkScreen(path.name, epoch))
        if of:
            await self._fork(path, epoch, weights_only=of == "weights")

    @work(group="action", exclusive=True)
    async def action_fork_weights(self) -> None:
        """Make the draft a run that starts from the checkpoint's weights."""
        if (path := await self._checkpoint_to_use()) is not None:
            await self._fork(path, 0, weights_only=True)

    @work(group="action", exclusive=True)
    async def action_use_weights(self) -> None:
        """Make the draft's model start from the checkpoint's weights; the rest of the draft stays."""
        if (path := await self._checkpoint_to_use()) is not None:
            self.post_message(WeightsChosen(str(path.absolute())))
            self.app.notify(
                "2 Model shows which of them fit; u undoes it", title=f"Weights of {path.name} in the draft"
            )

    @work(group="action", exclusive=True)
    async def action_pin(self) -> None:
        """Pin the checkpoint under the cursor, or unpin it."""
        from torchdeck.engine.runs.saving.pins import pin, pinned_by, unpin

        run, checkpoint = self.chosen, self.chosen_checkpoint
        if run is None or checkpoint is None:
            self._tell("choose a checkpoint to pin: press Tab for the checkpoints")
            return
        change = unpin if checkpoint.is_pinned else pin
        await self._do(change, run.path / CHECKPOINTS, pinned_by(checkpoint.file) or checkpoint.file)

    @work(group="action", exclusive=True)
    async def action_edit(self) -> None:
        """Ask for name, tags and note of the run."""
        from torchdeck.engine.runs.browsing.renaming import rename_run
        from torchdeck.engine.runs.on_disk.directory import given_name, is_run
        from torchdeck.engine.runs.on_disk.run_labels import RunLabels, change_labels

        from ...screens.run_labels import RunLabelsScreen

        run = self.chosen
        if run is None:
            self._say_no_run()
            return
        if not is_run(run.path):
            self._tell(f"{run.name} is a run of another trainer ({run.source}), whose files are only read")
            return
        given, before = given_name(run.name), RunLabels(run.tags, run.note)
        edited = await self.app.push_screen_wait(RunLabelsScreen(run.name, given, before))
        if edited is None:
            return
        if edited.labels != before:
            await self._do(change_labels, run.path, lambda found: edited.labels)
        if edited.name != given and (path := await self._do(rename_run, run.path, edited.name)) is not None:
            self.renamed(run.path, path)

    def renamed(self, before: Path, after: Path) -> None:
        """A run has another directory now."""
        raise NotImplementedError

    @work(group="action", exclusive=True)
    async def action_delete(self) -> None:
        """Delete the checkpoint or the run under the cursor, after a confirmation."""
        from torchdeck.engine.runs.browsing.removal import delete_checkpoint, delete_run, plan_removal

        run, checkpoint = self.chosen, self.chosen_checkpoint
        if run is None:
            self._say_no_run()
            return
        if checkpoint is not None:
            words = f"Frees {byte_size(checkpoint.bytes)}; this can't be undone."
            question = f"Delete {checkpoint.file} of {run.name}?"
            if await self._is_wanted(question, words, "Delete checkpoint"):
                await self._do(delete_checkpoint, run.path, checkpoint.file)
            return
        try:
            plan = await asyncio.to_thread(plan_removal, run.path)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        words = f"{plural(plan.files, 'file')}, {byte_size(plan.bytes)}; this can't be undone."
        if plan.others:
            words += f"\nFiles that torchdeck did not make stay: {', '.join(plan.others[:5])}"
        if await self._is_wanted(f"Delete the run {run.name}?", words, "Delete run"):
            await self._do(delete_run, run.path)

    async def _is_wanted(self, question: str, what_happens: str, yes: str) -> bool:
        screen = ConfirmScreen(question, what_happens, yes=yes, way_out="keeps it", tone="error")
        return await self.app.push_screen_wait(screen)

    def look_inside(self, path: Path) -> None:
        """Show what is inside a checkpoint."""
        from ...screens.checkpoint import CheckpointScreen

        self.app.push_screen(CheckpointScreen(path, self._worker, self.draft or RunConfig()))

    async def _checkpoint_to_use(self) -> Path | None:
        """The checkpoint under the cursor; if the cursor is among the runs, the run's best, else its newest."""
        if self.chosen is None:
            self._say_no_run()
            return None
        return self._chosen_path() or await self._checkpoint_of(self.chosen.path)

    async def _checkpoint_of(self, path: Path) -> Path | None:
        """A checkpoint itself; of a run its best, else its newest."""
        from torchdeck.engine.runs.browsing.references import find_checkpoint

        try:
            return (await asyncio.to_thread(find_checkpoint, self.root, str(path))).path
        except TorchdeckError as error:
            self._tell(str(error))
            return None

    async def _epoch_of(self, path: Path) -> int | None:
        """Epochs that a checkpoint has trained; None if it can't be read."""
        from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint

        try:
            return (await asyncio.to_thread(inspect_checkpoint, path)).epoch or 0
        except TorchdeckError as error:
            self._tell(str(error))
            return None

    async def _fork(self, path: Path, trained: int, *, weights_only: bool) -> None:
        from torchdeck.engine.launching.fork import fork_config

        try:
            config = await asyncio.to_thread(fork_config, path, weights_only=weights_only)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        if not weights_only and trained >= config.training.epochs:
            epochs = await self._ask_epochs(f"{path.name} has trained {plural(trained, 'epoch')}.", trained)
            if epochs is None:
                return
            config = replace_value(config, "training.epochs", str(epochs))
        self.post_message(DraftReplaced(config))
        how = "starts from the weights" if weights_only else "continues from the state"
        self.app.notify("3 changes its settings, S starts it", title=f"The draft {how} in {path.name}")

    def _chosen_path(self) -> Path | None:
        run, checkpoint = self.chosen, self.chosen_checkpoint
        return run.path / CHECKPOINTS / checkpoint.file if run is not None and checkpoint is not None else None

    async def _do(self, change: Any, *arguments: Any) -> Any:
        """Change something on the disk in a thread, then show the result. Returns None if it is refused."""
        result = None
        try:
            result = await asyncio.to_thread(change, *arguments)
        except TorchdeckError as error:
            self._tell(str(error))
        self.look_again()
        return result

    def _say_no_run(self) -> None:
        self._tell("no run is under the cursor")

    def _tell(self, text: str) -> None:
        self.app.notify(text, severity="warning", timeout=8)
