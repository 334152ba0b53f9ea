"""The directory of a live run is renamed or deleted: the run follows it, or saves elsewhere and ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from torchdeck.engine.config import RunConfig
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter

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


def test_a_reader_follows_a_directory_that_was_renamed_and_keeps_what_it_read(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, RunConfig(name="first"), {})
    record_steps(run, 1)
    reader = RunReader(run.path)
    reader.poll()
    new = run.path.with_name("renamed")
    run.path.rename(new)
    record_steps(run, 2)
    run.follow_directory()
    run.close("finished")
    reader.poll()
    assert reader.path == new
    assert list(reader.series("train/loss")[0]) == [1.0, 2.0]
    assert reader.status() == "finished"
    assert reader.log_path.parent == new
    assert "directory_moved" in [event["kind"] for event in reader.events()]


def test_a_reader_takes_no_other_run_for_the_one_that_was_deleted(tmp_path: Path) -> None:
    first, other = (RunWriter.create(tmp_path, RunConfig(name=name), {}) for name in ("first", "other"))
    first.close("finished")
    other.close("finished")
    reader = RunReader(first.path)
    shutil.rmtree(first.path)
    reader.poll()
    assert reader.path == first.path


def record_steps(run: RunWriter, step: int) -> None:
    run.record(
        {
            "kind": "train",
            "epoch": 1,
            "step": step,
            "t": float(step),
            "seconds": 0.1,
            "samples": 8,
            "loss": [1.0],
            "accuracy": [0.5],
            "lr": 0.1,
        }
    )
    run.flush()
