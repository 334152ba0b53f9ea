"""The graphics of one terminal, shared by all widgets that show pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import kitty
from .support import Support

# A common size, for terminals that do not report theirs; good enough where the terminal scales pictures itself.
_USUAL_CELL = (10, 20)


class Graphics:
    """How the terminal shows pictures, and which ones it holds.

    Attributes:
        support: protocol in use.
        is_truecolor: whether the terminal gets exact colors; otherwise the nearest of 256.
    """

    def __init__(
        self,
        support: Support | None = None,
        write: Callable[[str], None] = lambda sequence: None,
        *,
        is_truecolor: bool = True,
        cell: Callable[[], tuple[int, int] | None] = lambda: None,
    ) -> None:
        """Create the graphics of a terminal that shows no picture yet.

        Args:
            support: protocol in use; None for blocks.
            write: function that sends an escape sequence to the terminal, in order with the rest of the output.
            is_truecolor: whether the terminal gets exact colors.
            cell: width and height of a character cell in pixels, by the terminal device; None if unknown.
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
        """Current width and height of a character cell in pixels; both change with the font."""
        return self._cell() or self.support.cell or _USUAL_CELL

    @property
    def cell_aspect(self) -> float:
        """Height of a character cell divided by its width."""
        width, height = self.cell
        return height / width

    def write(self, sequence: str) -> None:
        """Send an escape sequence, unless the terminal was released."""
        if not self._is_over:
            self._write(sequence)

    def send_image(self, png: bytes, columns: int, rows: int) -> int:
        """Store an image in the terminal, for kitty's placeholders. Returns its number."""
        image = next(self._numbers)
        self._held.add(image)
        self.write(self._passed_on(kitty.transmit(image, png, columns, rows)))
        return image

    def place_image(self, image: int, columns: int, rows: int) -> None:
        """Change the size of an image, in cells."""
        self.write(self._passed_on(kitty.place(image, columns, rows)))

    def delete_images(self, images: Iterable[int]) -> None:
        """Delete these images from the terminal."""
        gone = self._held.intersection(images)
        self._held -= gone
        if gone:
            self.write(self._passed_on(kitty.delete(sorted(gone))))

    def end(self) -> None:
        """Release the terminal: delete every image and send nothing more."""
        self.delete_images(list(self._held))
        self._is_over = True

    def _passed_on(self, sequences: str) -> str:
        return kitty.through_tmux(sequences) if self.support.in_tmux else sequences
