"""One line with the keys that work now; the few that always matter keep their place at the right end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rich.cells import cell_len
from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from ..keys.part_titles import key_text

_GAP = 2
# Textual does not know that this key types a character.
_TYPED = "slash"


@runtime_checkable
class Offers(Protocol):
    """A widget, screen or app with keys that are useful only at times.

    At other times, such a key still works and says why there is nothing to do; it is just not shown.
    """

    def offers(self, action: str) -> bool:
        """Whether to show the action's key now."""
        ...


@dataclass(frozen=True)
class Key:
    """A key in the line.

    Attributes:
        key: Textual's name of the key, to simulate it on a click.
        shown: label on the screen.
        description: effect of the key, in a word or two.
    """

    key: str
    shown: str
    description: str

    @property
    def cells(self) -> int:
        """Width in cells."""
        return cell_len(self.shown) + 1 + cell_len(self.description)


class KeyLine(Widget):
    """Shows the keys of the focused widget; if not all of them fit, a "…" replaces the last ones that may go."""

    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; background: $surface; color: $text-muted; text-wrap: nowrap; }
    """

    def __init__(
        self, fixed: Collection[str], *, kept: Callable[[], Collection[str]] = tuple, id: str | None = None
    ) -> None:
        """Create a line without keys.

        Args:
            fixed: actions that stay at the right end, in the order of their bindings.
            kept: gives actions that stay behind the others now, and for which those make room.
            id: id of the widget.
        """
        super().__init__(id=id)
        self._fixed = frozenset(fixed)
        self._kept = kept
        self._keys: tuple[list[Key], list[Key], list[Key]] = ([], [], [])
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Follow the focus and the offered keys."""
        self.screen.bindings_updated_signal.subscribe(self, self._follow)
        self._follow(self.screen)

    def on_unmount(self) -> None:
        """Stop following; the screen may outlive the line."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def render(self) -> RenderResult:
        """Draw keys from the left, and the fixed ones at the right."""
        passing, kept, fixed = self._keys
        # A blank at each end, and at least one between the two parts.
        begin = self.size.width - 1 - sum(key.cells for key in fixed) - _GAP * max(0, len(fixed) - 1)
        # A blank before them, and at least one behind them or the gap before those that are kept.
        fitting = how_many_fit(passing, begin - 2 - sum(key.cells + _GAP for key in kept) - bool(kept))
        line = Content(" ")
        self._places = []
        for key in passing[:fitting]:
            line = self._with(line, key)
        if fitting < len(passing):
            line += Content.styled("…", "$text-disabled").pad_right(_GAP if kept else 0)
        for key in kept[: how_many_fit(kept, begin - 1 - line.cell_length)]:
            line = self._with(line, key)
        line = line.pad_right(max(0, begin - line.cell_length))
        for key in fixed:
            line = self._with(line, key)
        return line

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        for begin, end, key in self._places:
            if begin <= event.x < end:
                event.stop()
                self.app.simulate_key(key)
                return

    def _with(self, line: Content, key: Key) -> Content:
        begin = line.cell_length
        line += Content.styled(key.shown, "b $key") + Content(f" {key.description}")
        self._places.append((begin, line.cell_length, key.key))
        return line.pad_right(_GAP)

    def _follow(self, screen: Screen[object]) -> None:
        keys = self._offered(screen)
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _offered(self, screen: Screen[object]) -> tuple[list[Key], list[Key], list[Key]]:
        passing: dict[str, Key] = {}
        kept: dict[str, Key] = {}
        fixed: dict[str, Key] = {}
        kept_now = self._kept()
        for active in screen.active_bindings.values():
            binding, node = active.binding, active.node
            is_offered = not isinstance(node, Offers) or node.offers(binding.action)
            is_typed = binding.key == _TYPED and isinstance(screen.focused, Input)
            if binding.show and active.enabled and is_offered and not is_typed:
                action = binding.action
                keys = fixed if action in self._fixed else kept if action in kept_now else passing
                # Of several keys, a text field may leave only one: that one is shown.
                is_left = binding.key_display and not isinstance(screen.focused, Input)
                shown = binding.key_display if is_left else key_text(binding.key)
                keys.setdefault(binding.action, Key(binding.key, shown or "", binding.description))
        return list(passing.values()), list(kept.values()), list(fixed.values())


def how_many_fit(keys: Sequence[Key], room: int) -> int:
    """Number of leading keys that fit into `cells`, leaving room for a "…" if some do not."""
    used = 0
    for count, key in enumerate(keys):
        is_last = count == len(keys) - 1
        if used + key.cells + (0 if is_last else _GAP + 1) > room:
            return count
        used += key.cells + _GAP
    return len(keys)
