"""The lines of a panel as they were drawn last: only those that changed are drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual.content import Content
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions

_Key = tuple[str, str]  # markup of a line, and the mark on it


class KeptLines:
    """Keeps what Textual makes of a panel's lines, for as long as they are shown."""

    def __init__(self) -> None:
        self._contents: dict[_Key, Content] = {}
        self._strips: dict[_Key, Strip] = {}
        self._drawn_for: tuple[object, ...] = ()

    def content(
        self,
        lines: Sequence[str],
        *,
        theme: str,
        at: int = -1,
        mark: str = "",
        marked: Callable[[Content], Content] = lambda line: line,
    ) -> Content:
        """The lines as the content of a widget that wraps none of them.

        Args:
            lines: markup of each line.
            theme: name of the theme, which gives the variables in the markup their colors.
            at: index of the line that is marked; -1 for none.
            mark: says how it is marked; another one means that `marked` makes something else.
            marked: marks a line.
        """
        keys = [(line, mark if index == at else "") for index, line in enumerate(lines)]
        contents: dict[_Key, Content] = {}
        for index, key in enumerate(keys):
            if key not in contents:
                known = self._contents.get(key)
                if known is None:
                    known = Content.from_markup(key[0])
                    known = marked(known) if index == at else known
                contents[key] = known
        self._contents = contents
        return _Drawn(self, keys, contents, theme)

    def strips(
        self, keys: Sequence[_Key], draw: Callable[[_Key], Strip], drawn_for: tuple[object, ...]
    ) -> list[Strip]:
        """What is shown of the lines.

        Args:
            keys: the lines.
            draw: draws one of them.
            drawn_for: everything besides the lines that the drawing depends on.
        """
        before = self._strips if drawn_for == self._drawn_for else {}
        self._drawn_for = drawn_for
        self._strips = {key: before.get(key) or draw(key) for key in keys}
        # The selection of text reads the place of a line from its strip.
        return [self._strips[key].apply_offsets(0, y) for y, key in enumerate(keys)]


class _Drawn(Content):
    """Lines that are drawn as far as they are not kept."""

    def __init__(self, kept: KeptLines, keys: Sequence[_Key], contents: Mapping[_Key, Content], theme: str) -> None:
        super().__init__("\n".join(contents[key].plain for key in keys))
        self._kept, self._keys, self._contents, self._theme = kept, keys, contents, theme

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """Draw the lines; all of them anew while text is selected."""
        keys = self._keys if height is None else self._keys[:height]
        is_one_line_each = self.plain.count("\n") == len(self._keys) - 1
        if not width or options.selection is not None or not is_one_line_each:
            lines = Content("\n").join(self._contents[key] for key in self._keys)
            return lines.render_strips(width, height, style, options)

        def draw(key: _Key) -> Strip:
            (strip,) = self._contents[key].render_strips(width, 1, style, options)
            return strip

        return self._kept.strips(keys, draw, (width, style, self._theme))
