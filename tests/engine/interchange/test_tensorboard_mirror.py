"""A run as TensorBoard sees it."""

import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from warm_python import warm_python

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import ConfigError, RunError
from torchdeck.engine.interchange import tensorboard_mirror
from torchdeck.engine.interchange.foreign_curves import read_curves
from torchdeck.engine.interchange.tensorboard_mirror import mirror, require_tensorboard, start_mirror
from torchdeck.engine.machine.installation import install_command
from torchdeck.engine.runs.writer import RunWriter

pytest.importorskip("tensorboard")


def block(step: int) -> dict[str, object]:
    common = {"kind": "train", "epoch": 1, "step": step, "t": step / 10, "seconds": 1.0, "samples": 8, "lr": 0.5}
    return {**common, "loss": [1.0, 2.0], "accuracy": [0.25, 0.75]}


def evaluated(step: int) -> dict[str, object]:
    common = {"kind": "epoch", "epoch": 1, "step": step, "t": 1.0, "seconds": 2.0, "lr": 0.5, "is_best": True}
    validation = {"loss": 1.5, "accuracy": 0.5, "macro_f1": 0.25}
    return {**common, "train": {"loss": 1.0, "accuracy": 0.5}, "validation": validation}


def test_what_tensorboard_reads_is_what_was_recorded(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, RunConfig(), {})
    run.record(block(2))
    run.record(block(4))
    run.record(evaluated(4))
    run.close("finished")
    # Mirrored a second time, the first one's files are replaced.
    for _ in range(2):
        assert mirror(run.path, tmp_path / "events", follow=True) == 10
    curves = read_curves(tmp_path / "events")
    assert [points.tolist() for points in curves["train/loss"]] == [[2.0, 4.0], [1.5, 1.5]]
    assert [points.tolist() for points in curves["validation/macro_f1"]] == [[4.0], [0.25]]
    assert set(curves) >= {"lr", "epoch", "train/accuracy", "validation/accuracy", "validation/loss"}


def test_a_live_run_is_mirrored_as_it_grows_also_when_it_was_renamed_by_a_process_that_ends_with_it(
    tmp_path: Path,
) -> None:
    run = RunWriter.create(tmp_path, RunConfig(), {})
    run.update_state(status="running")
    run.record(block(2))
    run.flush()
    process = start_mirror(run.path)
    deadline = time.monotonic() + 60

    def seen() -> list[float]:
        try:
            return read_curves(run.path / "tensorboard")["train/loss"][0].tolist()
        except RunError:
            return []

    while seen() != [2.0]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    run.path.rename(tmp_path / "renamed")
    run.follow_directory()
    run.record(block(4))
    run.close("finished")
    assert run.path == tmp_path / "renamed"
    assert process.wait(60) == 0
    assert seen() == [2.0, 4.0]


def test_without_tensorboard_it_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard_mirror, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=re.escape(install_command(extra="tensorboard"))):
        require_tensorboard()


def test_the_command_writes_tables_and_event_files(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path / "runs", RunConfig(name="digits"), {})
    run.record(block(2))
    run.record(evaluated(2))
    run.close("finished")

    def torchdeck(*arguments: str) -> str:
        command = [
            *warm_python(),
            "-m",
            "torchdeck",
            "metrics",
            "digits",
            "--runs",
            str(tmp_path / "runs"),
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert torchdeck().splitlines()[0] == (
        "step,train/loss,train/accuracy,lr,validation/loss,validation/accuracy,validation/macro_f1"
    )
    torchdeck("--epochs", "--out", str(tmp_path / "epochs.csv"))
    assert (tmp_path / "epochs.csv").read_text().startswith("epoch,step,seconds,lr,train/loss")
    assert "7 scalars" in torchdeck("--tensorboard", str(tmp_path / "events"))


def test_a_run_that_is_resumed_before_its_mirror_saw_the_end_has_one_event_file(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, RunConfig(), {})
    run.update_state(status="running")
    run.record(block(2))
    run.flush()
    mirrors = [threading.Thread(target=mirror, args=(run.path, tmp_path / "events"), kwargs={"follow": True})]
    mirrors[0].start()
    deadline = time.monotonic() + 60
    while not list((tmp_path / "events").glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    mirrors.append(threading.Thread(target=mirror, args=(run.path, tmp_path / "events"), kwargs={"follow": True}))
    mirrors[1].start()
    time.sleep(0.5)
    run.record(block(4))
    run.close("finished")
    for thread in mirrors:
        thread.join(60)
    assert len(list((tmp_path / "events").glob("*"))) == 1
    assert read_curves(tmp_path / "events")["train/loss"][0].tolist() == [2.0, 4.0]
