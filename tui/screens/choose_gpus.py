"""Lets the user choose the GPUs to train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from torchdeck.engine.detached.gpus import GpuState, Occupant

from ..keys.bindings import bindings
from ..widgets.rows import Rows
from ..words.setup.gpu_text import gpu_line, share_line
from .dialog import OverScreen


class ChooseGpusScreen(OverScreen[tuple[int, ...] | None]):
    """The GPUs of the machine, each on or off, with what occupies it; returns those that are on, or None."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("gpus")

    def __init__(
        self,
        gpus: Sequence[GpuState],
        occupants: Mapping[int, Sequence[Occupant]],
        chosen: Sequence[int],
        batch_size: int,
    ) -> None:
        """Create the list.

        Args:
            gpus: all of them, with the numbers by which they are chosen.
            occupants: by number, the processes that compute on a GPU.
            chosen: numbers of those that are on.
            batch_size: size of the batch that they share.
        """
        super().__init__()
        self._gpus, self._occupants, self._batch_size = tuple(gpus), occupants, batch_size
        self._on = {gpu.index for gpu in gpus} & set(chosen)

    def compose(self) -> ComposeResult:
        """Lay out the list above what follows from it."""
        with Vertical(classes="dialog") as box:
            box.border_title = "GPUs to train on"
            box.border_subtitle = "[b]Esc[/] changes nothing"
            yield Rows(id="gpus")
            yield Static(id="share")
            yield Static("[b $key]␣[/] on, off   [b $key]*[/] all, none   [b $key]⏎[/] applies")

    def on_mount(self) -> None:
        """Show the list."""
        rows = self.query_one(Rows)
        rows.styles.height = min(16, len(self._gpus))
        # The dialog's frame is enough.
        rows.remove_class("panel")
        self._show()
        rows.focus()

    def action_toggle_gpu(self) -> None:
        """Switch the GPU under the cursor on or off."""
        self._on ^= {self._gpus[self.query_one(Rows).cursor].index}
        self._show()

    def action_toggle_all(self) -> None:
        """Choose every GPU; none, if all are chosen."""
        everything = {gpu.index for gpu in self._gpus}
        self._on = set() if self._on == everything else everything
        self._show()

    def action_apply(self) -> None:
        """Close with what is on."""
        self.dismiss(tuple(sorted(self._on)))

    @on(Rows.Clicked)
    def _click(self, message: Rows.Clicked) -> None:
        message.stop()
        self.action_toggle_gpu()

    def _show(self) -> None:
        def line(index: int, width: int) -> str:
            gpu = self._gpus[index]
            return gpu_line(gpu, self._occupants.get(gpu.index, ()), width, is_chosen=gpu.index in self._on)

        self.query_one(Rows).set_rows(len(self._gpus), line, position="")
        self.query_one("#share", Static).update(share_line(len(self._on), self._batch_size))
