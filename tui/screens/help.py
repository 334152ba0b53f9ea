"""Lists every key of the focus and its parents, read from the bindings so that the list is never out of date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from ..drawing import left, marked, name
from ..keys.bindings import bindings
from ..keys.commands import COMMANDS, PANES
from ..keys.part_titles import key_text, part_title
from ..words.train.event_reasons import Explained

Keys = list[tuple[str, str]]

_KEY_CELLS = 9
_TWO_COLUMNS_FROM = 110  # cells
# As the stylesheet has them.
_WIDE_COLUMN, _NARROW_COLUMN = 56, 66


class HelpScreen(ModalScreen[None]):
    """A list of keys."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("key_list")

    def __init__(self, screen: Screen[Any]) -> None:
        """Create the list.

        Args:
            screen: screen whose focus, and the widgets around it, offer the keys.
        """
        super().__init__()
        self._groups = [*key_groups(screen), *other_groups(screen), *mark_groups(screen)]
        self._alerts = explained_on(screen)
        self._is_typing = isinstance(screen.focused, Input)

    def compose(self) -> ComposeResult:
        """Lay out a block per group of keys, in one column or two."""
        is_wide = self.app.size.width >= _TWO_COLUMNS_FROM
        with Vertical(classes="dialog keys") as box:
            box.border_title = "Keys while you type" if self._is_typing else "Keys"
            box.border_subtitle = "[b]Esc[/] closes"
            with VerticalScroll():
                if self._alerts:
                    yield Static(alerts_text(self._alerts, 110 if is_wide else 66), classes="alerts")
                with Horizontal(classes="columns") if is_wide else Vertical(classes="columns"):
                    for groups in halves(self._groups) if is_wide else (self._groups,):
                        yield Static(help_text(groups, _WIDE_COLUMN if is_wide else _NARROW_COLUMN))


def key_groups(screen: Screen[Any]) -> list[tuple[str, Keys]]:
    """The keys that work now, by the part of the screen that offers them, nearest to the focus first."""
    groups: dict[str, dict[str, list[str]]] = {}
    for key, active in screen.active_bindings.items():
        if (said := _said(active)) is not None:
            groups.setdefault(said[0], {}).setdefault(said[1], []).append(key_text(key))
    titles = sorted(groups, key=lambda title: title == part_title("studio"))
    return [(title, [(" ".join(keys), does) for does, keys in _with_panes(groups[title])]) for title in titles]


def _said(active: ActiveBinding) -> tuple[str, str] | None:
    """Title of the group, and what the key does; None for keys that need no mention."""
    binding = active.binding
    does = binding.tooltip or binding.description
    if not active.enabled or not does:
        return None
    part = (binding.id or "").partition(".")[0]
    if part not in COMMANDS and not type(active.node).__module__.startswith("torchdeck."):
        return None
    return part_title(part) if part in COMMANDS else in_words(type(active.node)), does


def _with_panes(keys: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """One line for all panes, in place of one each."""
    panes = {COMMANDS["studio"][pane].does for pane in PANES}
    is_said = False
    for does, shown in keys.items():
        if does not in panes:
            yield does, shown
        elif not is_said:
            is_said = True
            yield "a pane", [f"1 … {len(PANES)}"]


def other_groups(screen: Screen[Any]) -> list[tuple[str, Keys]]:
    """The keys of what lies beside the focus: they work after Tab."""
    focused = set(screen.focused.ancestors_with_self) if screen.focused is not None else set()
    groups: dict[str, Keys] = {}
    for widget in screen.focus_chain:
        for node in widget.ancestors_with_self:
            if node in focused or node is screen or isinstance(node, Screen):
                break
            part = _part_of(node)
            if part and part not in ("rows", "chart"):
                title = f"{part_title(part)} (Tab)"
                groups.setdefault(title, [(key_text(each.key.split(",")[0]), each.tooltip) for each in _own(node)])
    return list(groups.items())


def _own(node: DOMNode) -> list[Binding]:
    return [each for each in type(node).__dict__.get("BINDINGS", ()) if isinstance(each, Binding) and each.tooltip]


def _part_of(node: DOMNode) -> str:
    own = _own(node)
    return (own[0].id or "").partition(".")[0] if own else ""


def mark_groups(screen: Screen[Any]) -> list[tuple[str, Keys]]:
    """The marks that widgets on the screen show, and their meaning."""
    marked = {
        type(node): node.MARKS for node in screen.walk_children(Widget) if hasattr(node, "MARKS") and node.is_on_screen
    }
    return [(f"{in_words(kind)}: marks", list(marks)) for kind, marks in marked.items()]


def explained_on(screen: Screen[Any]) -> list[Explained]:
    """The alerts and advice that what is on the screen shows, each with its reason."""
    nodes = [node for node in screen.walk_children(Widget) if node.is_on_screen and hasattr(node, "explained")]
    return [alert for node in nodes for alert in node.explained()]


def alerts_text(alerts: Iterable[Explained], width: int) -> str:
    """What a run said and why, as markup, with an empty line behind each."""
    lines = []
    for alert in alerts:
        lines += marked("[$warning]▲[/]", alert.text, width, "$warning")
        lines += [*marked(" ", alert.why, width, "$text-muted"), ""]
    return "\n".join(lines)


def halves(groups: list[tuple[str, Keys]]) -> tuple[list[tuple[str, Keys]], list[tuple[str, Keys]]]:
    """Two columns of about the same height."""
    total = sum(len(keys) + 2 for _, keys in groups)
    first: list[tuple[str, Keys]] = []
    while groups and sum(len(keys) + 2 for _, keys in first) + len(groups[0][1]) / 2 < total / 2:
        first.append(groups[0])
        groups = groups[1:]
    return first, groups


def help_text(groups: Iterable[tuple[str, Keys]], width: int) -> str:
    """Write the groups one below the other in lines of at most `width` cells, with the keys in a column."""
    lines: list[str] = []
    for title, keys in groups:
        lines += ([""] if lines else []) + [f"[b]{name(title)}[/]"]
        for key, does in keys:
            lines += marked(f"[b $key]{left(key, max(_KEY_CELLS, len(key)))}[/]", does, width)
    return "\n".join(lines)


def in_words(kind: type[DOMNode]) -> str:
    """Write a class name as words: ModuleTree becomes Module tree."""
    title = kind.__name__.strip("_")
    return "".join(f" {letter.lower()}" if letter.isupper() and at else letter for at, letter in enumerate(title))
