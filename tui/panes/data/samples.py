"""The data pane's samples: as they are stored, beside what the model is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message

from ...drawing import name
from ...keys.bindings import bindings
from ...widgets.image_grid import GridImage
from ...words.data import data_text as data_words
from .pictures import PicturesPanel

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import SampleLook

_TITLE = "Samples  [not bold $text-muted]stored → as trained on[/]"


class SamplesView(PicturesPanel):
    """Pairs of pictures, or a description of samples without pictures, and what can't be shown."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("samples")

    @dataclass
    class OthersWanted(Message):
        """The user wants other samples: the next for 1, the previous for -1."""

        step: int

    class ClassWanted(Message):
        """The user wants samples of one class."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(_TITLE, pictures="images", group=2, least=2, id=id)

    def show(self, look: SampleLook, epoch: int, class_name: str, train_size: int) -> None:
        """Show some samples.

        Args:
            look: samples to show.
            epoch: epoch whose random draws transform them, from 1.
            class_name: class of all of them; empty if they are of any class.
            train_size: number of training samples.
        """
        images = []
        for sample in look.samples:
            images += [GridImage(sample.raw, sample.target), GridImage(sample.shown, "→ as trained on")]
        for text in look.texts:
            if text.raw_slice is not None and text.shown_slice is not None:
                images += [GridImage(text.raw_slice, text.target), GridImage(text.shown_slice, "→ middle slice")]
        self.show_pictures(images)
        wrong = [look.error, *look.unreadable] if look.error not in look.unreadable else look.unreadable
        self.say("\n".join(data_words.texts(look)), "\n".join(filter(None, wrong)))
        of = f"class [b]{name(class_name, 20)}[/] · " if class_name else ""
        self.entitle(subtitle=f"{of}draw of epoch {epoch} · {train_size:,} samples")

    def say_wrong(self, text: str) -> None:
        """Show why there is no sample to show."""
        self.show_pictures([])
        self.say("", text)

    def action_other_samples(self, step: int) -> None:
        """Show other samples."""
        self.post_message(self.OthersWanted(step))

    def action_choose_class(self) -> None:
        """Show samples of one class only."""
        self.post_message(self.ClassWanted())
