"""Asks before a Python file, a command or a web address in a config is used for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from torchdeck.engine.plurals import plural
from torchdeck.engine.user_trust import CodeFile, Runnable, ShellCommand, WebAddress

from ..plain_text import printable
from .dialog import OverScreen

_LINES = 400
_SHOWN_IMPORTS = 40
_WIDEST = 200


_KINDS: dict[type[Runnable], str] = {
    CodeFile: "runs Python code",
    ShellCommand: "runs a shell command",
    WebAddress: "sends notifications to a web address",
}


class TrustScreen(OverScreen[bool]):
    """Lists every file and command that would run, shows what is in each, and returns whether they may run.

    One answer is for all of them. The code scrolls; the answers stay on the screen.
    """

    DEFAULT_CSS = """
    TrustScreen { align: center middle; }
    TrustScreen > Vertical {
        width: 90%; max-width: 110; height: 90%; padding: 0 1;
        border: round $warning; background: $surface;
        & Static { height: auto; }
        & VerticalScroll { height: 1fr; margin: 1 0; border-left: solid $panel-lighten-1; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Run it"),
        Binding("escape,n", "answer(False)", "Don't run"),
    ]

    def __init__(self, files: Sequence[Runnable]) -> None:
        super().__init__()
        self._files = files

    def compose(self) -> ComposeResult:
        """Lay out the list and the content of all, which scroll, above the answers, which do not."""
        # A file that several of them import is listed once.
        parts = list(
            {part[0].plain: part for each in reversed(self._files) for part in reversed(_parts_of(each))}.values()
        )
        parts.reverse()
        paths = {path for each in self._files if isinstance(each, CodeFile) for path in (each.path, *each.imports)}
        count = len(paths) + sum(not isinstance(each, CodeFile) for each in self._files)
        with Vertical() as box:
            box.border_title = "Run this code?"
            what = " and ".join(_KINDS[kind] for kind in _KINDS if any(isinstance(each, kind) for each in self._files))
            yield Static(f"This config {what} that you have not approved yet, with your permissions:")
            with VerticalScroll():
                if count > 1:
                    yield Static(Text(f"All {count}:\n") + Text("\n").join(title for title, _, _ in parts))
                for title, notes, content in parts:
                    yield Static(Text("\n").append_text(title).append(notes))
                    yield Static(content)
            scope = f"all {count}" if count > 1 else "it"
            yield Static(
                Text.assemble(
                    ("y", "bold"),
                    f" run {scope}, and remember this content   ",
                    ("n", "bold"),
                    " don't run   ",
                    ("↑↓", "bold"),
                    " scroll",
                )
            )

    def on_mount(self) -> None:
        """Let the keys scroll the code."""
        self.query_one(VerticalScroll).focus()

    def action_answer(self, answer: bool) -> None:
        """Close with an answer."""
        self.dismiss(answer)


_Part = tuple[Text, str, Text]


def _parts_of(each: Runnable) -> list[_Part]:
    """Title, notes and content: of a command, an address, or a file and each one that it imports from its folder."""
    if isinstance(each, ShellCommand):
        # Shown in full, so that no part of it is hidden.
        note = "\n  runs in the shell when the run sends a notification"
        return [(Text(each.setting, style="bold"), note, _lines_of(each.text))]
    if isinstance(each, WebAddress):
        note = "\n  receives the run's name, directory, host and metrics"
        return [(Text(each.setting, style="bold"), note, _lines_of(each.text))]
    called = ", ".join(filter(None, each.names))
    parts = [(_title(each.path), f"\n  calls {printable(called)}" if called else "", _first_lines(each.path))]
    for path in each.imports[:_SHOWN_IMPORTS]:
        parts.append((_title(path), f"\n  imported by {printable(each.path.name)}", _first_lines(path)))
    if (more := len(each.imports) - _SHOWN_IMPORTS) > 0:
        names = ", ".join(printable(str(path)) for path in each.imports[_SHOWN_IMPORTS:])
        parts.append((Text(f"{more} more files that it imports", style="bold"), "", Text(names, style="dim")))
    return parts


def _title(path: Path) -> Text:
    return Text(printable(str(path)), style="bold")


def _lines_of(command: str) -> Text:
    return Text("\n".join(printable(line, len(line)) for line in command.expandtabs(4).splitlines()), style="dim")


def _first_lines(file: Path) -> Text:
    try:
        with file.open("rb") as opened:
            content = opened.read(64 << 10).decode("utf-8", "backslashreplace")
    except OSError as error:
        return Text(printable(f"can't be read: {error.strerror or error}"), style="red")
    lines = content.splitlines()
    shown = [printable(line.expandtabs(4), _WIDEST) for line in lines[:_LINES]]
    if (more := len(lines) - _LINES) > 0:
        shown.append(f"… {plural(more, 'more line')} in the first 64 KiB of the file")
    return Text("\n".join(shown) or "(empty)", style="dim")
