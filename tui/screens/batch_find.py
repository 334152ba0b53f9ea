"""The search for the largest batch as a dialog: every try, and a key to write the result into the draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from .. import drawing
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.setup.batch_search_text import LOWER_START, result_text, tries_text
from ..words.worker_text import ended_words
from ..working import Working
from .search import SearchScreen

if TYPE_CHECKING:
    from torchdeck.engine.preflight.batch_search import BatchSearch


class BatchSearchScreen(Working, SearchScreen[int]):
    """Runs the search in a temporary process; returns the batch size that the user accepted, if any."""

    NOTHING: ClassVar[str] = "no batch size was found"

    def __init__(self, draft: RunConfig, worker: WorkerProcess) -> None:
        """Create a search for the draft's model, data, optimizer and precision.

        Args:
            draft: config whose largest batch is searched.
            worker: worker process; the search runs in a separate one.
        """
        super().__init__(f"Largest batch for {draft.name}")
        self._draft = draft
        self._worker = worker
        self._found: BatchSearch | None = None

    def body(self) -> ComposeResult:
        """What goes on or was found, above the tries."""
        yield Static("[$text-muted]starting …[/]", id="words")
        with VerticalScroll(can_focus=False):
            yield Static(id="tries")

    def on_mount(self) -> None:
        """Start the search."""
        super().on_mount()
        self._search()

    @work(exclusive=True)
    async def _search(self) -> None:
        words = self.query_one("#words", Static)

        def show(message: str, done: int, total: int) -> None:
            words.update(f"[$text-muted]{drawing.name(message)} …[/]")

        process = self._worker.another()
        try:
            found = await process.follow(worker_calls.FIND_LARGEST_BATCH, self._draft, on_progress=show)
        except (TorchdeckError, WorkerError) as error:
            reason = drawing.escape(printable_lines(ended_words(error, LOWER_START)))
            words.update(f"[$text-error]✗ {reason}[/]")
            return
        finally:
            await process.close()
        self._show(found)

    def _show(self, found: BatchSearch) -> None:
        self._found = found
        text = result_text(found)
        if found.largest:
            text += (
                f"\nThe draft has {self._draft.loader.batch_size:,}. The best learning rate changes with the batch "
                "size: find it anew afterwards."
            )
        self.query_one("#words", Static).update(text)
        self.query_one("#tries", Static).update(tries_text(found))

    @property
    def suggested(self) -> int | None:
        """The largest batch that fits; None if there is none yet, or at all."""
        return self._found.largest or None if self._found is not None else None
