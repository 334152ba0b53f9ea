"""The terminal, private to the screen, in real pseudo-terminals with real processes."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest
from campaign import is_full_campaign
from textual.app import ComposeResult
from textual.widgets import Static

from torchdeck.tui.process.terminal import TerminalApp

PROGRAM = """
import ctypes, os, signal, subprocess, sys, threading, time, warnings
from pathlib import Path
from textual.app import ComposeResult
from textual.widgets import Static
from torchdeck.tui.process.parent import Parent, run_behind_parent
from torchdeck.tui.process.terminal import Terminal, TerminalApp

FOLDER = Path(sys.argv[1])

class Screen(TerminalApp[str]):
    BINDINGS = [("q", "quit", "quit"), ("d", "detach", "detach")]
    def compose(self) -> ComposeResult:
        yield Static("the screen")
    def on_ready(self) -> None:
        self.when_ready()
    def on_resize(self, event) -> None:
        self.query_one(Static).update(f"the screen is {event.size.width}x{event.size.height}")
    def when_ready(self) -> None:
        pass
    def action_detach(self) -> None:
        self.exit("detach")
"""


class Process:
    """A program in a pseudo-terminal of 80x24, read by a terminal emulator."""

    def __init__(self, folder: Path, program: str, *, shell: bool = False) -> None:
        script = folder / "program.py"
        script.write_text(PROGRAM + program)
        self.folder = folder
        self.emulator = pyte.Screen(80, 24)
        self.stream = pyte.ByteStream(self.emulator)
        self.received = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "PYTHONPATH": os.getcwd(), "TERM": "xterm-256color", "PS1": "shell> "}
            for name in ("COLUMNS", "LINES"):
                environment.pop(name, None)
            command = [sys.executable, str(script), str(folder)]
            if shell:
                run = folder / "run"
                run.write_text(" ".join(command))
                command = ["bash", "--norc", "--noediting", "-i"]
            os.execvpe(command[0], command, environment)
        self.resize(80, 24)
        if shell:
            self.wait_for(lambda: self.shows("shell>"))
            self.press(f"$(cat {folder}/run); echo shell is back: $?\r")

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.emulator.resize(rows, columns)

    def read(self, seconds: float) -> bytes:
        """Read what arrives within this time."""
        received = b""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.terminal], [], [], left)[0]:
                break
            try:
                data = os.read(self.terminal, 65536)
            except OSError as error:
                assert error.errno == errno.EIO
                break
            if not data:
                break
            received += data
        self.received += received
        # pyte treats the "u" of the kitty keyboard protocol as a cursor movement
        self.stream.feed(received.replace(b"\x1b[<u", b"").replace(b"\x1b[>25u", b""))
        return received

    def shows(self, text: str) -> bool:
        self.read(0.05)
        return any(text in line for line in self.emulator.display)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.emulator.display) + self.log()
            time.sleep(0.02)

    def log(self) -> str:
        path = self.folder / "engine.log"
        return path.read_text() if path.exists() else ""

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def hang_up(self) -> None:
        os.close(self.terminal)
        self.terminal = -1

    def status(self) -> int:
        """Wait for the end; returns the exit status, negative for a signal."""
        deadline = time.monotonic() + 30
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, "it did not end\n" + self.log()
            if self.terminal >= 0:
                self.read(0.05)

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.terminal >= 0:
            os.close(self.terminal)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def start_process(program: str, *, shell: bool = False) -> Process:
        processes.append(Process(tmp_path, program, shell=shell))
        return processes[-1]

    yield start_process
    for process in processes:
        process.close()


RUN = """
with Terminal(FOLDER / "engine.log") as terminal:
    app = Screen(terminal)
    app.run()
"""

TRAIN_ON = """
def train():
    for step in range(10):
        time.sleep(0.1)
        print("step", step)
    (FOLDER / "done").write_text(f"{terminal.is_lost}")

