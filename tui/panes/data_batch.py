"""The data pane's batch view: what the model gets at one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from ..plain_text import printable_lines
from ..widgets.image_grid import GridImage, ImageGrid

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import StepLook


class BatchView(Vertical):
    """A field for a step number, and the batch of that step."""

    DEFAULT_CSS = """
    BatchView {
        & #step_line { height: 1; & Static { width: auto; } & Input { width: 12; } }
        & #batch_words { height: auto; max-height: 8; overflow-y: auto; color: $text-muted; margin-bottom: 1; }
    }
    """

    @dataclass
    class StepWanted(Message):
        """The user asked for another step."""

        step: int

    def compose(self) -> ComposeResult:
        """Lay out the step number, the description of its batch, and its images."""
        field = Input("1", id="step", compact=True, type="integer")
        field.cursor_blink = False
        with Horizontal(id="step_line"):
            yield Static("what the model sees at step ", markup=False)
            yield field
        yield Static(id="batch_words", markup=False)
        yield ImageGrid(empty="", least=12, id="batch_images")

    @property
    def step(self) -> int:
        """The step number in the field; 1 if the field has none."""
        typed = self.query_one(Input).value.strip()
        return int(typed) if typed.isdecimal() else 1

    def say(self, lines: list[str], style: str = "") -> None:
        """Show a message in place of a batch, such as that it is being made."""
        self._tell(lines, style)
        self.query_one(ImageGrid).set_images([])

    def show(self, seen: StepLook) -> None:
        """Show a batch."""
        self._tell(seen.words if seen.images else [*seen.words, *seen.captions])
        images = [GridImage(image, caption) for image, caption in zip(seen.images, seen.captions, strict=False)]
        self.query_one(ImageGrid).set_images(images)

    def _tell(self, lines: list[str], style: str = "") -> None:
        self.query_one("#batch_words", Static).update(Text(printable_lines("\n".join(lines)), style=style))

    @on(Input.Submitted)
    def _take_step(self, message: Input.Submitted) -> None:
        message.stop()
        if message.value.strip().isdecimal():
            self.post_message(self.StepWanted(self.step))
