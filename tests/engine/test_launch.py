import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from warm_python import warm_python

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.data.loading.bad_files import open_usable
from torchdeck.engine.errors import CheckpointError, ConfigError, DataError, RunError, TorchdeckError
from torchdeck.engine.launching.failure_words import describe_failure
from torchdeck.engine.launching.launch import LaunchedRun, launch, launch_resumed
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.disk_room import DiskRoom
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.engine.training.trainer import Trainer

WAIT_SECONDS = 120.0
TOML = """
name = "launched"
[data]
validation = 0.5
[loader]
batch_size = 256
[model]
hidden = [8]
[training]
epochs = 2
device = "cpu"
num_threads = 1
"""


def config(*overrides: str) -> RunConfig:
    return parse_config(TOML, "launched", overrides)


def ended(run: LaunchedRun) -> LaunchedRun:
    run.join(WAIT_SECONDS)
    assert not run.is_alive
    return run


@pytest.fixture(autouse=True)
def _every_save_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves that come while one is written are otherwise reduced to the newest."""
    save = RunWriter.save_checkpoint

    def save_and_wait(run: RunWriter, state: dict[str, Any], **fields: Any) -> None:
        save(run, state, **fields)
        run.flush()

    monkeypatch.setattr(RunWriter, "save_checkpoint", save_and_wait)


def finished_run(root: Path, *overrides: str) -> Path:
    run = ended(launch(config(*overrides), root, argv=["torchdeck", "train", "mine"]))
    assert run.status == "finished", run.error
    assert run.path is not None
    return run.path


def reader_of(path: Path | None) -> RunReader:
    assert path is not None
    reader = RunReader(path)
    reader.poll()
    return reader


def test_a_run_ends_finished_in_a_directory_that_says_how_it_began(tmp_path: Path) -> None:
    made: list[Path] = []
    run = ended(launch(config(), tmp_path / "runs", argv=["torchdeck", "train", "mine"], on_directory=made.append))
    assert (run.status, run.error) == ("finished", None)
    assert made == [run.path]
    info = reader_of(run.path).info()
    assert info["argv"] == ["torchdeck", "train", "mine"]
    assert info["samples"]["train"] + info["samples"]["validation"] == 1797
    assert info["parameters"] == info["trainable"] == 64 * 8 + 8 + 8 * 10 + 10
    assert info["input_shape"] == [1, 8, 8]
    assert info["environment"]["precision"] == "fp32"


def test_the_engines_thread_keeps_the_process_alive_until_the_run_is_saved(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from torchdeck.engine.config.file import parse_config\n"
        "import time; from torchdeck.engine.launching.launch import launch\n"
        f"run = launch(parse_config(sys.argv[1], 'x'), Path({str(tmp_path)!r}))\n"
        "while run.status == 'preparing': time.sleep(0.01)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, TOML], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.iterdir()
    assert reader_of(path).status() == "finished"
    assert (path / "checkpoints" / "last.pt").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.dataset=digts", "did you mean 'digits'"),
        ("model.name=resnet19", "did you mean 'resnet18'"),
        ("optimizer.name=SDG", "did you mean 'SGD'"),
        ("schedule.name=CosineAnealingLR", "did you mean 'CosineAnnealingLR'"),
        ("data.validation=test", "digits has no test split"),
        ("training.precision=tf32", "no TF32"),
        ("model.freeze=['*']", "nothing is left to train"),
        ("loader={batch_size=5000,drop_last=true}", "leaves no batch"),
    ],
)
def test_what_can_not_be_trained_is_refused_before_a_directory_is_made(
    override: str, message: str, tmp_path: Path
) -> None:
    run = ended(launch(config(override), tmp_path / "runs"))
    assert run.status == "failed"
    assert isinstance(run.error, TorchdeckError)
    assert message in str(run.error)
    assert run.wait_for_directory(0) is None
    assert not (tmp_path / "runs").exists()


def test_a_freeze_rule_that_matches_nothing_is_noted_in_the_run(tmp_path: Path) -> None:
    reader = reader_of(finished_run(tmp_path, "model.freeze=['clasifier', '1']"))
    notes = [event["text"] for event in reader.events() if event["kind"] == "note"]
    assert any('"clasifier" matches no parameter' in note for note in notes)


def test_an_augmentation_that_takes_the_slow_tier_is_noted_in_the_run(tmp_path: Path) -> None:
    path = finished_run(tmp_path, 'data.train_transforms=[{name="JPEG",quality=[50,90]}]', "training.epochs=1")
    notes = [event["text"] for event in reader_of(path).events() if event["kind"] == "note"]
    assert any("JPEG has no batched form" in note for note in notes)


def test_an_exception_in_the_engine_fails_the_run_with_its_place_and_a_traceback_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(trainer: Trainer) -> None:
        raise ZeroDivisionError("of its own")

    monkeypatch.setattr(Trainer, "_train_epoch", fail)
    run = ended(launch(config(), tmp_path))
    assert run.status == "failed"
    state = reader_of(run.path).state()
    assert state["status"] == "failed"
    assert state["error"].startswith("ZeroDivisionError: of its own (")
    assert f"{Path(__file__).name}, line " in state["error"]
    assert "Traceback" in capfd.readouterr().err


def test_the_directory_of_a_run_that_failed_is_free_and_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[None] = []
    train_epoch = Trainer._train_epoch

    def fail_in_second(trainer: Trainer) -> None:
        epochs.append(None)
        if len(epochs) == 2:
            raise OSError("the network share is gone")
        train_epoch(trainer)

    monkeypatch.setattr(Trainer, "_train_epoch", fail_in_second)
    run = ended(launch(config(), tmp_path))
    assert run.status == "failed"
    assert run.path is not None
    resumed = ended(launch_resumed(run.path))
    assert resumed.status == "finished"
    assert reader_of(run.path).state()["error"] is None


class HeldPreparation:
    """Holds a run while it opens its data, until it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived = threading.Event()
        self.go_on = threading.Event()

        def held(*arguments: Any, **options: Any) -> Any:
            self.arrived.set()
            assert self.go_on.wait(WAIT_SECONDS)
            return open_usable(*arguments, **options)

        monkeypatch.setattr("torchdeck.engine.build.open_usable", held)