with Terminal(FOLDER / "engine.log") as terminal:
    app = Screen(terminal)
    thread = threading.Thread(target=train)
    def begin():
        thread.start()
    app.when_ready = begin
    app.run()
    while thread.is_alive():
        thread.join(0.1)
sys.exit(0)
"""


def test_nothing_that_is_printed_reaches_the_screen(start: Callable[..., Process]) -> None:
    program = """
def print_everywhere(self) -> None:
    print("PYTHON stdout")
    print("PYTHON stderr", file=sys.stderr)
    warnings.warn("PYTHON warning")
    os.write(1, b"RAW stdout\\n")
    os.write(2, b"RAW stderr\\n")
    ctypes.CDLL(None).dprintf(2, b"C stderr\\n")
    subprocess.run(["sh", "-c", "echo CHILD stdout; echo CHILD stderr >&2"], check=True)
    subprocess.run([sys.executable, "-c", "print('CHILD python')"], stdout=sys.stdout, stderr=sys.stderr, check=True)
    thread = threading.Thread(target=lambda: print("THREAD stdout"))
    thread.start()
    thread.join()
    self.query_one(Static).update("everything is printed")

Screen.when_ready = print_everywhere
"""
    process = start(program + RUN)
    process.wait_for(lambda: process.shows("everything is printed"))
    process.press("q")
    assert process.status() == 0
    expected = """PYTHON stdout|PYTHON stderr|RAW stdout|RAW stderr|C stderr|CHILD stdout|CHILD stderr|CHILD python
        |THREAD stdout|UserWarning: PYTHON warning"""
    for line in map(str.strip, expected.split("|")):
        assert line in process.log()
        assert line.encode() not in process.received


def test_the_terminal_is_as_before_afterwards_and_output_returns_to_it(start: Callable[..., Process]) -> None:
    process = start(RUN + "print('back on the terminal')\nprint('and errors', file=sys.stderr)\n")
    before = termios.tcgetattr(process.terminal)[3]
    process.wait_for(lambda: process.shows("the screen"))
    assert termios.tcgetattr(process.terminal)[3] != before
    process.press("q")
    process.wait_for(lambda: process.shows("and errors"))
    assert process.shows("back on the terminal")
    assert process.status() == 0
    assert process.log() == ""


def test_the_shells_descriptors_stay_blocking(start: Callable[..., Process]) -> None:
    check = "assert all(map(os.get_blocking, (0, 1, 2)))\n"
    look = f"def look(self):\n    {check}    self.query_one(Static).update('looked')\nScreen.when_ready = look\n"
    process = start(look + RUN + check)
    process.wait_for(lambda: process.shows("looked"))
    process.press("q")
    assert process.status() == 0


def test_the_app_follows_the_size_of_the_real_terminal(start: Callable[..., Process]) -> None:
    process = start(RUN)
    process.wait_for(lambda: process.shows("the screen is 80x24"))
    process.resize(121, 33)
    process.wait_for(lambda: process.shows("the screen is 121x33"))


def test_output_moves_to_the_log_of_the_run(start: Callable[..., Process]) -> None:
    program = """
def begin(self) -> None:
    print("before the run")
    self.terminal.send_output_to(FOLDER / "run.log")
    print("in the run")
    os.write(2, b"raw in the run\\n")
    assert self.terminal.log == FOLDER / "run.log"
    self.query_one(Static).update("the run began")
Screen.when_ready = begin
"""
    process = start(program + RUN)
    process.wait_for(lambda: process.shows("the run began"))
    assert process.log() == "before the run\n"
    assert (process.folder / "run.log").read_text() == "in the run\nraw in the run\n"


def test_a_crash_of_the_screen_is_reported_on_the_terminal(start: Callable[..., Process]) -> None:
    crash = "def crash(self):\n    raise ValueError('no such pane')\nScreen.when_ready = crash\n"
    process = start(crash + RUN + "sys.exit(app.return_code)\n")
    process.wait_for(lambda: process.shows("no such pane"))
    assert process.status() == 1


def test_closing_the_terminal_leaves_a_thread_running_to_its_end(start: Callable[..., Process]) -> None:
    process = start(TRAIN_ON)
    process.wait_for(lambda: "step 1\n" in process.log())
    process.hang_up()
    assert process.status() == 0
    assert (process.folder / "done").read_text() == "True"
    assert "step 9\n" in process.log()
    assert "Traceback" not in process.log()


def test_a_hang_up_under_a_flood_of_output_ends_the_screen_too(start: Callable[..., Process]) -> None:
    flood = """
