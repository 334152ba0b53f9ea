"""A resume that changes how many steps an epoch has: the schedule stands where as many epochs of the run stand."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.launching.launch import launch, launch_resumed
from torchdeck.engine.runs.reader import RunReader

TOML = """
name = "steps"
[data]
validation = 0.5
[model]
name = "mlp"
hidden = [8]
[loader]
batch_size = 128
[optimizer]
name = "SGD"
lr = 0.1
momentum = 0.9
[training]
epochs = 10
device = "cpu"
num_threads = 1
[checkpoint]
every_epochs = 1
keep_last = 20
"""
SAMPLES = 898


def reader_of(path: Path) -> RunReader:
    reader = RunReader(path)
    reader.poll()
    return reader


def stopped_halfway(root: Path, *overrides: str) -> tuple[Path, int]:
    """A run that was stopped at the end of one of its first epochs, and how many epochs it did."""
    run = launch(parse_config(TOML, "case", overrides), root)
    path = run.wait_for_directory(120)
    assert path is not None, run.error
    end = time.monotonic() + 120
    while reader_of(path).progress().epoch < 3:
        assert time.monotonic() < end and run.is_alive, run.error
        time.sleep(0.01)
    run.stop(after="epoch")
    run.join(120)
    assert run.status == "stopped", run.error
    epochs = len(reader_of(path).epoch_records())
    assert 3 <= epochs < 10
    return path, epochs


@pytest.mark.parametrize(
    ("change", "steps"),
    [("loader.batch_size=32", 29), ("training.accumulate=4", 2), ("loader.drop_last=true", 7)],
)
@pytest.mark.parametrize("schedule", ["OneCycleLR", "CosineAnnealingLR"])
def test_the_rate_is_that_of_as_many_epochs_and_reaches_its_end(
    tmp_path: Path, schedule: str, change: str, steps: int
) -> None:
    path, epochs = stopped_halfway(tmp_path / "a", f"schedule.name={schedule}")
    before = reader_of(path).progress().step
    run = launch_resumed(path, overrides=[change])
    run.join(120)
    assert run.status == "finished", run.error
    reader = reader_of(path)
    _, resumed_rates = reader.series("lr")
    fresh = launch(parse_config(TOML, "case", [f"schedule.name={schedule}", change]), tmp_path / "b")
    fresh.join(120)
    assert fresh.path is not None and fresh.status == "finished", fresh.error
    _, fresh_rates = reader_of(fresh.path).series("lr")
    assert len(fresh_rates) == 10 * steps
    assert resumed_rates[before:].tolist() == pytest.approx(fresh_rates[epochs * steps :].tolist())
    progress = reader.progress()
    assert progress.step == progress.total_steps == before + (10 - epochs) * steps


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    path, _ = stopped_halfway(tmp_path, "schedule.name=OneCycleLR")
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    refused = launch_resumed(path, overrides=["schedule.total_steps=12", "training.epochs=30"])
    refused.join(120)
    assert refused.status == "failed"
    assert "are over before" in str(refused.error)
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == before
    run = launch_resumed(path)
    run.join(120)
    assert run.status == "finished", run.error
