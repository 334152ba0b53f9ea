"""Asks before a Python file, a command or a web address in a config is used for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from torchdeck.engine.plurals import plural
from torchdeck.engine.user_trust import CodeFile, Runnable, ShellCommand, WebAddress

from ..drawing import escape, name
from ..keys.bindings import bindings
from ..plain_text import printable
from .dialog import Answer, Dialog

_LINES = 400
_SHOWN_IMPORTS = 40
_WIDEST = 200


_KINDS: dict[type[Runnable], str] = {
    CodeFile: "runs Python code",
    ShellCommand: "runs a shell command",
    WebAddress: "sends notifications to a web address",
}


class TrustScreen(Dialog[bool]):
    """Lists every file and command that would run, shows what is in each, and returns whether they may run.

    One answer is for all of them. The code scrolls; the answers stay on the screen.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("code")

    def __init__(self, files: Sequence[Runnable]) -> None:
        self._files = files
        paths = {path for each in files if isinstance(each, CodeFile) for path in (each.path, *each.imports)}
        self._count = len(paths) + sum(not isinstance(each, CodeFile) for each in files)
        scope = f"Run all {self._count}" if self._count > 1 else "Run it"
        answers = [Answer("y", f"{scope}, and remember this content", True, "warning")]
        super().__init__("Run this code?", answers, escape=False, way_out="doesn't run it", tone="warning", first=-1)
        self._bindings.bind("n", "answer(-1)", "Don't run it", show=False)

    def body(self) -> ComposeResult:
        """The list and the content of all, which scroll."""
        # A file that several of them import is listed once.
        parts = list({part[0]: part for each in reversed(self._files) for part in reversed(_parts_of(each))}.values())
        parts.reverse()
        what = " and ".join(_KINDS[kind] for kind in _KINDS if any(isinstance(each, kind) for each in self._files))
        yield Static(f"This config {what} that you have not approved yet, with your permissions:")
        with VerticalScroll(can_focus=False, classes="-fill"):
            if self._count > 1:
                yield Static("\n".join([f"All {self._count}:", *(title for title, _, _ in parts)]))
            for title, notes, content in parts:
                yield Static(f"\n{title}{escape(notes)}")
                yield Static(content)

    def action_scroll(self, by: int) -> None:
        """Scroll the code."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


_Part = tuple[str, str, Content]


def _parts_of(each: Runnable) -> list[_Part]:
    """Title as markup, notes, content: of a command, an address, or a file and each that it imports of its folder."""
    if isinstance(each, ShellCommand):
        # Shown in full, so that no part of it is hidden.
        note = "\n  runs in the shell when the run sends a notification"
        return [(f"[b]{name(each.setting)}[/]", note, _lines_of(each.text))]
    if isinstance(each, WebAddress):
        note = "\n  receives the run's name, directory, host and metrics"
        return [(f"[b]{name(each.setting)}[/]", note, _lines_of(each.text))]
    called = ", ".join(filter(None, each.names))
    parts = [(_title(each.path), f"\n  calls {printable(called)}" if called else "", _first_lines(each.path))]
    for path in each.imports[:_SHOWN_IMPORTS]:
        parts.append((_title(path), f"\n  imported by {printable(each.path.name)}", _first_lines(path)))
    if (more := len(each.imports) - _SHOWN_IMPORTS) > 0:
        names = ", ".join(printable(str(path)) for path in each.imports[_SHOWN_IMPORTS:])
        parts.append((f"[b]{more} more files that it imports[/]", "", _as_is(names)))
    return parts


def _title(path: Path) -> str:
    return f"[b]{name(str(path))}[/]"


def _lines_of(command: str) -> Content:
    return _as_is("\n".join(printable(line, len(line)) for line in command.expandtabs(4).splitlines()))


def _first_lines(file: Path) -> Content:
    try:
        with file.open("rb") as opened:
            content = opened.read(64 << 10).decode("utf-8", "backslashreplace")
    except OSError as error:
        return Content.styled(printable(f"can't be read: {error.strerror or error}"), "$error")
    lines = content.splitlines()
    shown = [printable(line.expandtabs(4), _WIDEST) for line in lines[:_LINES]]
    if (more := len(lines) - _LINES) > 0:
        shown.append(f"… {plural(more, 'more line')} in the first 64 KiB of the file")
    return _as_is("\n".join(shown) or "(empty)")


def _as_is(text: str) -> Content:
    """Text that is approved as it stands: markup has no notation for some of its backslashes."""
    return Content.styled(text, "$text-muted")
