"""The terminal, kept apart from the process's output.

Everything that the process and its children write to descriptors 1 and 2 (prints, warnings, progress bars,
C++ messages, data loading workers) goes to a log file. The screen alone writes to the terminal, through a
descriptor of its own. When the terminal goes away, only that descriptor dies: the app ends, every other thread
continues. Wait for those threads inside the `with` block: outside it, a hang-up kills the process again.

Private names of Textual used here: `Driver._file`, `_get_terminal_size`, `_sigcont_application`, `XTermParser`,
`ChopsUpdate`, `App._display`, `_capture_stdout` and `_capture_stderr`; the tests run the whole thing in a real
pseudo-terminal.
"""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO, Any, Generic, cast

from rich.console import Console, RenderableType
from textual._compositor import ChopsUpdate
from textual._xterm_parser import XTermParser
from textual.app import App, ReturnType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Region
from textual.screen import Screen
from textual.signal import Signal

from torchdeck.engine.files.regular_file import open_for_appending

from ..graphics.answers import QUESTIONS, AnswerFilter, Answers
from ..graphics.graphics import Graphics
from ..graphics.support import Support, Wish, ask_tmux, find_support, may_be_asked
from .screen_diff import ScreenDiff

_MODES = re.compile(r"(?:\x1b\[\?[\d;]*[hl])+")
_BUFFER_BYTES = 64 * 1024
_INPUT_BYTES = 4096
_INPUT_TICK = 0.1  # seconds after which a lone Escape is a key


class Terminal:
    """Redirects descriptors 1 and 2 away from the terminal and restores them on exit.

    Textual writes to this object as a file. Enter it in the main thread, since it handles SIGHUP.

    Attributes:
        log: file that gets the output.
        is_lost: whether the terminal is gone (hang-up or write error) or was released with `lose`.
        on_lost: called once when the terminal is lost, in the thread that noticed it.
        is_asked: whether to ask the terminal for its graphics whenever the screen starts.
        on_answers: called in the input thread with the terminal's answers.
        on_give_back: called before the terminal is returned, at the end or when the process is stopped.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.is_lost = False
        self.on_lost: Callable[[], None] = lambda: None
        self.is_asked = False
        self.on_answers: Callable[[Answers], None] = lambda answers: None
        self.on_give_back: Callable[[], None] = lambda: None
        self._pending = bytearray()
        self._descriptor = -1
        self._saved: dict[int, int] = {}
        self._previous_hangup: Any = None

    def __enter__(self) -> Terminal:
        _flush_output()
        self._descriptor = _open_terminal()
        self._saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        self.send_output_to(self.log)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                cast(Any, stream).reconfigure(line_buffering=True, errors="replace")
        self._previous_hangup = signal.signal(signal.SIGHUP, self._on_hangup)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _flush_output()
        if self.is_lost:
            return  # There is nothing to restore: output stays in the log, and a second SIGHUP must not kill.
        signal.signal(signal.SIGHUP, self._previous_hangup)
        for descriptor, saved in self._saved.items():
            os.dup2(saved, descriptor)
            os.close(saved)
        self._saved.clear()
        os.close(self._descriptor)

    def send_output_to(self, log: Path) -> None:
        """Append output to this file from now on.

        Raises:
            OSError: the file can't be opened; output goes where it went before.
        """
        descriptor = open_for_appending(log)
        _flush_output()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        self.log = log

    def lose(self) -> None:
        """Release the terminal: reads see the end of the file, writes are dropped. Any thread, any number of times."""
        if self.is_lost:
            return
        self.is_lost = True
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self._descriptor)
        for descriptor in (0, *self._saved.values()):
            if os.isatty(descriptor):
                os.dup2(null, descriptor)
        os.close(null)
        self.on_lost()

    def size(self) -> tuple[int, int] | None:
        """Columns and rows; None if the terminal is gone."""
        try:
            columns, rows = os.get_terminal_size(self._descriptor)
        except OSError:
            return None
        return columns, rows

    def cell_size(self) -> tuple[int, int] | None:
        """Width and height of a character cell in pixels; None if the device does not know."""
        try:
            size = fcntl.ioctl(self._descriptor, termios.TIOCGWINSZ, bytes(8))
        except OSError:
            return None
        rows, columns, width, height = struct.unpack("HHHH", size)
        if not (rows and columns and width >= columns and height >= rows):
            return None
        return width // columns, height // rows

    def write(self, text: str) -> int:
        """Buffer text for the terminal; `flush` sends it, as does a full buffer."""
        self._pending += text.encode("utf-8", errors="replace")
        if len(self._pending) >= _BUFFER_BYTES:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send the buffered text. Blocks while the terminal does not read, until `lose` at the latest."""
        pending, self._pending = self._pending, bytearray()
        view = memoryview(pending)
        while view and not self.is_lost:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # A `lose` from another thread is noticed here after half a second at most.
                select.select([], [self._descriptor], [], 0.5)
            except OSError:
                self.lose()

    def fileno(self) -> int:
        """The private descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Always true, so that Rich uses colors."""
        return True

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self.lose()


