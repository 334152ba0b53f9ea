"""Commands to a live run: applied between two steps, recorded, and kept by a resume."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from kill_and_resume import differences, history_of, state_of
from training_cases import (
    STEPS_PER_EPOCH,
    WAIT_SECONDS,
    StepHook,
    case,
    ended,
    events_of,
    finished,
    keep_every_save,
    reader_of,
    resume_copy,
    step_of,
    train,
)

from torchdeck.engine.launching.launch import LaunchedRun, launch, launch_resumed
from torchdeck.engine.runs.control import send
from torchdeck.engine.runs.reader import RunReader


class Commanded:
    """A run that is given commands just before certain steps."""

    def __init__(self, hook: StepHook) -> None:
        self._hook = hook
        self._run: LaunchedRun | None = None
        self._launched = threading.Event()

    def before(self, step: int, **command: object) -> None:
        """Submit a command when `step` steps are done: it is obeyed after one more."""

        def submit() -> None:
            assert self._launched.wait(WAIT_SECONDS)
            assert self._run is not None
            assert self._run.control.submit(command)["ok"]

        self._hook.actions[step] = submit

    def launch(self, root: Path, *overrides: str) -> LaunchedRun:
        self._run = launch(case(*overrides), root)
        self._launched.set()
        return self._run


@pytest.fixture
def commanded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commanded]:
    keep_every_save(monkeypatch)
    yield Commanded(StepHook(monkeypatch))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "did not come"
        time.sleep(0.01)


def paused(run: LaunchedRun) -> RunReader:
    path = run.wait_for_directory(WAIT_SECONDS)
    assert path is not None
    reader = RunReader(path)
    wait_for(lambda: reader.status() == "paused")
    return reader


def test_a_paused_run_takes_no_step_and_its_clock_stands_still(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(2, cmd="pause")
    run = commanded.launch(tmp_path)
    reader = paused(run)
    wait_for(lambda: reader.poll() or bool(len(reader.series("train/loss")[0])))
    stood = 0.6
    time.sleep(stood)
    reader.poll()
    assert list(reader.series("train/loss")[0]) == [1, 2, 3]
    assert reader.progress().step == 3
    run.control.submit({"cmd": "resume"})
    path = finished(run)
    (pause,), (resume,) = events_of(path, "paused"), events_of(path, "resumed")
    assert (pause["step"], resume["step"]) == (3, 3)
    record = reader_of(path).epoch_records()[0]
    (end,) = events_of(path, "ended")
    began = reader_of(path).state()["started"]
    assert record["t"] <= end["time"] - began - stood
    assert record["seconds"] <= end["time"] - began - stood


def test_a_pause_changes_no_bit(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(2, cmd="pause")
    run = commanded.launch(tmp_path / "paused")
    paused(run)
    run.control.submit({"cmd": "save"})
    run.control.submit({"cmd": "resume"})
    path = finished(run)
    reference = train(tmp_path / "whole")
    assert differences(state_of(path), state_of(reference)) == []
    assert history_of(path) == history_of(reference)


def test_saving_works_while_paused_and_while_training(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(1, cmd="save")
    commanded.before(3, cmd="pause")
    run = commanded.launch(tmp_path)
    reader = paused(run)
    run.control.submit({"cmd": "save"})
    wait_for(lambda: reader.poll() and len([e for e in reader.events() if e["kind"] == "saved"]) == 2)
    run.control.submit({"cmd": "resume"})
    asked = [event for event in events_of(finished(run), "saved") if event["reason"] == "asked"]
    assert [event["step"] for event in asked] == [2, 4]


def test_stop_after_the_step_saves_there(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(6, cmd="stop")
    run = ended(commanded.launch(tmp_path))
    assert run.status == "stopped"
    assert run.path is not None
    assert (reader_of(run.path).status(), step_of(run.path)) == ("stopped", 7)


def test_stop_after_the_epoch_finishes_it_first(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(1, cmd="stop", after="epoch")
    run = ended(commanded.launch(tmp_path))
    assert run.status == "stopped"
    assert run.path is not None
    assert step_of(run.path) == STEPS_PER_EPOCH
    assert [record["epoch"] for record in reader_of(run.path).epoch_records()] == [1]


def test_stop_ends_a_pause(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(2, cmd="pause")
    run = commanded.launch(tmp_path)
    paused(run)
    run.stop()
    assert ended(run).status == "stopped"
    assert step_of(run.path or tmp_path) == 3


@pytest.mark.parametrize("overrides", [[], ["training.accumulate=2"]], ids=["", "accumulated"])
def test_a_stop_during_evaluation_is_gone_on_from_exactly(
    overrides: list[str], commanded: Commanded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_epoch = 3 if overrides else STEPS_PER_EPOCH
    reference = train(tmp_path / "whole", *overrides)
    # The generators are seeded for the evaluation as for the step after it.
    commanded.before(per_epoch, cmd="stop")
    run = ended(commanded.launch(tmp_path / "stopped", *overrides))
    assert run.status == "stopped"
    assert run.path is not None
    assert reader_of(run.path).epoch_records() == []
    assert step_of(run.path) == per_epoch
    resumed = finished(launch_resumed(run.path))
    assert differences(state_of(resumed), state_of(reference)) == []
    assert history_of(resumed) == history_of(reference)


def test_a_new_learning_rate_holds_after_a_checkpoint_of_the_state_before(
    commanded: Commanded, tmp_path: Path
) -> None:
    commanded.before(3, cmd="set", key="optimizer.lr", value=1e-3)
    path = finished(commanded.launch(tmp_path))
    _, rates = reader_of(path).series("lr")
    assert list(rates) == pytest.approx([5e-3] * 4 + [1e-3] * 6)
    (event,) = events_of(path, "set")
    assert (event["key"], event["before"], event["step"]) == ("optimizer.lr", 5e-3, 4)
    assert event["after"] == 1e-3
    before = [event for event in events_of(path, "saved") if event["reason"] == "before optimizer.lr"]
    assert [event["step"] for event in before] == [4]
    group = torch.load(path / "checkpoints" / before[0]["file"], weights_only=True)["optimizer_state_dict"]
    assert group["param_groups"][0]["lr"] == 5e-3


def test_a_new_learning_rate_scales_what_is_left_of_the_schedule(commanded: Commanded, tmp_path: Path) -> None:
    schedule = "schedule.name=OneCycleLR"
    _, plain = reader_of(train(tmp_path / "plain", schedule)).series("lr")
    commanded.before(3, cmd="set", key="optimizer.lr", value=float(plain[4]) / 2)
    _, rates = reader_of(finished(commanded.launch(tmp_path / "set", schedule))).series("lr")
    assert list(rates[4:]) == pytest.approx([rate / 2 for rate in plain[4:]])


def test_a_learning_rate_of_zero_can_not_be_scaled_and_the_run_goes_on(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(3, cmd="set", key="optimizer.lr", value=1e-3)
    schedule = "schedule={name='StepLR',step_size=1,gamma=0.0}"
    path = finished(commanded.launch(tmp_path, schedule))
    assert any("the learning rate stays" in event["text"] for event in events_of(path, "note"))
    assert events_of(path, "set") == []


def test_a_new_clip_norm_changes_the_steps_after_it(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(3, cmd="set", key="training.clip_norm", value=1e-4)
    path = finished(commanded.launch(tmp_path / "set", "optimizer.name=SGD"))
    (event,) = events_of(path, "set")
    assert (event["before"], event["after"]) == (0.0, 1e-4)
    _, losses = reader_of(path).series("train/loss")
    _, plain = reader_of(train(tmp_path / "plain", "optimizer.name=SGD")).series("train/loss")
    assert list(losses[:5]) == list(plain[:5])
    assert list(losses[5:]) != list(plain[5:])


@pytest.mark.parametrize(("key", "value"), [("optimizer.lr", 1e-3), ("training.clip_norm", 0.01)])
def test_a_resume_goes_on_with_what_was_set(key: str, value: float, commanded: Commanded, tmp_path: Path) -> None:
    overrides = ["schedule.name=OneCycleLR", "checkpoint.every_epochs=1"]
    commanded.before(2, cmd="set", key=key, value=value)
    reference = finished(commanded.launch(tmp_path / "whole", *overrides))
    resumed = resume_copy(reference, tmp_path / "resumed", f"step-{STEPS_PER_EPOCH:09d}.pt")
    assert differences(state_of(resumed), state_of(reference)) == []
    assert history_of(resumed) == history_of(reference)


def test_a_live_factor_outlasts_a_resume_with_more_epochs(commanded: Commanded, tmp_path: Path) -> None:
    overrides = ["schedule.name=CosineAnnealingLR"]
    _, plain = reader_of(train(tmp_path / "plain", *overrides, "training.epochs=3")).series("lr")
    commanded.before(2, cmd="set", key="optimizer.lr", value=1e-3)
    reference = finished(commanded.launch(tmp_path / "whole", *overrides))
    _, rates = reader_of(reference).series("lr")
    resumed = resume_copy(reference, tmp_path / "resumed", overrides=["training.epochs=3"])
    factor = rates[3] / reader_of(train(tmp_path / "same", *overrides)).series("lr")[1][3]
    _, after = reader_of(resumed).series("lr")
    assert list(after[10:]) == pytest.approx([rate * factor for rate in plain[10:]])


@pytest.mark.parametrize("schedule", ["constant", "CosineAnnealingLR"])
def test_another_number_of_epochs_holds_at_once_and_is_what_a_resume_with_it_would_do(
    schedule: str, commanded: Commanded, tmp_path: Path
) -> None:
    overrides = [f"schedule.name={schedule}"]
    commanded.before(2, cmd="set", key="training.epochs", value=3)
    path = finished(commanded.launch(tmp_path / "set", *overrides))
    assert [record["epoch"] for record in reader_of(path).epoch_records()] == [1, 2, 3]
    assert reader_of(path).config().training.epochs == 3
    assert (path / "run.1.toml").exists()
    (event,) = events_of(path, "set")
    assert (event["key"], event["before"], event["after"], event["step"]) == ("training.epochs", 2, 3, 3)
    commanded.before(2, cmd="stop")
    stopped = ended(commanded.launch(tmp_path / "stopped", *overrides)).path
    assert stopped is not None
    resumed = finished(launch_resumed(stopped, overrides=["training.epochs=3"]))
    assert differences(state_of(resumed), state_of(path)) == []
    assert history_of(resumed) == history_of(path)


def test_a_resume_goes_on_with_the_epochs_that_were_set(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(2, cmd="set", key="training.epochs", value=3)
    reference = finished(commanded.launch(tmp_path / "whole", "schedule.name=CosineAnnealingLR"))
    resumed = resume_copy(reference, tmp_path / "resumed", f"step-{2 * STEPS_PER_EPOCH:09d}.pt")
    assert differences(state_of(resumed), state_of(reference)) == []
    assert history_of(resumed) == history_of(reference)
    assert events_of(resumed, "resumed_from")[-1]["exact"] is True


def test_fewer_epochs_than_have_begun_are_refused_and_the_run_goes_on(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(7, cmd="set", key="training.epochs", value=1)
    path = finished(commanded.launch(tmp_path))
    assert any("1 is less than the current epoch 2" in event["text"] for event in events_of(path, "note"))
    assert len(reader_of(path).epoch_records()) == 2


def test_a_command_from_another_process_reaches_the_run(commanded: Commanded, tmp_path: Path) -> None:
    commanded.before(2, cmd="pause")
    run = commanded.launch(tmp_path)
    reader = paused(run)
    assert send(reader.path, {"cmd": "save"})["ok"]
    assert send(reader.path, {"cmd": "stop"})["ok"]
    assert ended(run).status == "stopped"
    assert [event["reason"] for event in events_of(reader.path, "saved")] == ["asked", "stop"]


def test_readers_that_poll_meanwhile_change_no_bit(commanded: Commanded, tmp_path: Path) -> None:
    reference = train(tmp_path / "whole", "training.epochs=6")
    run = commanded.launch(tmp_path / "watched", "training.epochs=6")
    path = run.wait_for_directory(WAIT_SECONDS)
    assert path is not None
    reader, polls = RunReader(path), 0
    while run.is_alive:
        reader.poll()
        reader.checkpoints()
        polls += 1
        run.join(0.005)
    assert polls > 1
    assert differences(state_of(finished(run)), state_of(reference)) == []
    assert history_of(path) == history_of(reference)
