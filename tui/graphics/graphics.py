"""The graphics of one terminal, shared by everything that shows pictures on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import kitty
from .support import Support

# Where a terminal does not tell: a usual size, enough for a terminal that scales pictures itself.
_USUAL_CELL = (10, 20)


class Graphics:
    """How pictures are shown, and which of them the terminal holds.

    Attributes:
        support: the way.
        is_truecolor: colours reach the terminal as they are; else as the nearest of 256.
    """

    def __init__(
        self,
        support: Support | None = None,
        write: Callable[[str], None] = lambda sequence: None,
        *,
        is_truecolor: bool = True,
        cell: Callable[[], tuple[int, int] | None] = lambda: None,
    ) -> None:
        """Nothing is shown yet.

        Args:
            support: the way; None for half blocks.
            write: sends an escape sequence to the terminal, in its turn among what is drawn.
            is_truecolor: colours reach the terminal as they are.
            cell: width and height of a character cell in pixels as the terminal's device knows it; None if it doesn't.
        """
        self.support = support or Support()
        self.is_truecolor = is_truecolor
        self._write = write
        self._cell = cell
        self._numbers = kitty.numbers(truecolor=is_truecolor)
        self._held: set[int] = set()
        self._is_over = False

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of a character cell in pixels, now: the user may change the font."""
        return self._cell() or self.support.cell or _USUAL_CELL

    @property
    def cell_aspect(self) -> float:
        """Height of a character cell in its widths."""
        width, height = self.cell
        return height / width

    def write(self, sequence: str) -> None:
        """Send an escape sequence, unless the terminal has been given back."""
        if not self._is_over:
            self._write(sequence)

    def send_image(self, png: bytes, columns: int, rows: int) -> int:
        """Give the terminal an image to keep, for kitty's placeholders. Returns its number."""
        image = next(self._numbers)
        self._held.add(image)
        self.write(self._passed_on(kitty.transmit(image, png, columns, rows)))
        return image

    def place_image(self, image: int, columns: int, rows: int) -> None:
        """Give an image another size in cells."""
        self.write(self._passed_on(kitty.place(image, columns, rows)))

    def delete_images(self, images: Iterable[int]) -> None:
        """Have the terminal forget these images."""
        gone = self._held.intersection(images)
        self._held -= gone
        if gone:
            self.write(self._passed_on(kitty.delete(sorted(gone))))

    def end(self) -> None:
        """The terminal is given back: it forgets every image, and nothing more is sent."""
        self.delete_images(list(self._held))
        self._is_over = True

    def _passed_on(self, sequences: str) -> str:
        return kitty.through_tmux(sequences) if self.support.in_tmux else sequences
