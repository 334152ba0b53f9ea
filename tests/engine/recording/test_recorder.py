"""A recorded run is a run: everything that reads runs reads it, whatever happens to the loop and its disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchdeck
from torchdeck.engine.errors import CheckpointError, ConfigError, RecordedRunError, RunError
from torchdeck.engine.runs.browsing.loss_line import loss_line
from torchdeck.engine.runs.browsing.removal import delete_checkpoint, delete_run
from torchdeck.engine.runs.browsing.renaming import rename_run
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.control import send
from torchdeck.engine.runs.on_disk.directory import list_runs, load_run_config
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.pins import pin


@pytest.fixture(autouse=True)
def no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def read(path: Path | None) -> RunReader:
    assert path is not None
    reader = RunReader(path)
    reader.poll()
    return reader


def program(code: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TORCHDECK_RUNS": str(tmp_path / "runs"), **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)


def test_two_lines_make_a_run_that_is_read_as_any_run(tmp_path: Path) -> None:
    with torchdeck.record("mine", config={"lr": 0.1, "model": {"name": "unet"}}, runs=tmp_path, epochs=2) as run:
        for epoch in (1, 2):
            for _ in range(10):
                run.log(loss=1 / epoch, lr=0.1)
            run.log(epoch=epoch, val_loss=0.5 / epoch, val_accuracy=0.5 * epoch)
    reader = read(run.path)
    assert reader.status() == "finished"
    assert reader.series("train/loss")[0].tolist() == list(range(1, 21))
    assert reader.latest_metrics() == {"loss": 0.25, "accuracy": 1.0}
    assert reader.best() == {"metric": "accuracy", "value": 1.0, "epoch": 2, "step": 20}
    assert (reader.progress().epoch, reader.progress().epochs, reader.progress().lr) == (2, 2, 0.1)
    assert [record["train"]["loss"] for record in reader.epoch_records()] == [1.0, 0.5]
    (summary,) = list_runs(tmp_path)
    assert (summary.source, summary.epoch, summary.step, summary.best) == ("recorded", 2, 20, reader.best())
    assert RunCatalog(tmp_path).settings(summary) == {"name": "mine", "lr": 0.1, "model.name": "unet"}
    assert loss_line(summary.path)[0] == 1.0


def test_a_figure_may_be_a_tensor_or_an_array_of_one_number(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    run = torchdeck.record("tensors", runs=tmp_path)
    total = torch.zeros(())
    moved = np.zeros(())
    for _ in range(3):
        total += 1
        moved += 2
        run.log(loss=total, accuracy=moved, many=torch.ones(2), text="a", step=torch.tensor(int(total)))
    run.finish()
    reader = read(run.path)
    assert reader.series("train/loss")[1].tolist() == [1, 2, 3]
    assert reader.series("train/accuracy")[1].tolist() == [2, 4, 6]
    said = [event["text"] for event in reader.events() if event["kind"] == "not_logged"]
    assert said == ["many: a tensor of shape [2] is not one number", "text: 'a' is text"]


def test_nothing_that_is_logged_raises(tmp_path: Path) -> None:
    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("no")

        def __float__(self) -> float:
            raise KeyError("no")

    run = torchdeck.record("hostile", runs=tmp_path)
    run.log(loss=Hostile())
    run.log(5)  # type: ignore[arg-type]
    run.log(step="x", loss=1)
    run.log({1: 2, "deep": {"a": {"b": {"c": {"d": {"e": {}}}}}}})
    run.checkpoint(5)  # type: ignore[arg-type]
    run.checkpoint("\0")
    run.log(loss=1)
    run.finish()
    assert read(run.path).series("train/loss")[1].tolist() == [1.0]
    assert sum(event["kind"] == "not_logged" for event in read(run.path).events()) >= 4


@dataclass
class _Settings:
    lr: float = 0.1
    path: Path = Path("/data")


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (None, {}),
        ({"lr": 0.1, "none": None, "many": (1, 2)}, {"lr": 0.1, "many": "1, 2"}),
        (Namespace(lr=0.1, layers=[1, None]), {"lr": 0.1, "layers": "1, none"}),
        (_Settings(), {"lr": 0.1, "path": "/data"}),
        ({"big": 2**70, "nan": float("nan"), "odd": object}, {"big": str(2**70), "nan": "nan", "odd": str(object)}),
        ({"wandb_api_key": "x", "a": {"password": "y"}}, {"wandb_api_key": "[redacted]", "a.password": "[redacted]"}),
        ("just text", {"config": "just text"}),
        ({"a.b": 1, 'quo"te': "line\nend\x1b"}, {"a.b": 1, 'quo"te': "line\nend\x1b"}),
    ],
)
def test_a_config_of_any_kind_is_recorded_as_far_as_it_has_a_form(
    config: object, settings: dict[str, Any], tmp_path: Path
) -> None:
    torchdeck.record("config", config=config, runs=tmp_path).finish()
    (run,) = RunCatalog(tmp_path).look()
    assert RunCatalog(tmp_path).settings(run) == {"name": "config", **settings}


def test_a_config_that_is_too_large_is_left_out_and_said(tmp_path: Path) -> None:
    config = {f"key{number}": "x" * 1900 for number in range(600)}
    run = torchdeck.record("large", config=config, runs=tmp_path)
    run.finish()
    assert any("larger than 1 MB" in str(event.get("text")) for event in read(run.path).events())


def test_a_recorded_run_is_not_resumed_but_renamed_and_deleted(tmp_path: Path) -> None:
    run = torchdeck.record("first", config={"lr": 0.5}, runs=tmp_path)
    run.finish()
    assert run.path is not None
    with pytest.raises(RecordedRunError, match="trained by another program"):
        load_run_config(run.path)
    renamed = rename_run(run.path, "second")
    (summary,) = RunCatalog(tmp_path).look()
    assert RunCatalog(tmp_path).settings(summary) == {"name": "second", "lr": 0.5}
    delete_run(renamed)
    assert not renamed.exists()


def test_a_name_that_no_directory_can_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name"):
        torchdeck.record("a/b", runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_checkpoints_of_the_loop_are_listed_where_they_lie_and_stay_its_own(tmp_path: Path) -> None:
    run = torchdeck.record("saving", runs=tmp_path / "runs")
    for epoch in (1, 2, 3):
        file = tmp_path / f"epoch{epoch}.pt"
        file.write_bytes(bytes(100 * epoch))
        run.log(epoch=epoch, loss=1, val_accuracy={1: 0.5, 2: 0.9, 3: 0.8}[epoch])
        run.checkpoint(file)
    run.checkpoint(tmp_path / "other.pt", {"val_acc": 0.1}, step=7, epoch=9)
    run.finish()
    (tmp_path / "epoch1.pt").unlink()
    assert run.path is not None
    listed = read(run.path).checkpoints()
    assert [(Path(each.file).name, each.step, each.epoch, each.bytes) for each in listed] == [
        ("epoch3.pt", 3, 3, 300),
        ("epoch2.pt", 2, 2, 200),
    ]
    assert [each.metrics for each in listed] == [{"accuracy": 0.8}, {"accuracy": 0.9}]
    assert [(each.is_best, each.is_last) for each in listed] == [(False, True), (True, False)]
    with pytest.raises(RunError, match="saved by another program"):
        delete_checkpoint(run.path, listed[0].file)
    with pytest.raises(CheckpointError, match="saved by another program"):
        pin(run.path / "checkpoints", listed[0].file)
    assert (tmp_path / "epoch3.pt").exists()


def test_commands_reach_a_loop_that_asks_for_them(tmp_path: Path) -> None:
    run = torchdeck.record("asked", runs=tmp_path)
    assert run.path is not None
    run.flush()
    with pytest.raises(RunError, match="reads no commands"):
        send(run.path, {"cmd": "save"})
    assert run.commands() == []
    run.flush()
    assert send(run.path, {"cmd": "set", "key": "optimizer.lr", "value": 0.01}) == {"ok": True}
    assert run.commands() == [{"cmd": "set", "key": "optimizer.lr", "value": 0.01}]
    send(run.path, {"cmd": "save"})
    send(run.path, {"cmd": "resume"})
    assert [command["cmd"] for command in run.wait()] == ["save", "resume"]
    run.finish()


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"LOCAL_RANK": "3"}])
def test_another_rank_than_0_records_nothing(variables: dict[str, str], tmp_path: Path) -> None:
    code = "import torchdeck; r = torchdeck.record('x'); r.log(loss=1); r.checkpoint('x'); print(r.commands(), r.path)"
    done = program(code, tmp_path, **variables)
    assert done.stdout.split() == ["[]", "None"], done.stderr
    assert not (tmp_path / "runs").exists()


def test_recording_imports_no_torch(tmp_path: Path) -> None:
    loop = "r.log(loss=1); r.commands(); r.finish()"
    code = f"import sys, torchdeck; r = torchdeck.record('x'); {loop}; print(*sys.modules)"
    done = program(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "torch" not in done.stdout.split()


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        ("", "finished", None),
        ("raise ValueError('bad')", "failed", "ValueError: bad"),
        ("raise KeyboardInterrupt", "stopped", None),
        ("run.finish('stopped')", "stopped", None),
        ("os.kill(os.getpid(), 9)", "died", None),
    ],
)
def test_the_end_of_the_program_is_the_end_of_the_run(
    end: str, status: str, error: str | None, tmp_path: Path
) -> None:
    code = f"import os, torchdeck\nrun = torchdeck.record('x')\nrun.log(loss=1)\nrun.flush()\n{end}\n"
    program(code, tmp_path)
    (summary,) = list_runs(tmp_path / "runs")
    assert (summary.status, summary.error) == (status, error or "")
    assert read(summary.path).series("train/loss")[1].tolist() == [1.0]


def test_a_forked_child_writes_nothing(tmp_path: Path) -> None:
    code = """