def flood(self) -> None:
    self.set_interval(0.01, lambda: self.query_one(Static).update(os.urandom(700).hex()))
Screen.when_ready = flood
"""
    program = TRAIN_ON.replace("thread.start()", "thread.start(); flood(app)")
    process = start(flood + program)
    process.wait_for(lambda: process.read(0.1) != b"" and "step 1\n" in process.log())
    process.hang_up()
    assert process.status() == 0
    assert (process.folder / "done").read_text() == "True"
    assert "Traceback" not in process.log()


def test_a_terminal_that_is_never_read_can_be_let_go(start: Callable[..., Process]) -> None:
    """A dead connection: output is not read, the screen blocks, and a signal asks the process to end."""
    program = """
def flood(self) -> None:
    (FOLDER / "flooding").touch()
    self.set_interval(0.01, lambda: self.query_one(Static).update(os.urandom(900).hex()))
Screen.when_ready = flood
signal.signal(signal.SIGTERM, lambda *_: terminal.lose())
"""
    process = start(program + RUN)
    process.wait_for((process.folder / "flooding").exists)
    time.sleep(2)
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while os.waitpid(process.pid, os.WNOHANG)[0] == 0:
        assert time.monotonic() < deadline, "it waits for the terminal"
        time.sleep(0.05)
    process.pid = 0


def test_sigcont_after_the_hang_up_does_not_start_the_screen_again(start: Callable[..., Process]) -> None:
    program = TRAIN_ON.replace("app.run()", "app.run(); os.kill(os.getpid(), signal.SIGCONT); print('went on')")
    process = start(program)
    process.wait_for(lambda: "step 1\n" in process.log())
    process.hang_up()
    assert process.status() == 0
    assert "went on\n" in process.log()
    assert "Traceback" not in process.log()


@pytest.mark.campaign
def test_a_hang_up_at_any_moment_ends_cleanly(start: Callable[..., Process]) -> None:
    generator = random.Random(0)
    for _ in range(40 if is_full_campaign() else 4):
        process = start(TRAIN_ON.replace("thread.start()", "thread.start(); (FOLDER / 'training').touch()"))
        training = process.folder / "training"
        process.wait_for(training.exists)
        process.read(generator.uniform(0, 0.8))
        process.hang_up()
        assert process.status() == 0
        assert (process.folder / "done").read_text() == "True"
        assert "Traceback" not in process.log()
        for name in ("training", "done", "engine.log"):
            (process.folder / name).unlink()


def test_the_shells_job_control_stops_and_continues_the_studio(start: Callable[..., Process]) -> None:
    program = """
class Screen(Screen):
    BINDINGS = [("z", "suspend_process", "suspend")]

def main(parent: Parent) -> int:
    with Terminal(FOLDER / "engine.log") as terminal:
        Screen(terminal).run()
    return 5

sys.exit(run_behind_parent(main))
"""
    process = start(program, shell=True)
    process.wait_for(lambda: process.shows("the screen is 80x24"))
    process.press("z")
    process.wait_for(lambda: process.shows("Stopped"))
    process.press("echo $((6 * 7)) is typed\r")
    process.wait_for(lambda: process.shows("42 is typed"))
    process.press("fg\r")
    process.wait_for(lambda: process.shows("the screen is 80x24"))
    process.press("q")
    # The rest of the stopped command line has run already, with the status of the stop.
    process.wait_for(lambda: not process.read(0.1) and process.received.endswith(b"shell> "))
    process.press("echo the status is $?\r")
    process.wait_for(lambda: process.shows("the status is 5"))
    assert "Traceback" not in process.log()


def test_an_idle_screen_sends_nothing(start: Callable[..., Process]) -> None:
    process = start(RUN)
    process.wait_for(lambda: process.shows("the screen is"))
    while process.read(1):
        pass
    assert process.read(3) == b""


def test_detach_gives_the_shell_back_while_training_goes_on(start: Callable[..., Process]) -> None:
    program = """
