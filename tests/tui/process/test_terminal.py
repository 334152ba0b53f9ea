"""The terminal, private to the screen, in real pseudo-terminals with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from pathlib import Path

from program_terminal import PROGRAM, RUN, StartProgram
from textual.app import ComposeResult
from textual.widgets import Static

from torchdeck.tui.process.terminal import TerminalApp


def test_nothing_that_is_printed_reaches_the_screen(start_program: StartProgram) -> None:
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
    process = start_program(program + RUN)
    process.wait_for(lambda: process.shows("everything is printed"))
    process.press("q")
    assert process.exit_status() == 0
    expected = """PYTHON stdout|PYTHON stderr|RAW stdout|RAW stderr|C stderr|CHILD stdout|CHILD stderr|CHILD python
        |THREAD stdout|UserWarning: PYTHON warning"""
    for line in map(str.strip, expected.split("|")):
        assert line in process.log()
        assert line.encode() not in process.received


def test_the_terminal_is_as_before_afterwards_and_output_returns_to_it(start_program: StartProgram) -> None:
    process = start_program(RUN + "print('back on the terminal')\nprint('and errors', file=sys.stderr)\n")
    before = termios.tcgetattr(process.terminal)[3]
    process.wait_for(lambda: process.shows("the screen"))
    assert termios.tcgetattr(process.terminal)[3] != before
    process.press("q")
    process.wait_for(lambda: process.shows("and errors"))
    assert process.shows("back on the terminal")
    assert process.exit_status() == 0
    assert process.log() == ""


def test_the_shells_descriptors_stay_blocking(start_program: StartProgram) -> None:
    check = "assert all(map(os.get_blocking, (0, 1, 2)))\n"
    look = f"def look(self):\n    {check}    self.query_one(Static).update('looked')\nScreen.when_ready = look\n"
    process = start_program(look + RUN + check)
    process.wait_for(lambda: process.shows("looked"))
    process.press("q")
    assert process.exit_status() == 0


def test_the_app_follows_the_size_of_the_real_terminal(start_program: StartProgram) -> None:
    process = start_program(RUN)
    process.wait_for(lambda: process.shows("the screen is 80x24"))
    process.resize(121, 33)
    process.wait_for(lambda: process.shows("the screen is 121x33"))


def test_output_moves_to_the_log_of_the_run(start_program: StartProgram) -> None:
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
    process = start_program(program + RUN)
    process.wait_for(lambda: process.shows("the run began"))
    assert process.log() == "before the run\n"
    assert (process.folder / "run.log").read_text() == "in the run\nraw in the run\n"


def test_a_crash_of_the_screen_is_reported_on_the_terminal(start_program: StartProgram) -> None:
    crash = "def crash(self):\n    raise ValueError('no such pane')\nScreen.when_ready = crash\n"
    process = start_program(crash + RUN + "sys.exit(app.return_code)\n")
    process.wait_for(lambda: process.shows("no such pane"))
    assert process.exit_status() == 1


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


def test_a_screen_full_of_widgets_sends_nothing_while_nothing_happens(start_program: StartProgram) -> None:
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
        yield PipelineList("Transforms", {"train": ("Train", "")}, count_words="{} steps".format, empty="none")
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
    process = start_program(program + RUN)
    process.wait_for((process.folder / "polled").exists)
    while process.read(2):
        pass
    assert process.read(3) == b""