def test_a_stop_while_preparing_ends_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preparation = HeldPreparation(monkeypatch)
    run = launch(config(), tmp_path / "runs")
    assert preparation.arrived.wait(WAIT_SECONDS)
    run.stop()
    preparation.go_on.set()
    ended(run)
    assert (run.status, run.path, run.error) == ("stopped", None, None)
    assert not (tmp_path / "runs").exists()


def test_a_stop_once_the_directory_exists_closes_it_as_stopped(tmp_path: Path) -> None:
    runs: list[LaunchedRun] = []
    launched = threading.Event()

    def stop(path: Path) -> None:
        assert launched.wait(WAIT_SECONDS)
        runs[0].stop()

    runs.append(launch(config(), tmp_path, on_directory=stop))
    launched.set()
    run = ended(runs[0])
    assert run.status == "stopped"
    assert reader_of(run.path).status() == "stopped"
    assert reader_of(run.path).series("train/loss")[0].size <= 1


def test_other_commands_while_preparing_are_obeyed_once_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preparation = HeldPreparation(monkeypatch)
    run = launch(config(), tmp_path)
    assert preparation.arrived.wait(WAIT_SECONDS)
    run.control.submit({"cmd": "save"})
    preparation.go_on.set()
    ended(run)
    assert "asked" in [event["reason"] for event in reader_of(run.path).events() if event["kind"] == "saved"]


