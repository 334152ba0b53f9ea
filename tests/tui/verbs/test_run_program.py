"""`torchdeck run -- COMMAND`: any program is a run; its output, its figures and its end are those of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from torchdeck.engine.runs.control import send
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.reader import RunReader

PRINTS = """
for step in range(1, 4):
    print(f"step {step}/3 loss={1 / step}")
print("step 3/3 val_acc: 0.75")
"""
WRITES = """
import time
print("step 1/9 loss=999")
with open("training.csv", "w") as file:
    file.write("epoch,loss,val_loss\\n")
    for epoch in (1, 2):
        file.write(f"{epoch},{1 / epoch},{2 / epoch}\\n")
"""


def started(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torchdeck", "run", "--runs", str(tmp_path / "runs"), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)


def run_of(tmp_path: Path) -> RunReader:
    (summary,) = list_runs(tmp_path / "runs")
    reader = RunReader(summary.path)
    reader.poll()
    return reader


@pytest.mark.parametrize(
    ("code", "losses", "validation", "origin"),
    [
        (PRINTS, [1.0, 1 / 2, 1 / 3], {"accuracy": 0.75}, "its output"),
        (WRITES, [1.0, 0.5], {"loss": 1.0}, "CSV: "),
    ],
)
def test_figures_come_from_files_or_else_from_the_output(
    code: str, losses: list[float], validation: dict[str, float], origin: str, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(code)
    program = started(tmp_path, "--", sys.executable, "train.py")
    output, _ = program.communicate(timeout=120)
    assert program.returncode == 0
    assert "step 1/" in output
    reader = run_of(tmp_path)
    assert reader.status() == "finished"
    assert reader.series("train/loss")[1].tolist() == losses
    assert reader.latest_metrics() == validation
    assert any(str(event.get("text")).startswith(f"figures come from {origin}") for event in reader.events())
    assert (reader.path / "engine.log").read_text() == output
    assert reader.settings()["command"] == f"{sys.executable} train.py"


@pytest.mark.parametrize(
    ("code", "exit_status", "error"),
    [
        ("raise ValueError('bad data')", 1, "exit status 1: ValueError: bad data"),
        ("import os; os.kill(os.getpid(), 11)", 139, "ended by SIGSEGV"),
    ],
)
def test_a_program_that_fails_says_why(code: str, exit_status: int, error: str, tmp_path: Path) -> None:
    program = started(tmp_path, "--name", "failing", "--", sys.executable, "-c", code)
    program.communicate(timeout=120)
    assert program.returncode == exit_status
    reader = run_of(tmp_path)
    assert (reader.status(), reader.state()["error"]) == ("failed", error)


def test_it_survives_its_terminal_and_is_paused_and_stopped_from_elsewhere(tmp_path: Path) -> None:
    code = "import time\nwhile True: time.sleep(0.1)"
    program = started(tmp_path, "--name", "long", "--", sys.executable, "-c", code)
    assert program.stderr is not None
    program.stderr.readline()
    program.send_signal(signal.SIGHUP)
    program.communicate(timeout=60)
    (summary,) = list_runs(tmp_path / "runs")
    reader = RunReader(summary.path)
    assert reader.is_alive()
    for command, status in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert send(summary.path, {"cmd": command}) == {"ok": True}  # type: ignore[typeddict-item, misc]
        for _ in range(600):
            if reader.status() == status:
                break
            time.sleep(0.1)
        assert reader.status() == status


def test_a_program_that_is_not_there_is_refused_before_a_run_is_made(tmp_path: Path) -> None:
    program = started(tmp_path, "--", "no-such-program")
    _, error = program.communicate(timeout=60)
    assert program.returncode == 2
    assert "no-such-program: no such program" in error
    assert not os.path.exists(tmp_path / "runs")
