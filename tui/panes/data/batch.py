"""The data pane's batch view: what the model gets at one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.message import Message

from ...keys.bindings import bindings
from ...screens.ask import PromptScreen
from ...widgets.image_grid import GridImage, ImageGrid
from .pictures import PicturesPanel

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import StepLook


class BatchView(PicturesPanel):
    """The batch of a step.

    Attributes:
        step: number of the step, from 1.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("batch")

    @dataclass
    class StepWanted(Message):
        """The user asked for another step."""

        step: int

    def __init__(self, id: str | None = None) -> None:
        super().__init__("Batch", pictures="batch_images", least=12, id=id)
        self.step = 1

    def show(self, seen: StepLook) -> None:
        """Show a batch."""
        self.entitle(
            f"Batch  [not bold $text-muted]what the model sees at step[/] {self.step:,}",
            f"{len(seen.captions)} samples",
        )
        images = [GridImage(image, caption) for image, caption in zip(seen.images, seen.captions, strict=False)]
        self.show_pictures(images)
        self.say("\n".join(seen.words if images else [*seen.words, *seen.captions]))

    def say_progress(self, markup: str) -> None:
        """Show that the batch is being made."""
        self.entitle(f"Batch  [not bold $text-muted]step[/] {self.step:,}", "")
        self.say("", markup=markup)

    def say_wrong(self, text: str) -> None:
        """Show why there is no batch."""
        self.show_pictures([])
        self.say("", text)

    def action_edit_step(self) -> None:
        """Ask for the number of a step."""

        def take(typed: str | None) -> None:
            if typed is None:
                return
            if not typed.isdecimal() or not int(typed):
                self.app.notify(f"a step is a whole number from 1, not {typed!r}", severity="warning")
                return
            self.post_message(self.StepWanted(int(typed)))

        words = "Number of an optimizer step of the run, from 1."
        self.app.push_screen(PromptScreen("Show the batch of which step?", words, str(self.step)), take)

    @on(ImageGrid.Chosen)
    def _ask_for_step(self, message: ImageGrid.Chosen) -> None:
        message.stop()
        self.action_edit_step()