class TerminalApp(App[ReturnType], Generic[ReturnType]):
    """A Textual app on a `Terminal`; an ordinary app without one (under a test's headless driver).

    It ends when the terminal is lost; `terminal.is_lost` says so.

    Attributes:
        graphics: graphics in use: blocks until the terminal has answered.
        graphics_changed: signal that the graphics have changed.
        written: signal with the regions of the screen that the last frame wrote.
    """

    def __init__(self, terminal: Terminal | None = None, *, graphics: Wish = "auto") -> None:
        super().__init__(driver_class=None if terminal is None else _driver_for(terminal))
        self.terminal = terminal
        self.graphics = Graphics()
        self.graphics_changed: Signal[Graphics] = Signal(self, "graphics-changed")
        self.written: Signal[Sequence[Region]] = Signal(self, "written")
        self._wish = graphics
        if terminal is None:
            return
        terminal.on_lost = self._end_when_lost
        terminal.is_asked = may_be_asked(graphics, os.environ)
        terminal.on_answers = self._take_answers
        terminal.on_give_back = self._end_graphics
        # Textual would replace sys.stdout with objects whose fileno() is -1, which breaks spawned workers.
        self._capture_stdout = cast(Any, sys.__stdout__)
        self._capture_stderr = cast(Any, sys.__stderr__)
        # A crash report belongs on the terminal, not only in the log.
        self.error_console = Console(file=cast(IO[str], terminal), markup=False, highlight=False)

    def on_mount(self) -> None:
        """Exit at once if the terminal was lost while the app was starting."""
        if self.terminal is not None and self.terminal.is_lost:
            self.exit()

    def on_ready(self) -> None:
        """Choose graphics from the environment, if the terminal itself is not asked."""
        if self.terminal is not None and not self.terminal.is_asked:
            self.app_resume_signal.subscribe(self, lambda app: self._look_around())
            self.call_later(self._look_around)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if isinstance(renderable, ChopsUpdate):
            self.written.publish([Region(left, y, right - left, 1) for y, left, right in renderable.spans])
        elif renderable is not None:
            self.written.publish([self.size.region])

    def suit_background(self, is_light: bool) -> None:
        """Take colors for a light or a dark background, which the terminal has told."""

    def use_graphics(self, graphics: Graphics) -> None:
        """Switch to other graphics."""
        self.graphics = graphics
        self.graphics_changed.publish(graphics)

    def redraw(self) -> None:
        """Paint everything anew, for a terminal that another program has written to."""
        if self._driver is not None and hasattr(self._driver, "redraw"):
            self._driver.redraw()
        self.screen.refresh(layout=True)

    async def _look_around(self) -> None:
        tmux = await asyncio.to_thread(ask_tmux) if os.environ.get("TMUX") and self._wish == "auto" else ""
        self._use(find_support(self._wish, os.environ, Answers(), tmux))

    def _take_answers(self, answers: Answers) -> None:
        if self.terminal is not None and self._loop is not None and not self._loop.is_closed():
            answers = replace(answers, cell=answers.cell or self.terminal.cell_size())
            self._loop.call_soon_threadsafe(self._use, find_support(self._wish, os.environ, answers))
            if answers.is_light is not None:
                self._loop.call_soon_threadsafe(self.suit_background, answers.is_light)

    def _use(self, support: Support) -> None:
        if self.terminal is None or self._driver is None or not self.is_running:
            return
        is_truecolor = self.console.color_system == "truecolor"
        cell = self.terminal.cell_size
        self.use_graphics(Graphics(support, self._driver.write, is_truecolor=is_truecolor, cell=cell))

    def _end_graphics(self) -> None:
        self.graphics.end()

    def _end_when_lost(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.exit)


