"""The data pane's numbers: statistics of pixels, sizes and classes; and where the samples are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message

from ...drawing import marked
from ...keys.bindings import bindings
from ...widgets.panel import Lines
from ...widgets.rows import Rows
from ...words.data import data_text as data_words

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DataLook, SampleLook

# Rows of classes that stay visible below the statistics.
_LEAST_CLASSES = 4


class NumbersView(Rows):
    """Measured statistics, and below them the classes if they are not balanced; Enter shows samples of a class."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("numbers")

    class NormalizeWanted(Message):
        """The user wants the measured mean and std in Normalize."""

    class ClassChosen(Message):
        """The user wants samples of a class."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, id: str | None = None) -> None:
        super().__init__("Numbers", id=id)
        self._shown: tuple[DataLook, SampleLook | None] | None = None
        self._progress = ""
        self._wrong = ""

    def show(self, look: DataLook, samples: SampleLook | None) -> None:
        """Show what is known of an opened data set."""
        self._shown = look, samples
        self._progress, self._wrong = "", ""
        self._list()

    def say_progress(self, markup: str) -> None:
        """Show above the numbers how far a measurement is."""
        self._progress, self._wrong = markup, ""
        self._list()

    def say_wrong(self, text: str) -> None:
        """Show above the numbers why nothing was measured."""
        self._progress, self._wrong = "", text
        self._list()

    def _said(self, width: int) -> list[str]:
        return [*self._progress.splitlines(), *marked("[$text-error]✗[/]", self._wrong, width, "$text-error")]

    def _list(self) -> None:
        if self._shown is None:
            self.set_rows(0, lambda index, width: "", empty=lambda width, height: self._said(width))
            return
        look, samples = self._shown
        classes = [] if data_words.is_balanced(look) else list(zip(look.classes, look.class_counts, strict=False))
        most = max(look.class_counts, default=0)

        def head(width: int) -> list[str]:
            lines = self._said(width) + data_words.numbers(look, samples, width, self.size.height)
            return lines[: max(1, self.size.height - _LEAST_CLASSES)] if classes else lines

        self.set_rows(
            len(classes),
            lambda index, width: data_words.class_line(*classes[index], most, width),
            head=head,
            empty=lambda width, height: head(width)[:height],
            position=None if classes else "",
        )

    def action_choose(self) -> None:
        """Show samples of the class under the cursor."""
        if self.count:
            self.post_message(self.ClassChosen(self.cursor))
        else:
            self.app.notify("the classes are balanced: / in the samples chooses one")

    def action_write(self) -> None:
        """Write mean and std into Normalize."""
        self.post_message(self.NormalizeWanted())


class StorageView(Lines):
    """Where the training samples are kept, and how long an epoch is read."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__("Storage", id=id)
        self._samples: SampleLook | None = None
        self._seconds: float | None = None

    def show_samples(self, samples: SampleLook | None) -> None:
        """Show where they are kept; a time that was measured for another storage is dropped."""
        before = self._samples.storage if self._samples is not None else None
        if samples is None or samples.storage != before:
            self._seconds = None
        self._samples = samples
        self._draw_storage()

    def show_seconds(self, seconds: float) -> None:
        """Show how long an epoch is read."""
        self._seconds = seconds
        self._draw_storage()

    def _draw_storage(self) -> None:
        storage = self._samples.storage if self._samples is not None else None
        seconds = self._seconds
        self.show(lambda width, height: data_words.storage(storage, seconds, width, height))
