"""Resuming a run: its directory is rewound to the checkpoint, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from failing_operations import KILLED, FailingOperations
from forked import status_of_fork
from run_cases import epoch_record, new_run, save, train_record

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import dump_config, load_config
from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.rewind import take_back
from torchdeck.engine.runs.saving.checkpoint import list_checkpoints, load_checkpoint
from torchdeck.engine.runs.writer import RunWriter


def ended_run(root: Path) -> Path:
    """30 steps in blocks of 10, an epoch every 10 and a checkpoint with it; the second is the best."""
    run = new_run(root, keep_last=9)
    for epoch, accuracy in ((1, 0.5), (2, 0.75), (3, 0.625)):
        step = epoch * 10
        run.record(train_record(step, 10, epoch=epoch))
        run.record(epoch_record(epoch, step, accuracy, is_best=epoch < 3))
        save(run, step, epoch=epoch, metrics={"accuracy": accuracy}, is_best=epoch < 3)
    run.close("stopped")
    return run.path


def config_of(run: Path) -> RunConfig:
    return load_config(str(run / "run.toml"))


def steps_in(run: Path, name: str = "metrics.jsonl") -> list[int]:
    return [record["step"] for record in map(json.loads, (run / name).read_text().splitlines())]


def test_what_came_after_the_checkpoint_is_put_aside_whole(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    before = {name: (path / name).read_bytes() for name in ("metrics.jsonl", "events.jsonl")}
    RunWriter.reopen(path, config_of(path), at_step=20).close("stopped")
    assert steps_in(path) == [10, 10, 20, 20]
    for name, content in before.items():
        assert (path / name.replace(".", ".1.")).read_bytes() == content
    assert [checkpoint.step for checkpoint in list_checkpoints(path)] == [20, 10]
    aside = path / "checkpoints" / "before-resume.1"
    assert load_checkpoint(aside / "step-000000030.pt")["position"]["step"] == 30
    checkpoint = list_checkpoints(path)[0]
    assert (checkpoint.is_last, checkpoint.is_best) == (True, True)


def test_going_on_at_the_end_changes_nothing(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    before = (path / "metrics.jsonl").read_bytes()
    RunWriter.reopen(path, config_of(path), at_step=30).close("stopped")
    assert (path / "metrics.jsonl").read_bytes() == before
    assert not list(path.glob("*.1.*"))
    assert not list((path / "checkpoints").glob("before-resume*"))


def test_the_best_goes_back_with_the_run(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    run = RunWriter.reopen(path, config_of(path), at_step=10)
    reader = RunReader(path)
    reader.poll()
    assert reader.state()["best"] == {"metric": "accuracy", "value": 0.5, "epoch": 1, "step": 10}
    assert reader.state()["metrics"]["accuracy"] == 0.5
    assert reader.best() == reader.state()["best"]
    assert os.path.samefile(path / "checkpoints" / "best.pt", path / "checkpoints" / "step-000000010.pt")
    save(run, 15)
    assert [checkpoint.is_best for checkpoint in reader.checkpoints()] == [False, True]
    run.close("stopped")


def test_a_second_resume_puts_aside_under_a_new_number(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    for number, at_step in ((1, 20), (2, 10)):
        RunWriter.reopen(path, config_of(path), at_step=at_step).close("stopped")
        assert (path / f"metrics.{number}.jsonl").exists()
        assert (path / "checkpoints" / f"before-resume.{number}").is_dir()
    assert steps_in(path) == [10, 10]


def test_a_block_that_reaches_over_the_checkpoint_is_cut(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.record(train_record(10, 10, lr=[0.1] * 5 + [0.2] * 5))
    run.close("stopped")
    RunWriter.reopen(run.path, config_of(run.path), at_step=4).close("stopped")
    (record,) = (json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines())
    assert (record["step"], record["loss"], record["lr"]) == (4, [1.0, 2.0, 3.0, 4.0], [0.1] * 4)
    assert (record["samples"], record["seconds"]) == (256, pytest.approx(0.04))
    reader = RunReader(run.path)
    reader.poll()
    assert reader.series("train/loss")[0].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_half_a_last_line_is_cut_off_and_the_next_record_is_whole(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    for name in ("metrics.jsonl", "events.jsonl"):
        with (path / name).open("ab") as file:
            file.write(b'{"kind": "train", "ste')
    run = RunWriter.reopen(path, config_of(path), at_step=30)
    run.record(train_record(40, 10))
    run.event("note", text="x")
    run.close("stopped")
    reader = RunReader(path)
    reader.poll()
    assert reader.skipped_lines == 0
    assert len(reader.series("train/loss")[0]) == 40


def test_lines_that_can_not_be_understood_stay(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(b"garbage\n")
    RunWriter.reopen(path, config_of(path), at_step=20).close("stopped")
    assert (path / "metrics.jsonl").read_bytes().endswith(b"garbage\n")


def test_another_config_keeps_the_old_one_beside_it(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    old = (path / "run.toml").read_text()
    config = config_of(path).model_copy(update={"seed": 99})
    RunWriter.reopen(path, config, at_step=30).close("stopped")
    assert config_of(path).seed == 99
    assert (path / "run.1.toml").read_text() == old
    RunWriter.reopen(path, config, at_step=30).close("stopped")
    assert not (path / "run.2.toml").exists()


def test_a_run_that_somebody_trains_can_not_be_gone_on_with(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    script = """
import sys, time
from pathlib import Path
from torchdeck.engine.runs.on_disk.lock import acquire
acquire(Path(sys.argv[1]))
print("owned", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    before = sorted(file.name for file in path.rglob("*"))
    with pytest.raises(RunError, match=f"process {process.pid}"):
        RunWriter.reopen(path, config_of(path), at_step=10)
    assert sorted(file.name for file in path.rglob("*")) == before
    process.kill()
    process.wait()
    process.stdout.close()
    RunWriter.reopen(path, config_of(path), at_step=10).close("stopped")


def test_a_reopened_run_says_at_once_that_it_is_being_prepared(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    started = RunReader(path).state()["started"]
    run = RunWriter.reopen(path, config_of(path), at_step=20)
    reader = RunReader(path)
    assert reader.status() == "preparing"
    assert (reader.state()["step"], reader.state()["started"]) == (20, started)
    run.close("stopped")


def test_a_reopen_that_fails_gives_the_run_up(tmp_path: Path) -> None:
    path = ended_run(tmp_path)
    (path / "metrics.jsonl").unlink()
    (path / "metrics.jsonl").mkdir()
    with pytest.raises(RunError, match="not a regular file"):
        RunWriter.reopen(path, config_of(path), at_step=20)
    assert RunReader(path).owner_pid() is None
    with pytest.raises(RunError, match="not the directory of a run"):
        RunWriter.reopen(tmp_path, RunConfig(), at_step=1)


def contents(run: Path) -> dict[str, Any]:
    return {
        "steps": steps_in(run),
        "checkpoints": [(c.file, c.step, c.is_last, c.is_best) for c in list_checkpoints(run)],
        "seed": config_of(run).seed,
        "events": steps_of_saves(run),
    }


def steps_of_saves(run: Path) -> list[int]:
    lines = (run / "events.jsonl").read_text().splitlines()
    return [event["step"] for event in map(json.loads, lines) if event["kind"] == "saved"]


def test_killed_at_every_operation_of_taking_back_it_can_be_done_again(tmp_path: Path) -> None:
    for at in range(1, 100):
        path = ended_run(tmp_path / str(at))
        toml = dump_config(config_of(path).model_copy(update={"seed": 5}))
        status = status_of_fork(partial(take_back, path, 10, toml, FailingOperations(at, None)))
        assert status in (0, KILLED)
        take_back(path, 10, toml)
        assert contents(path) == {
            "steps": [10, 10],
            "checkpoints": [("step-000000010.pt", 10, True, True)],
            "seed": 5,
            "events": [10],
        }
        assert steps_in(path, "metrics.1.jsonl") == [10, 10, 20, 20, 30, 30]
        kept = sorted(file.name for file in path.rglob("before-resume.*/step-*.pt"))
        assert kept == ["step-000000020.pt", "step-000000030.pt"]
        if status != KILLED:
            break
    assert at > 10
