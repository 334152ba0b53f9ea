"""Actions on the run and the checkpoint under the cursor, one key each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.reactive import reactive

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import replace_value
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.plurals import plural
from torchdeck.engine.run_files import CHECKPOINTS
from torchdeck.engine.user_path import user_path

from ..messages import DraftReplaced, ResumeRequested
from ..plain_text import printable
from ..process.worker_process import WorkerProcess
from ..screens.ask import ConfirmScreen, PromptScreen
from ..screens.exporting import ask_and_export
from ..words.figures import byte_size
from ..working import Working
from .pane import Pane

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.directory import RunSummary
    from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo


class RunActions(Working, Pane):
    """A widget with a cursor on a run or on one of its checkpoints; its keys act on them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume"),
        Binding("i", "inside", "Inside"),
        Binding("f", "fork", "Fork"),
        Binding("F", "fork_weights", "Fork the weights only", show=False),
        Binding("e", "evaluate", "Evaluate"),
        Binding("v", "compare", "Compare"),
        Binding("w", "export", "Export"),
        Binding("W", "export_averaged", "Export the EMA weights", show=False),
        Binding("o", "open_file", "Open a checkpoint file by path", show=False),
        Binding("k", "pin", "Pin or unpin the checkpoint", show=False),
        Binding("n", "rename", "Rename the run", show=False),
        Binding("d,delete", "delete", "Delete the run or the checkpoint", show=False),
        Binding("y", "copy_path", "Copy the path", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, worker: WorkerProcess, runs_root: Path, id: str | None = None) -> None:
        super().__init__(id=id)
        self._worker = worker
        self._root = runs_root
        self._compared: Path | None = None

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        raise NotImplementedError

    @property
    def chosen_checkpoint(self) -> CheckpointInfo | None:
        """The checkpoint under the cursor, if the cursor is among the checkpoints."""
        raise NotImplementedError

    def look_again(self) -> None:
        """React to a change on the disk."""
        raise NotImplementedError

    def offers(self, action: str) -> bool:
        """Offer actions on a run only while there is one."""
        return self.chosen is not None or action in ("open_file", "filter")

    @work(group="action", exclusive=True)
    async def action_resume(self) -> None:
        """Resume from the checkpoint under the cursor, or from the newest if the cursor is among the runs.

        If nothing is left to train, ask how many epochs to train in all.
        """
        run, checkpoint, path = self.chosen, self.chosen_checkpoint, self._chosen_path()
        if run is None:
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

    def action_copy_path(self) -> None:
        """Copy the path of the run or checkpoint to the terminal's clipboard, and show it."""
        run = self.chosen
        if run is not None:
            path = str((self._chosen_path() or run.path).absolute())
            self.app.copy_to_clipboard(path)
            self.app.notify(printable(path), title="copied", markup=False)

    @work(group="action", exclusive=True)
    async def action_inside(self) -> None:
        """Show what is inside the checkpoint."""
        if (path := await self._checkpoint_to_use()) is not None:
            self._open(path)

    @work(group="action", exclusive=True)
    async def action_open_file(self) -> None:
        """Ask for a checkpoint file, and show what is inside."""
        explanation = "A checkpoint written by any program. No code in it is run."
        path = await self.app.push_screen_wait(PromptScreen("Which file?", explanation))
        if path:
            self._open(user_path(path))

    @work(group="action", exclusive=True)
    async def action_evaluate(self) -> None:
        """Evaluate the checkpoint on the test split."""
        if (path := await self._checkpoint_to_use()) is not None:
            from ..screens.scores import ScoresScreen

            self.app.push_screen(ScoresScreen(path, self._worker))

    @work(group="action", exclusive=True)
    async def action_compare(self) -> None:
        """Choose the first of two checkpoints; when the second is chosen, compare them."""
        path = await self._checkpoint_to_use()
        if path is None:
            return
        if self._compared is None or self._compared == path:
            self._compared = path
            self.app.notify(f"press v on another run or checkpoint to compare it with {path.name}", markup=False)
            return
        from ..screens.compare import CompareScreen

        first, self._compared = self._compared, None
        self.app.push_screen(CompareScreen(first, path, self._worker))

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
        """Make the draft a run that continues from the checkpoint's whole state."""
        await self._fork(weights_only=False)

    @work(group="action", exclusive=True)
    async def action_fork_weights(self) -> None:
        """Make the draft a run that starts from the checkpoint's weights."""
        await self._fork(weights_only=True)

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
    async def action_rename(self) -> None:
        """Ask for a new name, and rename the run."""
        from torchdeck.engine.runs.browsing.renaming import rename_run
        from torchdeck.engine.runs.on_disk.directory import given_name

        run = self.chosen
        if run is None:
            return
        explanation = "Letters, digits, '.', '_' and '-'. The date and number after the name stay."
        name = await self.app.push_screen_wait(
            PromptScreen(f"New name for {run.name}", explanation, given_name(run.name))
        )
        if name:
            await self._do(rename_run, run.path, name)

    @work(group="action", exclusive=True)
    async def action_delete(self) -> None:
        """Delete the checkpoint or the run under the cursor, after a confirmation."""
        from torchdeck.engine.runs.browsing.removal import delete_checkpoint, delete_run, plan_removal

        run, checkpoint = self.chosen, self.chosen_checkpoint
        if run is None:
            return
        if checkpoint is not None:
            words = f"This frees {byte_size(checkpoint.bytes)} and can't be undone."
            if await self.app.push_screen_wait(ConfirmScreen(f"Delete {checkpoint.file} of {run.name}?", words)):
                await self._do(delete_checkpoint, run.path, checkpoint.file)
            return
        try:
            plan = await asyncio.to_thread(plan_removal, run.path)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        words = f"This deletes {plan.files} files ({byte_size(plan.bytes)}) and can't be undone."
        if plan.others:
            words += f"\nFiles that torchdeck did not make stay: {', '.join(plan.others[:5])}"
        if await self.app.push_screen_wait(ConfirmScreen(f"Delete the run {run.name}?", words)):
            await self._do(delete_run, run.path)

    def _open(self, path: Path) -> None:
        from ..screens.checkpoint import CheckpointScreen

        self.app.push_screen(CheckpointScreen(path, self._worker, self.draft or RunConfig()))

    async def _checkpoint_to_use(self) -> Path | None:
        """The checkpoint under the cursor; if the cursor is among the runs, the run's best, else its newest."""
        from torchdeck.engine.runs.browsing.references import find_checkpoint

        run = self.chosen
        if run is None:
            return None
        if (path := self._chosen_path()) is not None:
            return path
        try:
            return (await asyncio.to_thread(find_checkpoint, self._root, str(run.path))).path
        except TorchdeckError as error:
            self._tell(str(error))
            return None

    async def _fork(self, *, weights_only: bool) -> None:
        from torchdeck.engine.launching.fork import fork_config
        from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint

        path = await self._checkpoint_to_use()
        if path is None:
            return
        try:
            config = await asyncio.to_thread(fork_config, path, weights_only=weights_only)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        trained = 0 if weights_only else (await asyncio.to_thread(inspect_checkpoint, path)).epoch or 0
        if trained >= config.training.epochs:
            epochs = await self._ask_epochs(f"{path.name} has trained {plural(trained, 'epoch')}.", trained)
            if epochs is None:
                return
            config = replace_value(config, "training.epochs", str(epochs))
        self.post_message(DraftReplaced(config))
        how = "starts from the weights" if weights_only else "continues from the state"
        words = f"the draft {how} in {path.name}: press 3 to change its settings, s to start it"
        self.app.notify(words, markup=False)

    def _chosen_path(self) -> Path | None:
        run, checkpoint = self.chosen, self.chosen_checkpoint
        return run.path / CHECKPOINTS / checkpoint.file if run is not None and checkpoint is not None else None

    async def _do(self, change: Any, *arguments: Any) -> None:
        """Change something on the disk in a thread, then show the result."""
        try:
            await asyncio.to_thread(change, *arguments)
        except TorchdeckError as error:
            self._tell(str(error))
        self.look_again()

    def _tell(self, text: str) -> None:
        self.app.notify(printable(text), severity="warning", timeout=8, markup=False)
