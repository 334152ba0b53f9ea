"""Panels: a frame whose title says what is inside and how it is; the focused one is the only colored frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import ClassVar

from textual.app import RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.geometry import Region
from textual.widget import Widget

from .kept_lines import KeptLines

Draw = Callable[[int, int], Sequence[str]]
"""Makes the lines of a panel as markup, from its width and height in cells."""


class Panel(Widget):
    """The base of every panel. `studio.tcss` frames what has the class `panel`."""

    ALLOW_MAXIMIZE: ClassVar[bool | None] = True
    DEFAULT_CSS = "Panel { height: 1fr; width: 1fr; }"

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "") -> None:
        super().__init__(id=id, classes=f"panel {classes}")
        # Textual would restyle every line to look for links.
        self.auto_links = False
        self._written = ("", "")
        self.entitle(title)

    def entitle(self, title: str | None = None, subtitle: str | None = None) -> None:
        """Set the title, the subtitle or both, as markup. Only lines of the frame whose text changed are painted."""
        before = self._written
        self._written = (before[0] if title is None else title, before[1] if subtitle is None else subtitle)
        # Setting `border_title` or `border_subtitle` paints the whole panel.
        if self._written[0] != before[0]:
            self._border_title = self.render_str(self._written[0]) if self._written[0] else None
            self._paint_frame(-self.gutter.top)
        if self._written[1] != before[1]:
            self._border_subtitle = self.render_str(self._written[1]) if self._written[1] else None
            self._paint_frame(self.size.height)

    def _paint_frame(self, y: int) -> None:
        if self.is_mounted:
            self.refresh(Region(-self.gutter.left, y, self.outer_size.width, 1))


class Lines(Panel):
    """A panel of lines that depend on its size; what did not change is not painted."""

    DEFAULT_CSS = "Lines { text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, title: str = "", draw: Draw | None = None, *, id: str | None = None, classes: str = "") -> None:
        super().__init__(title, id=id, classes=classes)
        self._draw: Draw = draw or (lambda width, height: ())
        self._lines: Sequence[str] | None = None
        self._kept = KeptLines()

    def show(self, draw: Draw) -> None:
        """Show other lines.

        Args:
            draw: function that makes them, called again at another size; lines that have no room are left out.
        """
        self._draw = draw
        self._look_again()

    def on_resize(self, event: Resize) -> None:
        """Make the lines for the new size."""
        self._look_again()

    def render(self) -> RenderResult:
        """Draw the lines."""
        if self._lines is None:
            self._lines = self._made()
        return self._kept.content(self._lines, theme=self.app.theme)

    def _made(self) -> list[str]:
        width, height = self.size
        return list(self._draw(width, height))[: max(0, height)] if width > 0 else []

    def _look_again(self) -> None:
        before, self._lines = self._lines, self._made()
        if before is None:
            self.refresh()
            return
        changed = [at for at, (old, new) in enumerate(zip_longest(before, self._lines)) if old != new]
        if changed:
            self.refresh(*(Region(0, at, self.size.width, 1) for at in changed))


class FocusableLines(Lines, can_focus=True):
    """A panel of lines that takes the focus, because keys act on it."""


class Box(Vertical):
    """A panel with widgets inside."""

    ALLOW_MAXIMIZE: ClassVar[bool | None] = True

    def __init__(self, *children: Widget, title: str = "", id: str | None = None, classes: str = "") -> None:
        super().__init__(*children, id=id, classes=f"panel {classes}")
        self.border_title = title or None


def nothing_here(what: str, why: str, ways: Sequence[tuple[str, str]], *, glyph: str = "○") -> Draw:
    """The lines of a panel with nothing to show: what is missing, why, and the keys that help.

    Args:
        what: what is missing, as markup.
        why: the reason, as markup.
        ways: keys with what each does.
        glyph: ○ for not yet, ✗ for an error.
    """

    def draw(width: int, height: int) -> list[str]:
        lines = [f"[$text-muted]{glyph}[/]  [b]{what}[/]", *([f"   [$text-muted]{why}[/]"] if why else []), ""]
        lines += [f"   [b $key]{key:>3}[/]  {way}" for key, way in ways]
        if len(lines) > height:
            lines.remove("")
        widest = max(Content.from_markup(line).cell_length for line in lines)
        margin = " " * max(0, (width - widest) // 2)
        return [""] * max(0, (height - len(lines)) // 2) + [margin + line for line in lines]

    return draw
