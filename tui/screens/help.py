"""Lists every key of a pane, read from its bindings so that the list is never out of date."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.keys import format_key
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from ..plain_text import printable_lines
from ..words.event_reasons import Explained

Keys = list[tuple[str, str]]
_OURS = "torchdeck.tui."
_KEY_CELLS = 14
_PANES = ("1 … 6", "show a pane")
_MOVING: Keys = [
    ("Tab Shift+Tab", "next / previous part of the pane"),
    ("↑ ↓ PgUp PgDn", "move in a list, a table, a tree or a form"),
    ("Enter", "choose, open, edit, apply what you typed"),
    ("Esc", "leave a text field"),
]


class HelpScreen(ModalScreen[None]):
    """A list of keys."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 70; max-width: 100%; height: auto; max-height: 100%; padding: 0 2;
        border: round $primary; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss", "Close"),
    ]

    def __init__(self, title: str, pane: Widget) -> None:
        """Create the list for a pane, or for a screen over the studio.

        Args:
            title: title of the pane.
            pane: pane whose keys, and whose widgets' keys, are listed besides those that work everywhere.
        """
        super().__init__()
        self._title = title
        self._pane = pane

    def compose(self) -> ComposeResult:
        """Lay out a block per group of keys."""
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes"
            if alerts := explained_on(self._pane):
                yield Static(alerts_text(alerts))
            groups = [*key_groups(self._title, self._pane), *mark_groups(self._pane)]
            yield Static(help_text([*groups, ("Everywhere", self._everywhere())]), id="keys")

    def _everywhere(self) -> Keys:
        if isinstance(self._pane, Screen):
            # The studio's keys do nothing while a screen covers it.
            return [*_MOVING, ("? F1", "keys; F1 in a text field")]
        return [_PANES, *_MOVING, *(pair for pair in keys_of(type(self.app)) if not pair[0].isdigit())]


def key_groups(title: str, pane: Widget) -> list[tuple[str, Keys]]:
    """Collect the keys of a pane and of each kind of widget in it, by the widget's name in words."""
    groups: dict[str, Keys] = {}
    for node in pane.walk_children(with_self=True):
        keys = keys_of(type(node))
        if keys:
            groups.setdefault(title if node is pane else in_words(type(node)), keys)
    return list(groups.items())


def mark_groups(pane: Widget) -> list[tuple[str, Keys]]:
    """Collect the marks that widgets of a pane show and their meaning, by the widget's name in words."""
    marked = {type(node): node.MARKS for node in pane.walk_children() if hasattr(node, "MARKS")}
    return [(f"{in_words(kind)}: marks", list(marks)) for kind, marks in marked.items()]


def explained_on(pane: Widget) -> list[Explained]:
    """Collect the alerts and advice that a pane, or a widget in it, shows, each with its reason."""
    nodes = [node for node in pane.walk_children(with_self=True) if hasattr(node, "explained")]
    return [alert for node in nodes for alert in node.explained()]


def alerts_text(alerts: Iterable[Explained]) -> Text:
    """Write what a run said and why, with an empty line behind each."""
    text = Text()
    for alert in alerts:
        text.append(f"{printable_lines(alert.text)}\n", style="bold yellow").append(f"{alert.why}\n\n")
    text.right_crop(1)
    return text


def help_text(groups: Iterable[tuple[str, Keys]]) -> Text:
    """Write the groups one below the other, with the keys in a column."""
    text = Text()
    for title, keys in groups:
        text.append(f"{title}\n", style="bold yellow")
        for key, description in keys:
            text.append(f"  {key:<{_KEY_CELLS}}", style="bold").append(f" {description}\n")
    text.right_crop(1)
    return text


def keys_of(kind: type[DOMNode]) -> Keys:
    """List the keys and descriptions of one of torchdeck's widgets or screens, inherited ones too.

    Textual's own keys move as everywhere, and the key that lists the keys works everywhere.
    """
    if not kind.__module__.startswith(_OURS):
        return []
    keys: Keys = []
    hidden: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith(_OURS):
            continue
        described = [each for each in base.__dict__.get("BINDINGS", ()) if isinstance(each, Binding)]
        for binding in described:
            # A subclass's key hides the same key of its bases, but a class may use one key twice: pause and resume.
            names = [name for name in binding.key.split(",") if name not in hidden]
            if names and binding.description and binding.action != "app.keys":
                keys.append((" ".join(map(format_key, names)), _sentence(binding.description)))
        hidden |= {name for binding in described for name in binding.key.split(",")}
    return keys


def _sentence(description: str) -> str:
    return description[:1].lower() + description[1:]


def in_words(kind: type[DOMNode]) -> str:
    """Write a class name as words: ModuleTree becomes Module tree."""
    name = kind.__name__.strip("_")
    return "".join(f" {letter.lower()}" if letter.isupper() and index else letter for index, letter in enumerate(name))
