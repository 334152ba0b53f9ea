"""The search for the largest batch, as a screen over the train pane: every try, and a key to use the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.batch_search_text import ended_words, result_text, tries_text
from ..working import Working
from .dialog import OverScreen

if TYPE_CHECKING:
    from torchdeck.engine.preflight.batch_search import BatchSearch


class BatchSearchScreen(Working, OverScreen[int | None]):
    """Runs the search in a temporary process; returns the batch size that the user accepted, if any."""

    DEFAULT_CSS = """
    BatchSearchScreen { align: center middle; }
    BatchSearchScreen > VerticalScroll {
        width: 90%; max-width: 90; height: auto; max-height: 90%; padding: 0 1;
        border: round $primary; background: $surface;
    }
    BatchSearchScreen Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Use this batch size"),
        Binding("escape", "cancel", "Cancel"),
    ]

    def __init__(self, draft: RunConfig, worker: WorkerProcess) -> None:
        """Create a search for the draft's model, data, optimizer and precision.

        Args:
            draft: config whose largest batch is searched.
            worker: worker process; the search runs in a separate one.
        """
        super().__init__()
        self._draft = draft
        self._worker = worker
        self._found: BatchSearch | None = None

    def compose(self) -> ComposeResult:
        """Lay out the progress and the tries."""
        with VerticalScroll() as box:
            box.border_title = f"Largest batch for {printable(self._draft.name)}"
            box.border_subtitle = "? keys · Esc cancels"
            yield Static("starting …", id="words", markup=False)
            yield Static(id="tries", markup=False)

    def on_mount(self) -> None:
        """Start the search."""
        self._search()

    @work(exclusive=True)
    async def _search(self) -> None:
        words = self.query_one("#words", Static)

        def show(message: str, done: int, total: int) -> None:
            words.update(printable(f"{message} …"))

        process = self._worker.another()
        try:
            found = await process.follow(worker_calls.FIND_LARGEST_BATCH, self._draft, on_progress=show)
        except (TorchdeckError, WorkerError) as error:
            words.update(Text(printable_lines(ended_words(str(error))), "red"))
            return
        finally:
            await process.close()
        self._show(found)

    def _show(self, found: BatchSearch) -> None:
        self._found = found
        text = result_text(found)
        if found.largest:
            text.append(
                f"\nThe draft has {self._draft.loader.batch_size:,}. Enter applies the new size. The best "
                "learning rate changes with the batch size: press f to find it\n"
            )
        self.query_one("#words", Static).update(text)
        self.query_one("#tries", Static).update(tries_text(found))

    @property
    def suggested(self) -> int | None:
        """The largest batch that fits; None if there is none yet, or at all."""
        return self._found.largest or None if self._found is not None else None

    def action_take(self) -> None:
        """Close with the batch size that was found."""
        if self.suggested is not None:
            self.dismiss(self.suggested)

    def action_cancel(self) -> None:
        """Close without a result; a running search ends with its process."""
        self.workers.cancel_node(self)
        self.dismiss(None)