def killed_run(root: Path, code: str, toml: str = TOML) -> Path:
    """A run whose process kills itself with SIGKILL."""
    script = (
        "import os, signal, sys; from pathlib import Path; from torchdeck.engine.config.file import parse_config\n"
        "from torchdeck.engine.launching.launch import launch; from torchdeck.engine.runs.writer import RunWriter\n"
        f"{code}\n"
        f"launch(parse_config(sys.argv[1], 'x'), Path({str(root)!r})).join()\n"
    )
    result = subprocess.run([*warm_python(), "-c", script, toml], capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr
    (path,) = root.iterdir()
    assert reader_of(path).status() == "died"
    return path


KILL_BEFORE_CLOSE = (
    "def kill(self, status, error=None):\n"
    "    self.flush()\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
    "RunWriter.close = kill"
)


def test_a_run_killed_after_its_last_save_is_closed_as_finished(tmp_path: Path) -> None:
    path = killed_run(tmp_path, KILL_BEFORE_CLOSE)
    weights = (path / "checkpoints" / "last.pt").read_bytes()
    run = ended(launch_resumed(path))
    assert (run.status, run.error) == ("finished", None)
    reader = reader_of(path)
    progress = reader.progress()
    assert reader.status() == "finished"
    assert (progress.epoch, progress.epochs, progress.step, progress.total_steps) == (2, 2, 8, 8)
    assert reader.best() is not None
    assert len(reader.epoch_records()) == 2
    assert (path / "checkpoints" / "last.pt").read_bytes() == weights


def test_a_finished_run_is_not_resumed_without_more_epochs(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    run = ended(launch_resumed(path))
    assert isinstance(run.error, RunError)
    assert f"torchdeck resume {path.name} --set training.epochs=4" in str(run.error)
    assert reader_of(path).status() == "finished"


def test_a_live_run_is_not_resumed_and_its_process_named(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, config(), {})
    code = (
        "import sys; from pathlib import Path\n"
        "from torchdeck.engine.launching.launch import launch_resumed; from torchdeck.engine.errors import RunError\n"
        "try:\n    launch_resumed(Path(sys.argv[1]))\nexcept RunError as error:\n    print(error)\n"
    )
    try:
        result = subprocess.run([*warm_python(), "-c", code, str(writer.path)], capture_output=True, text=True)
    finally:
        writer.close("stopped")
    assert f"is being trained by process {os.getpid()}" in result.stdout, result.stderr


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, config(), {})
    writer.close("stopped")
    run = ended(launch_resumed(writer.path))
    assert isinstance(run.error, RunError)
    assert "has no checkpoint to resume from" in str(run.error)


def test_a_file_that_is_no_checkpoint_of_a_run_is_refused(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    torch.save({"weight": torch.zeros(2)}, tmp_path / "plain.pt")
    run = ended(launch_resumed(path, checkpoint=tmp_path / "plain.pt"))
    assert isinstance(run.error, CheckpointError)
    assert "holds no model_state_dict" in str(run.error)


def test_a_checkpoint_that_lacks_a_part_is_refused_by_its_name(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    content = torch.load(path / "checkpoints" / "last.pt", weights_only=True)
    del content["position"], content["rng"]
    torch.save(content, tmp_path / "part.pt")
    run = ended(launch_resumed(path, checkpoint=tmp_path / "part.pt"))
    assert isinstance(run.error, CheckpointError)
    assert "it lacks position, rng" in str(run.error)


def damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def test_a_damaged_newest_checkpoint_is_skipped_and_said(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    damaged(path / "checkpoints" / "step-000000008.pt")
    run = ended(launch_resumed(path))
    assert run.status == "finished", run.error
    (event,) = [event for event in reader_of(path).events() if event["kind"] == "resumed_from"]
    assert event["checkpoint"] == "step-000000004.pt"
    assert {item["file"] for item in event["skipped"]} >= {"step-000000008.pt"}
    assert len(reader_of(path).epoch_records()) == 2


def test_a_damaged_checkpoint_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    damaged(path / "checkpoints" / "step-000000004.pt")
    run = ended(launch_resumed(path, checkpoint=path / "checkpoints" / "step-000000004.pt"))
    assert isinstance(run.error, CheckpointError)
    assert reader_of(path).status() == "finished"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["checkpoint.keep_last=9", "loader.num_workers=1", "name=other"], []),
        (["training.num_threads=2"], ["torch's CPU threads: 1 → 2"]),
        (["training.precision=bf16"], ["precision: fp32 → bf16"]),
        (
            ["seed=4"],
            ["seed: 0 → 4", "the data: samples, labels or split differ from those the checkpoint was trained on"],
        ),
        (["loader.batch_size=128"], ["loader.batch_size: 256 → 128"]),
    ],
)
def test_a_resume_with_other_settings_says_why_it_is_not_exact(
    overrides: list[str], expected: list[str], tmp_path: Path
) -> None:
    path = finished_run(tmp_path)
    run = ended(launch_resumed(path, checkpoint=path / "checkpoints" / "step-000000004.pt", overrides=overrides))
    assert run.status == "finished", run.error
    state = reader_of(path).state()
    assert state["not_exact_because"] == expected
    assert state["exact"] is (not expected)


def test_an_override_that_is_not_allowed_is_refused_at_once(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    with pytest.raises(ConfigError, match="must be at least 1"):
        launch_resumed(path, overrides=["training.epochs=0"])


def raised(function: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


def test_failures_are_described_in_one_message() -> None:
    assert describe_failure(ConfigError("optimizer.lr: too high")) == "optimizer.lr: too high"
    memory = describe_failure(raised(lambda: torch.empty(2**60)))
    assert memory.startswith("out of memory: ")
    assert "use a smaller model" in memory
    assert "\n" not in memory
    shapes = describe_failure(raised(lambda: torch.nn.Linear(2, 2)(torch.zeros(1, 3))))
    assert f"{Path(__file__).name}, line " in shapes, "the user's line, not torch's"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        RuntimeError("received 0 items of ancdata"),
        DataError("images/7.png: can't be read: Too many open files"),
    ],
)
def test_a_process_that_may_open_no_more_files_is_told_how_to(error: Exception) -> None:
    assert "ulimit -n 8192" in describe_failure(error)
    wrapped = DataError("can't be read")
    wrapped.__cause__ = error
    assert "ulimit -n 8192" in describe_failure(wrapped)


KILL_BEFORE_SAVE_OF_EPOCH = (
    "save = RunWriter.save_checkpoint\n"
    "def kill(self, state, **fields):\n"
    "    if fields['reason'] == 'epoch':\n"
    "        self.flush()\n"
    "        os.kill(os.getpid(), signal.SIGKILL)\n"
    "    save(self, state, **fields)\n"
    "    self.flush()\n"
    "RunWriter.save_checkpoint = kill"
)


def test_a_run_killed_between_an_epochs_record_and_its_save_records_the_epoch_once(tmp_path: Path) -> None:
    path = killed_run(tmp_path, KILL_BEFORE_SAVE_OF_EPOCH, TOML + "[checkpoint]\nevery_steps = 1\n")
    assert [record["epoch"] for record in reader_of(path).epoch_records()] == [1]
    run = ended(launch_resumed(path))
    assert run.status == "finished", run.error
    assert [record["epoch"] for record in reader_of(path).epoch_records()] == [1, 2]


def test_a_last_save_that_fails_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(self: DiskRoom, needed: int, *, is_last: bool) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(DiskRoom, "require", no_space)
    run = ended(launch(config(), tmp_path))
    assert run.status == "failed"
    assert "the last checkpoint could not be saved" in str(run.error)
    assert "No space left on device" in str(run.error)
    assert run.path is not None
    assert RunReader(run.path).status() == "failed"