import os, torchdeck
run = torchdeck.record('x')
run.log(loss=1)
if os.fork() == 0:
    run.log(loss=2)
    run.finish('failed')
    raise SystemExit
os.wait()
run.log(loss=3)
"""
    done = program(code, tmp_path)
    assert done.returncode == 0, done.stderr
    (summary,) = list_runs(tmp_path / "runs")
    assert summary.status == "finished"
    assert read(summary.path).series("train/loss")[1].tolist() == [1.0, 3.0]


def test_what_was_on_disk_survives_kill_9_up_to_the_last_whole_line(tmp_path: Path) -> None:
    loop = "while True:\n    run.log(loss=1.0)\n    time.sleep(0)"
    code = f"import time, torchdeck\nrun = torchdeck.record('x')\nprint(run.path, flush=True)\n{loop}"
    environment = {**os.environ, "TORCHDECK_RUNS": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    try:
        for _ in range(200):
            if len(read(path).series("train/loss")[0]):
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reader = read(path)
    steps = reader.series("train/loss")[0]
    assert len(steps)
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert (reader.status(), reader.skipped_lines) == ("died", 0)


def test_a_recorded_run_whose_folder_is_removed_is_recorded_beside_it(tmp_path: Path) -> None:
    run = torchdeck.record("moved", runs=tmp_path)
    deleted = run.path
    assert deleted is not None
    run.log(loss=1)
    run.flush()
    shutil.rmtree(deleted)
    run.log(loss=2)
    # As its watch does every two seconds.
    assert run._owner is not None
    run._owner.follow_directory()
    run.finish()
    assert run.path is not None and run.path != deleted
    assert read(run.path).series("train/loss")[1].tolist() == [1.0, 2.0]
    assert json.loads((run.path / "run.json").read_text())["source"] == "recorded"