def train():
    for step in range(15):
        time.sleep(0.1)
        print("step", step)
    (FOLDER / "done").write_text(f"{os.getsid(0) == os.getpid()}")

def main(parent: Parent) -> int:
    with Terminal(FOLDER / "engine.log") as terminal:
        app = Screen(terminal)
        thread = threading.Thread(target=train)
        app.when_ready = thread.start
        if app.run() == "detach":
            terminal.lose()
            parent.detach("the run goes on")
        thread.join()
    return 9

sys.exit(run_behind_parent(main))
"""
    process = start(program, shell=True)
    process.wait_for(lambda: process.shows("the screen"))
    process.press("d")
    process.wait_for(lambda: process.shows("shell is back: 0"))
    assert process.shows("the run goes on")
    assert not (process.folder / "done").exists()
    process.hang_up()
    process.wait_for((process.folder / "done").exists)
    process.wait_for(lambda: "step 14\n" in process.log())
    assert "Traceback" not in process.log()


def test_without_a_terminal_the_studio_says_so(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM + RUN)
    process = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.returncode == 1
    assert "needs a terminal" in process.stderr


async def test_the_app_runs_under_the_headless_driver_without_a_terminal() -> None:
    class Plain(TerminalApp[None]):
        def compose(self) -> ComposeResult:
            yield Static("plain")

    app = Plain()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert app.terminal is None
        assert app.size == (100, 30)
        assert app.is_running


def test_a_screen_full_of_widgets_sends_nothing_while_nothing_happens(start: Callable[..., Process]) -> None:
    program = """
from textual.containers import VerticalScroll
from torchdeck.tui.look.themes import meanings_for
from torchdeck.tui.widgets.charts.chart import Chart
from torchdeck.tui.widgets.config_form import ConfigForm, FormSection
from torchdeck.tui.widgets.form_field import FormField
from torchdeck.tui.widgets.modules.module_tree import ModuleTree, ModuleTreeRow
from torchdeck.tui.widgets.pipeline_list import PipelineList, PipelineStep
from torchdeck.tui.widgets.panel import Lines
from torchdeck.tui.widgets.progress_line import progress_line

class Screen(Screen):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return meanings_for(self.current_theme)
    def compose(self) -> ComposeResult:
        yield Static("x")
        yield ConfigForm([FormSection("Optimizer", "", (FormField("lr", "lr", "float", "0.1"),))])
        yield Chart("loss")
        yield ModuleTree()
        yield PipelineList("Transforms", {"train": ("Train", "")}, counted="{} steps".format, empty="none")
        yield Lines("Work", id="work")
    def on_ready(self) -> None:
        self.query_one(Chart).set_series("train", range(100), range(100))
        self.query_one(ModuleTree).show_modules([ModuleTreeRow("", "Net", 1, 1)])
        self.query_one(PipelineList).set_steps("train", [PipelineStep("Pad")])
        self.query_one("#work").show(lambda width, height: [progress_line("reading", 1, 3, width)])
        self.set_interval(0.5, self.poll)
    def poll(self) -> None:
        self.query_one(Chart).set_series("train", range(100), range(100))
        self.query_one(Chart).request_redraw()
        self.query_one("#work").show(lambda width, height: [progress_line("reading", 1, 3, width)])
        (FOLDER / "polled").touch()
"""
    process = start(program + RUN)
    process.wait_for((process.folder / "polled").exists)
    while process.read(2):
        pass
    assert process.read(3) == b""
