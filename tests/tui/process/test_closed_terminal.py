"""`torchdeck train` in a real terminal that is closed, and into a pipe that nobody reads any more."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from campaign import is_full_campaign
from studio_terminal import REPOSITORY, StudioTerminal, studio_in_terminal
from warm_python import warm_python

from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.process.stop_signals import STOP_SIGNALS

PROGRAM = ("-m", "torchdeck")


def finished(terminal: StudioTerminal, run: RunReader) -> None:
    terminal.until(lambda: run.status() not in ("preparing", "running"))
    run.poll()


def test_a_run_without_the_studio_outlives_its_terminal_with_its_output_in_the_log(tmp_path: Path) -> None:
    epochs = ("--set", "training.epochs=4")
    with studio_in_terminal(tmp_path, "train", "digits", *epochs, program=PROGRAM) as terminal:
        run = terminal.run()
        terminal.until_trained(run, 1)
        at_hang_up = run.progress().epoch
        terminal.hang_up()
        finished(terminal, run)
        assert terminal.exit_status() == 0
        assert (run.status(), len(run.epoch_records())) == ("finished", 4)
        assert at_hang_up < 4
        log = (run.path / "engine.log").read_text()
        assert "epoch   4" in log and "finished at epoch 4" in log
        assert "\x1b[" not in log.split("epoch   4")[1] and "Traceback" not in log


def test_a_run_that_outlived_its_terminal_is_found_and_stopped_from_a_studio(tmp_path: Path) -> None:
    long = ("--set", "training.epochs=100000")
    with studio_in_terminal(tmp_path, "train", "digits", *long, program=PROGRAM) as terminal:
        run = terminal.run()
        terminal.until_trained(run, 1)
        terminal.hang_up()
        with studio_in_terminal(tmp_path, "attach") as studio:
            studio.until_shown("epoch ")
            studio.press("X")
            studio.until_shown("Stopping saves")
            studio.press("s")
            studio.until(lambda: run.status() == "stopped")
            assert terminal.exit_status() == 0
        assert run.status() == "stopped"
        assert run.checkpoints()


def test_a_terminal_that_closes_before_the_run_exists_does_not_end_it(tmp_path: Path) -> None:
    epochs = ("--set", "training.epochs=2")
    # Its imports are the time before the run exists.
    cold = (sys.executable,)
    with studio_in_terminal(tmp_path, "train", "digits", *epochs, program=PROGRAM, python=cold) as terminal:
        # The progress bars are the sign that hang-ups are handled.
        terminal.until(lambda: b"\x1b[?25l" in terminal.received)
        assert not terminal.runs.exists() or not list(terminal.runs.glob("[!.]*"))
        terminal.hang_up()
        run = terminal.run()
        finished(terminal, run)
        assert (run.status(), terminal.exit_status()) == ("finished", 0)
        assert "finished at epoch 2" in (run.path / "engine.log").read_text()


def test_a_pipe_that_nobody_reads_any_more_does_not_end_a_run(tmp_path: Path) -> None:
    command = [*warm_python(), "-m", "torchdeck", "train", "digits", "--runs", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--set", "training.epochs=3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout is not None and process.stderr is not None
    run = RunReader(Path(process.stdout.readline().split(" ", 1)[1].strip()))
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    run.poll()
    assert (run.status(), len(run.epoch_records())) == ("finished", 3)
    assert "finished at epoch 3" in (run.path / "engine.log").read_text()


@pytest.mark.parametrize(
    "number",
    [number for number in STOP_SIGNALS if number != signal.SIGXCPU]
    if is_full_campaign()
    else [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1],
)
def test_whatever_asks_to_end_saves_first(tmp_path: Path, number: signal.Signals) -> None:
    long = ("--set", "training.epochs=100000", "--set", "checkpoint.every_epochs=0")
    with studio_in_terminal(tmp_path, "train", "digits", *long, program=PROGRAM) as terminal:
        run = terminal.run()
        terminal.until_trained(run, 1)
        os.kill(terminal.pid, number)
        assert terminal.exit_status() == 128 + number
        run.poll()
        assert run.status() == "stopped"
        assert run.checkpoints()[0].step == run.progress().step > 0


def test_the_limit_on_processor_time_saves_and_ends(tmp_path: Path) -> None:
    long = ("--set", "training.epochs=100000", "--set", "checkpoint.every_epochs=0")
    with studio_in_terminal(tmp_path, "train", "digits", *long, program=PROGRAM) as terminal:
        run = terminal.run()
        terminal.until_trained(run, 1)
        owner = run.owner_pid()
        assert owner
        used = sum(map(int, Path(f"/proc/{owner}/stat").read_text().rpartition(")")[2].split()[11:13]))
        # The kernel sends SIGXCPU a second later, repeats it every second, and kills at the second limit.
        soft = used // os.sysconf("SC_CLK_TCK") + 1
        resource.prlimit(owner, resource.RLIMIT_CPU, (soft, soft + 30))
        assert terminal.exit_status() == 128 + signal.SIGXCPU
        run.poll()
        assert run.status() == "stopped"
        assert run.checkpoints()[0].step == run.progress().step > 0
