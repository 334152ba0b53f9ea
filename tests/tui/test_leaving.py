"""A run after its screen has closed, with real processes, terminals, signals and training."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from studio_terminal import StudioTerminal, studio_in_terminal

from torchdeck.engine.runs.control import send
from torchdeck.engine.runs.reader import RunReader

# A process that imports torch when the run is prepared, as the user's.
COLD = (sys.executable,)
LONG = ("--set", "training.epochs=100000")

TALKING_MODEL = """
import os
import subprocess
import sys

import torch

print("made by user code", flush=True)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.training and self.calls % 50 == 1:
            print("stray print of the model", self.calls)
            os.write(2, b"stray write to descriptor 2\\n")
            subprocess.run(["echo", "stray words of a subprocess"])
        return self.layer(x.flatten(1))


def make():
    return Net()
"""

BROKEN_PANE = """
import sys

from torchdeck.tui.cli import main
from torchdeck.tui.panes.log import LogPane


def on_show(self):
    raise RuntimeError("the pane broke")


LogPane.on_show = on_show
sys.exit(main())
"""


def started(studio: StudioTerminal, epoch: int = 2) -> RunReader:
    """Press S and wait until the run has trained for a while."""
    studio.until_shown("7 Log")
    studio.press("4")
    studio.press("S")
    run = studio.run()
    studio.until_trained(run, epoch)
    return run


def trains_on_until_stopped(studio: StudioTerminal, run: RunReader) -> None:
    """Wait until a run has trained further than it has now, and stop it."""
    run.poll()
    step = run.progress().step
    studio.until(lambda: run.poll() and run.progress().step > step)
    send(run.path, {"cmd": "stop"})
    studio.until(lambda: run.status() == "stopped")


def test_a_closed_terminal_leaves_the_run_training_to_its_end_and_loses_no_output(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TALKING_MODEL)
    own_model = ("--set", "training.epochs=40", "--set", f"model.name={tmp_path}/net.py:make")
    with studio_in_terminal(tmp_path, "digits", *own_model) as studio:
        run = started(studio)
        at_hang_up = run.progress().epoch
        studio.hang_up()
        studio.until(lambda: run.status() not in ("preparing", "running"))
        assert run.status() == "finished"
        assert at_hang_up < 40
        run.poll()
        assert len(run.epoch_records()) == 40
        log = (run.path / "engine.log").read_text()
        # 40 epochs of 23 batches; the model prints at every 50th batch.
        spoken = log.count("stray print of the model")
        assert spoken >= 18
        # The hang-up itself may end a subprocess of the user before it has printed.
        assert spoken - 1 <= log.count("stray words of a subprocess") <= spoken
        assert "made by user code" in log
        assert "Traceback" not in log


def test_a_terminal_that_closes_while_the_run_is_prepared_does_not_end_it(tmp_path: Path) -> None:
    with studio_in_terminal(tmp_path, "digits", "--set", "training.epochs=3", python=COLD) as studio:
        studio.until_shown("7 Log")
        studio.press("4")
        studio.press("S")
        studio.until_shown("preparing")
        studio.hang_up()
        run = studio.run()
        studio.until(lambda: run.status() not in ("preparing", "running"))
        assert run.status() == "finished"


def test_leaving_and_keeping_the_run_gives_the_shell_back_and_says_how_to_come_back(tmp_path: Path) -> None:
    with studio_in_terminal(tmp_path, "digits", *LONG) as studio:
        run = started(studio)
        studio.press("q")
        studio.until_shown("Keep training")
        studio.press("k")
        assert studio.exit_status() == 0
        assert run.is_alive()
        text = studio.received.decode(errors="replace")
        assert f"{run.path.name} keeps training in process {run.owner_pid()}" in text
        assert "To watch it: torchdeck attach digits-" in text
        trains_on_until_stopped(studio, run)


def test_a_run_that_was_left_is_watched_and_stopped_from_another_studio(tmp_path: Path) -> None:
    with studio_in_terminal(tmp_path, "digits", *LONG) as first:
        run = started(first)
        first.press("q")
        first.until_shown("Keep training")
        first.press("k")
        assert first.exit_status() == 0
        with studio_in_terminal(tmp_path) as second:
            second.until_shown("7 Log")
            second.press("5")
            second.until_shown(run.path.name[:20])
            second.until_shown("running")
            second.press("\r")
            second.until_shown("compute")
            second.press("X")
            second.until_shown("Stopping saves")
            second.press("s")
            second.until_shown("■")
            second.until(lambda: run.status() == "stopped")
        assert run.status() == "stopped"
        assert run.checkpoints()


def test_two_panels_show_one_run_and_each_shows_what_the_other_does(tmp_path: Path) -> None:
    with studio_in_terminal(tmp_path, "digits", *LONG) as first:
        run = started(first)
        with studio_in_terminal(tmp_path, "attach", run.path.name) as second:
            for panel in (first, second):
                panel.until_shown(" left")
            second.press("P")
            for panel in (first, second):
                panel.until_shown("paused")
            first.press("P")
            for panel in (first, second):
                panel.until_shown(" left")
            # Quitting one studio affects neither the run nor the other studio.
            second.press("q")
            assert second.exit_status() == 0
        assert run.is_alive() and run.status() == "running"


def test_leaving_with_save_and_stop_ends_the_run_saved(tmp_path: Path) -> None:
    with studio_in_terminal(tmp_path, "digits", *LONG, program=("-m", "torchdeck"), python=COLD) as studio:
        run = started(studio)
        studio.press("q")
        studio.until_shown("Keep training")
        studio.press("4")
        studio.press("s")
        assert studio.exit_status() == 0
        assert run.status() == "stopped"
        assert run.checkpoints()[0].step == run.state()["step"]
        assert f"torchdeck resume {run.path.name}" in studio.received.decode(errors="replace")


def test_sigterm_saves_and_ends_with_143(tmp_path: Path) -> None:
    with studio_in_terminal(tmp_path, "digits", *LONG) as studio:
        run = started(studio)
        os.kill(studio.pid, signal.SIGTERM)
        assert studio.exit_status() == 143
        assert run.status() == "stopped"
        assert run.checkpoints()[0].step == run.state()["step"]


def test_an_exception_in_a_pane_ends_the_screen_with_its_traceback_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN_PANE)
    with studio_in_terminal(tmp_path, "digits", *LONG, program=(str(tmp_path / "broken.py"),)) as studio:
        run = started(studio)
        studio.press("7")
        assert studio.exit_status() == 0
        text = studio.received.decode(errors="replace")
        assert "the pane broke" in text
        assert "on_show" in text
        assert f"{run.path.name} keeps training" in text
        trains_on_until_stopped(studio, run)


def test_stray_output_never_reaches_the_screen_and_is_in_the_log_pane(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TALKING_MODEL)
    with studio_in_terminal(tmp_path, "digits", *LONG, "--set", f"model.name={tmp_path}/net.py:make") as studio:
        run = started(studio)
        stray = ("stray print of the model", "stray write to descriptor 2", "stray words of a subprocess")
        for words in (*stray, "made by user code"):
            assert words.encode() not in studio.received
        # The run's output comes after its events.
        studio.choose_log_source("j", "output")
        for words in stray:
            studio.until_shown(words)
        assert "made by user code" in (run.path / "engine.log").read_text()


def test_without_a_run_leaving_asks_nothing(tmp_path: Path) -> None:
    with studio_in_terminal(tmp_path, program=("-m", "torchdeck"), python=COLD) as studio:
        studio.until_shown("7 Log")
        studio.press("q")
        assert studio.exit_status() == 0
        assert not studio.runs.exists()
