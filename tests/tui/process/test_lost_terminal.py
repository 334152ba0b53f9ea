"""A terminal that hangs up, is never read, stops the process or is given back: training continues."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from campaign import is_full_campaign
from program_terminal import RUN, TRAIN_ON, StartProgram


def test_closing_the_terminal_leaves_a_thread_running_to_its_end(start_program: StartProgram) -> None:
    process = start_program(TRAIN_ON)
    process.wait_for(lambda: "step 1\n" in process.log())
    process.hang_up()
    assert process.exit_status() == 0
    assert (process.folder / "done").read_text() == "True"
    assert "step 9\n" in process.log()
    assert "Traceback" not in process.log()


def test_a_hang_up_under_a_flood_of_output_ends_the_screen_too(start_program: StartProgram) -> None:
    flood = """
def flood(self) -> None:
    self.set_interval(0.01, lambda: self.query_one(Static).update(os.urandom(700).hex()))
Screen.when_ready = flood
"""
    program = TRAIN_ON.replace("thread.start()", "thread.start(); flood(app)")
    process = start_program(flood + program)
    process.wait_for(lambda: process.read(0.1) != b"" and "step 1\n" in process.log())
    process.hang_up()
    assert process.exit_status() == 0
    assert (process.folder / "done").read_text() == "True"
    assert "Traceback" not in process.log()


def test_a_terminal_that_is_never_read_can_be_let_go(start_program: StartProgram) -> None:
    """A dead connection: output is not read, the screen blocks, and a signal asks the process to end."""
    program = """
def flood(self) -> None:
    (FOLDER / "flooding").touch()
    self.set_interval(0.01, lambda: self.query_one(Static).update(os.urandom(900).hex()))
Screen.when_ready = flood
signal.signal(signal.SIGTERM, lambda *_: terminal.lose())
"""
    process = start_program(program + RUN)
    process.wait_for((process.folder / "flooding").exists)
    time.sleep(2)
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 90
    while os.waitpid(process.pid, os.WNOHANG)[0] == 0:
        assert time.monotonic() < deadline, "it waits for the terminal"
        time.sleep(0.05)
    process.pid = 0


def test_sigcont_after_the_hang_up_does_not_start_the_screen_again(start_program: StartProgram) -> None:
    program = TRAIN_ON.replace("app.run()", "app.run(); os.kill(os.getpid(), signal.SIGCONT); print('went on')")
    process = start_program(program)
    process.wait_for(lambda: "step 1\n" in process.log())
    process.hang_up()
    assert process.exit_status() == 0
    assert "went on\n" in process.log()
    assert "Traceback" not in process.log()


@pytest.mark.campaign
def test_a_hang_up_at_any_moment_ends_cleanly(start_program: StartProgram) -> None:
    generator = random.Random(0)
    for _ in range(40 if is_full_campaign() else 4):
        process = start_program(TRAIN_ON.replace("thread.start()", "thread.start(); (FOLDER / 'training').touch()"))
        training = process.folder / "training"
        process.wait_for(training.exists)
        process.read(generator.uniform(0, 0.8))
        process.hang_up()
        assert process.exit_status() == 0
        assert (process.folder / "done").read_text() == "True"
        assert "Traceback" not in process.log()
        for name in ("training", "done", "engine.log"):
            (process.folder / name).unlink()


def test_the_shells_job_control_stops_and_continues_the_studio(start_program: StartProgram) -> None:
    program = """
class Screen(Screen):
    BINDINGS = [("z", "suspend_process", "suspend")]

def main(parent: Parent) -> int:
    with Terminal(FOLDER / "engine.log") as terminal:
        Screen(terminal).run()
    return 5

sys.exit(run_behind_parent(main))
"""
    process = start_program(program, shell=True)
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


def test_detach_gives_the_shell_back_while_training_goes_on(start_program: StartProgram) -> None:
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
    process = start_program(program, shell=True)
    process.wait_for(lambda: process.shows("the screen"))
    process.press("d")
    process.wait_for(lambda: process.shows("shell is back: 0"))
    assert process.shows("the run goes on")
    assert not (process.folder / "done").exists()
    process.hang_up()
    process.wait_for((process.folder / "done").exists)
    process.wait_for(lambda: "step 14\n" in process.log())
    assert "Traceback" not in process.log()
