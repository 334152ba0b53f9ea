"""The directory of a live run is renamed or deleted: the run follows it, or saves elsewhere and ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from run_cases import new_run, save
from warm_python import warm_python

from torchdeck.engine.config import NotifyConfig, RunConfig
from torchdeck.engine.launching import run_watcher
from torchdeck.engine.runs.control import Control, ControlServer
from torchdeck.engine.runs.on_disk.log_bound import bound_log
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.engine.training.profiling import StepProfile

ROOT = Path(__file__).parents[3]


@pytest.fixture
def process(tmp_path: Path) -> subprocess.Popen[str]:
    command = [*warm_python(), "-m", "torchdeck", "train", "digits", "--runs", str(tmp_path / "runs")]
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
    new, owner = run.with_name("renamed"), RunReader(run).owner_pid()
    run.rename(new)
    assert str(new) in said(process, "was renamed to")
    reader = RunReader(new)
    assert reader.owner_pid() == owner
    assert not run.exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=300)
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
    _, errors = process.communicate(timeout=300)
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
    assert "directory_moved" in [event["kind"] for event in reader.events()]


def test_a_reader_takes_no_other_run_for_the_one_that_was_deleted(tmp_path: Path) -> None:
    first, other = (RunWriter.create(tmp_path, RunConfig(name=name), {}) for name in ("first", "other"))
    first.close("finished")
    other.close("finished")
    reader = RunReader(first.path)
    shutil.rmtree(first.path)
    reader.poll()
    assert reader.path == first.path


def test_nothing_of_a_live_run_is_written_to_what_is_put_in_place_of_its_directory(tmp_path: Path) -> None:
    """Everything that the run writes between the swap and its next look for its directory."""
    victim = new_run(tmp_path, "victim")
    save(victim, 99)
    victim.close("finished")
    (victim.path / "engine.log").write_text("the victim's")
    os.unlink(victim.path / "run.lock")
    before = contents(victim.path)
    run = new_run(tmp_path, "live")
    server = ControlServer(run.path, run.held, Control())
    server.start()
    real = run.path.with_name("real")
    run.path.rename(real)
    run.path.symlink_to(victim.path)

    run.update_state(status="running", step=2)
    run.write_evaluation({"step": 2, "metrics": {}})
    run.replace_config(RunConfig(name="live", seed=7))
    run.keep_ownership()
    record_steps(run, 1)
    with patched_look(run):
        save(run, 5, is_best=True)
    run.flush()
    run.go_back(RunConfig(name="live"), at_step=1, at_epoch=0, evaluated_step=1)
    run.close("stopped")
    server.stop()

    assert contents(victim.path) == before
    reader = RunReader(real)
    reader.poll()
    assert (reader.status(), reader.config().name) == ("stopped", "live")
    names = {path.name for path in real.iterdir()}
    assert {"state.json", "evaluation.2.json", "run.1.toml", "run.2.toml", "run.lock"} <= names
    assert (real / "checkpoints" / "before-resume.2" / "step-000000005.pt").is_file()


def test_a_watcher_and_a_profile_write_nothing_to_what_is_put_in_place_of_a_runs_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, run = new_run(tmp_path, "victim"), new_run(tmp_path, "live")
    victim.close("finished")
    (victim.path / "engine.log").write_bytes(b"x" * 100)
    before = contents(victim.path)
    run.path.rename(run.path.with_name("real"))
    run.path.symlink_to(victim.path)
    profile = StepProfile(run.held, 1, torch.device("cpu"))
    profile.write(1)
    monkeypatch.setattr(run_watcher, "bound_log", lambda log: bound_log(log, max_bytes=10))
    monkeypatch.setattr(run_watcher, "_LOOK_MILLISECONDS", 50)
    monkeypatch.setattr(run_watcher.os, "dup2", lambda *_: None)
    run.update_state(status="running", pid=(ended := subprocess.Popen(["sleep", "0.3"])).pid)
    run.flush()
    run_watcher.watch(run.path, run.held, os.pidfd_open(ended.pid), ended.pid, NotifyConfig(on=[]).model_dump_json())
    run.close("stopped")
    ended.wait()
    assert contents(victim.path) == before
    real = run.path.with_name("real")
    assert len(list((real / "profiles").iterdir())) == 2
    assert '"kind":"died"' in (real / "events.jsonl").read_text()


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder in a folder, and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@contextlib.contextmanager
def patched_look(run: RunWriter) -> Iterator[None]:
    """A run that doesn't look for its directory before a save, as if the swap came just after the look."""
    run.follow_directory = lambda: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del run.follow_directory


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
