"""Lets the user start from weights in a file, after a preview of how they fit the draft's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.starting_weights import with_weights
from torchdeck.engine.errors import TorchdeckError

from ..drawing import escape
from ..keys.bindings import bindings
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.field import Field
from ..words.model.weights_text import mapping_text
from ..working import Working
from .dialog import OverScreen

if TYPE_CHECKING:
    from torchdeck.engine.models.weights import WeightsPreview

_HINT = "[b $key]Enter[/] previews the file, again: applies it. No code in it is run. An empty line means no file."
_NAMES = 200


class WeightsScreen(Working, OverScreen[str | None]):
    """Asks for a file and shows how it maps; returns the path, "" for no file, or None if the user cancels."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("weights")

    def __init__(self, worker: WorkerProcess, draft: RunConfig, path: str = "") -> None:
        """Create the dialog without showing it.

        Args:
            worker: process that reads the file.
            draft: config whose model would get the weights.
            path: file to begin with; empty for the draft's own.
        """
        super().__init__()
        self._worker = worker
        self._draft = draft
        self._path = path
        self._fitting = ""

    def compose(self) -> ComposeResult:
        """Lay out the path, the mapping and the keys."""
        with Vertical(classes="dialog -list") as box:
            box.border_title = "Weights from a file"
            box.border_subtitle = "[b]Esc[/] keeps the draft"
            place = "path/to/weights.pt, .pth, .ckpt, .safetensors"
            yield Field(self._path or self._draft.model.weights, placeholder=place)
            with VerticalScroll(classes="-fill"):
                yield Static(id="mapping")
            yield Static(_HINT, id="hint")

    @on(Input.Changed)
    def _another(self, message: Input.Changed) -> None:
        message.stop()
        self._fitting = ""

    @on(Input.Submitted)
    def _look_or_take(self, message: Input.Submitted) -> None:
        message.stop()
        path = message.value.strip()
        if not path or path == self._fitting:
            self.dismiss(path)
        else:
            self._look(path)

    @work(exclusive=True, group="weights")
    async def _look(self, path: str) -> None:
        self._say("[$text-muted]reading the file …[/]")
        draft = with_weights(self._draft, path)
        try:
            preview: WeightsPreview = await self._worker.call(worker_calls.PREVIEW_WEIGHTS, draft)
        except (TorchdeckError, WorkerError) as error:
            self._say(f"[$error]{escape(printable_lines(str(error)))}[/]")
            return
        self._fitting = "" if preview.problem else path
        self._say(mapping_text(preview, _NAMES))

    def _say(self, text: str) -> None:
        for place in self.query("#mapping").results(Static):
            place.update(text)
