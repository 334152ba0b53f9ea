"""Asks before a Python file of the user, or a command in a config, runs for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from torchdeck.engine.user_trust import CodeFile, Runnable, ShellCommand

from ..plain_text import printable
from .overlay import OverScreen

_LINES = 200
_SHOWN_IMPORTS = 6
_WIDEST = 200


_KINDS: dict[type[Runnable], str] = {CodeFile: "Python code", ShellCommand: "a shell command"}


class TrustScreen(OverScreen[bool]):
    """Shows the file (what is called, its imports, its first lines) or the command; returns whether it may run."""

    DEFAULT_CSS = """
    TrustScreen { align: center middle; }
    TrustScreen > Vertical {
        width: 90%; max-width: 110; height: auto; max-height: 90%; padding: 0 1;
        border: round $warning; background: $surface;
        & Static { height: auto; }
        & VerticalScroll {
            height: auto; max-height: 14; margin: 1 0; border-left: solid $panel-lighten-1; padding: 0 1;
        }
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
        """Lay out the files, each with its first lines, and the answers."""
        with Vertical() as box:
            box.border_title = "Run this code?"
            what = " and ".join(_KINDS[kind] for kind in _KINDS if any(isinstance(each, kind) for each in self._files))
            yield Static(f"This config runs {what} that you have not approved yet, with your permissions:")
            for each in self._files:
                yield Static(_command_said(each) if isinstance(each, ShellCommand) else _said_of(each))
                with VerticalScroll():
                    # A command is shown in full, so that no part of it is hidden.
                    yield Static(_lines_of(each.text) if isinstance(each, ShellCommand) else _first_lines(each))
            yield Static(
                Text.assemble(("y", "bold"), " run, and remember this content   ", ("n", "bold"), " don't run")
            )

    def action_answer(self, answer: bool) -> None:
        """Close with an answer."""
        self.dismiss(answer)


def _said_of(file: CodeFile) -> Text:
    text = Text("\n").append(printable(str(file.path)), style="bold")
    called = ", ".join(filter(None, file.names))
    text.append(f"\n  calls {printable(called)}" if called else "")
    if file.imports:
        folder = file.path.parent
        names = [str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path) for path in file.imports]
        more = f" and {len(names) - _SHOWN_IMPORTS} more" if len(names) > _SHOWN_IMPORTS else ""
        text.append(f"\n  imports {printable(', '.join(names[:_SHOWN_IMPORTS]))}{more} from its folder")
    return text


def _command_said(command: ShellCommand) -> Text:
    return (
        Text("\n")
        .append(command.setting, style="bold")
        .append("\n  runs in the shell when the run sends a notification")
    )


def _lines_of(command: str) -> Text:
    return Text("\n".join(printable(line, len(line)) for line in command.expandtabs(4).splitlines()), style="dim")


def _first_lines(file: CodeFile) -> Text:
    try:
        with file.path.open("rb") as opened:
            content = opened.read(64 << 10).decode("utf-8", "backslashreplace")
    except OSError as error:
        return Text(printable(f"can't be read: {error.strerror or error}"), style="red")
    lines = content.splitlines()
    shown = [printable(line.expandtabs(4), _WIDEST) for line in lines[:_LINES]]
    return Text("\n".join(shown) or "(empty)", style="dim")