def _driver_for(terminal: Terminal) -> type[Driver]:
    class TerminalDriver(LinuxDriver):
        """Textual's driver with its output on the private descriptor."""

        def __init__(self, app: App[object], **options: Any) -> None:
            super().__init__(app, **options)
            self._file = cast(Any, terminal)
            self._answers = AnswerFilter(lambda answers: terminal.on_answers(answers))
            self._diff = ScreenDiff()
            self._known_size = (0, 0)

        def write(self, data: str) -> None:
            # A mode of the terminal draws nothing.
            super().write(data if _MODES.fullmatch(data) else self._diff.reduce(data))

        def redraw(self) -> None:
            """Take nothing on the screen for known."""
            self._diff.forget()

        def start_application_mode(self) -> None:
            self._diff.forget()
            super().start_application_mode()
            if terminal.is_asked:
                self._answers.expect()
                self.write(QUESTIONS)

        def stop_application_mode(self) -> None:
            terminal.on_give_back()
            super().stop_application_mode()

        def _sigcont_application(self, *_: object) -> None:
            # A hang-up brings SIGHUP and SIGCONT: the second must not start the screen again.
            if not terminal.is_lost:
                super()._sigcont_application()

        def _get_terminal_size(self) -> tuple[int, int]:
            size = terminal.size() or super()._get_terminal_size()
            if size != self._known_size:
                self._known_size = size
                self._diff.forget()
            return size

        def run_input_thread(self) -> None:
            try:
                self._read_input()
            except OSError:
                terminal.lose()

        def _read_input(self) -> None:
            # As in Textual, but without the terminal's answers, which Textual's parser would treat as keys.
            parser, answers = XTermParser(), self._answers
            decode = codecs.getincrementaldecoder("utf-8")().decode
            while not self.exit_event.is_set():
                if select.select([self.fileno], [], [], _INPUT_TICK)[0]:
                    text = decode(os.read(self.fileno, _INPUT_BYTES))
                    # An empty text would tell the parser that the input has ended.
                    text = answers.feed(text) if text else ""
                else:
                    text = answers.release()
                for event in [*(parser.feed(text) if text else ()), *parser.tick()]:
                    self.process_message(event)

    return TerminalDriver


def _open_terminal() -> int:
    """Open a private descriptor for the terminal behind descriptor 2 (or 1, or 0)."""
    for descriptor in (2, 1, 0):
        if os.isatty(descriptor):
            break
    else:
        raise OSError("the studio needs a terminal, but standard input, output and error are not connected to one")
    try:
        # Opened again, not duplicated: non-blocking is a property of the open file, and the shell shares the
        # inherited one. Non-blocking, so that a stalled connection can't hold a thread forever.
        return os.open(os.ttyname(descriptor), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        # After `su`, or in some containers, the terminal's name can't be opened.
        return os.dup(descriptor)


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
