"""The directory of a live run is renamed or deleted: the run follows it, or saves elsewhere and ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from torchdeck.engine.runs.reader import RunReader

ROOT = Path(__file__).parents[3]


@pytest.fixture
def process(tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torchdeck", "train", "digits", "--runs", str(tmp_path / "runs")]
    return subprocess.Popen(
        [*command, "--set", "training.epochs=100000", "--set", "model.name=mlp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def said(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"never said {words}: {process.communicate()[1]}")


def test_a_renamed_directory_is_followed_by_everything(process: subprocess.Popen[str]) -> None:
    run = Path(said(process, "run ").split(" ", 1)[1].strip())
    said(process, "epoch ")
    new = run.with_name("renamed")
    run.rename(new)
    assert str(new) in said(process, "was renamed to")
    reader = RunReader(new)
    assert reader.owner_pid() == process.pid
    assert not run.exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    reader.poll()
    assert reader.status() == "stopped"
    assert reader.checkpoints()[0].step == reader.progress().step > 0
    assert not run.exists()


def test_a_deleted_directory_ends_the_run_with_everything_saved_beside_it(process: subprocess.Popen[str]) -> None:
    run = Path(said(process, "run ").split(" ", 1)[1].strip())
    said(process, "epoch ")
    shutil.rmtree(run, ignore_errors=True)
    said(process, "was deleted while the run trains")
    _, errors = process.communicate(timeout=60)
    rescued = run.with_name(f"{run.name}-rescued")
    assert process.returncode == 1
    assert f"torchdeck resume {rescued}" in errors
    reader = RunReader(rescued)
    reader.poll()
    assert reader.status() == "failed" and "was deleted" in str(reader.state()["error"])
    assert reader.checkpoints()[0].step == reader.progress().step > 0
    assert reader.epoch_records()[0]["epoch"] == 1
