"""The user's callbacks: told of every event, with a state of their own, unable to harm the run."""

from itertools import pairwise
from pathlib import Path

import pytest
from kill_and_resume import differences, history_of, state_of
from training_cases import STEPS_PER_EPOCH, case, events_of, finished, resume_copy, train

from torchdeck.engine.config.file import dump_config, parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.engine.training.callbacks import EVENTS, check_callbacks
from torchdeck.engine.training.snapshot import Snapshot

CODE = """
import random
import numpy, torch

class Recorder:
    def __init__(self, every=1):
        self.every, self.steps, self.seen = every, 0, []
    def state_dict(self):
        return {"steps": self.steps, "mean": torch.tensor([float(self.steps)])}
    def load_state_dict(self, state):
        self.steps = state["steps"]
    def on_step_end(self, run, loss):
        self.steps += 1
        self.seen.append((run.epoch, run.step, loss.ndim))
    def on_forward(self, run, logits, loss):
        assert logits.requires_grad and loss.requires_grad
    def on_backward(self, run):
        assert all(weight.grad is not None for weight in run.model.parameters())
    def on_evaluation_end(self, run, metrics):
        assert 0 <= metrics["accuracy"] <= 1
    def on_run_end(self, run, outcome):
        (run.path / "seen.txt").write_text(f"{outcome} {self.steps} {self.seen[-1]}")

class Order:
    def __init__(self):
        self.names = []
    def on_run_end(self, run, outcome):
        (run.path / "order.txt").write_text(" ".join([*self.names, "on_run_end"]))

def _named(event):
    def method(self, run, **arguments):
        self.names.append(event)
    return method

for event in (%s):
    if event != "on_run_end":
        setattr(Order, event, _named(event))

class Gambler:
    def on_step_start(self, run):
        torch.rand(7); random.random(); numpy.random.rand(3)
    on_forward = lambda self, run, logits, loss: torch.rand(5)

class Sharer(Gambler):
    shares_rng = True

class Breaks:
    def on_step_end(self, run, loss):
        raise ValueError(f"broken at step {run.step}")
    def state_dict(self):
        return {"path": object()}

class Stops:
    def on_step_end(self, run, loss):
        if run.step == 3:
            run.stop()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(CODE % ", ".join(map(repr, EVENTS)), encoding="utf-8")
    return path


def test_every_event_comes_in_its_order(file: Path, tmp_path: Path) -> None:
    path = train(tmp_path / "runs", f"callbacks=['{file}:Order']", "training.epochs=1", "loader.batch_size=300")
    step = ["on_step_start", "on_forward", "on_backward", "on_step_end"]
    evaluation = ["on_evaluation_start", "on_evaluation_end"]
    expected = ["on_run_start", "on_epoch_start", *step, *step, *evaluation, "on_epoch_end", "on_run_end"]
    assert (path / "order.txt").read_text().split() == expected


def test_a_callback_sees_the_run_and_its_state_goes_on_with_a_resume(file: Path, tmp_path: Path) -> None:
    callback = f"callbacks=[{{name='{file}:Recorder',every=2}}]"
    path = train(tmp_path / "whole", callback)
    assert (path / "seen.txt").read_text() == f"finished {2 * STEPS_PER_EPOCH} (2, 10, 0)"
    resumed = resume_copy(path, tmp_path / "resumed", f"step-{STEPS_PER_EPOCH:09d}.pt")
    assert (resumed / "seen.txt").read_text() == (path / "seen.txt").read_text()
    assert differences(state_of(resumed), state_of(path)) == []


def test_what_a_callback_keeps_on_a_gpu_has_arrived_before_it_is_saved(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    copied, wait, save = Snapshot._copied_tensor, Snapshot.wait, RunWriter.save_checkpoint
    monkeypatch.setattr(Snapshot, "_copied_tensor", lambda *given: (done.append("copy"), copied(*given))[1])
    monkeypatch.setattr(Snapshot, "wait", lambda *given: (done.append("wait"), wait(*given))[1])
    monkeypatch.setattr(
        RunWriter, "save_checkpoint", lambda *given, **more: (done.append("save"), save(*given, **more))[1]
    )
    train(tmp_path / "runs", f"callbacks=['{file}:Recorder']", "training.epochs=1")
    assert "copy" in done
    assert {before for before, after in pairwise(done) if after == "save"} == {"wait"}


def test_random_numbers_drawn_by_a_callback_change_nothing_unless_it_says_so(file: Path, tmp_path: Path) -> None:
    plain = train(tmp_path / "plain")
    gambled = train(tmp_path / "gambled", f"callbacks=['{file}:Gambler']")
    assert differences(state_of(gambled), state_of(plain)) == ["callbacks"]
    assert history_of(gambled) == history_of(plain)
    assert history_of(train(tmp_path / "shared", f"callbacks=['{file}:Sharer']")) != history_of(plain)


def test_one_that_raises_is_reported_once_and_the_run_goes_on(file: Path, tmp_path: Path) -> None:
    path = train(tmp_path / "runs", f"callbacks=['{file}:Breaks']")
    failures = [event["text"] for event in events_of(path, "callback_failed")]
    assert [text for text in failures if "on_step_end" in text] == [
        f"{file}:Breaks: on_step_end raised ValueError: broken at step 1; it is not called again, training continues"
    ]
    assert any("state_dict raised CheckpointError" in text for text in failures)
    assert history_of(path) == history_of(train(tmp_path / "plain"))


def test_one_can_stop_the_run(file: Path, tmp_path: Path) -> None:
    run = launch(case(f"callbacks=['{file}:Stops']"), tmp_path / "runs")
    run.join()
    assert run.status == "stopped"
    assert run.path is not None
    assert state_of(run.path)["position"]["step"] == 3


def test_callbacks_survive_the_runs_own_file(file: Path, tmp_path: Path) -> None:
    config = case(f"callbacks=['{file}:Order',{{name='{file}:Recorder',every=3}}]")
    assert parse_config(dump_config(config), "run.toml") == config


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ("['{file}:Recordr']", "did you mean 'Recorder'"),
        ("['early']", "callbacks: 'early': must be path/to/file.py:name"),
        ("[{{name='{file}:Recorder',evry=2}}]", "unknown argument 'evry'; did you mean 'every'"),
    ],
)
def test_one_that_can_not_be_had_is_refused_before_anything_is_written(
    callbacks: str, message: str, file: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_callbacks(case(f"callbacks={callbacks.format(file=file)}").callbacks)


def test_without_callbacks_no_step_does_anything_for_them(tmp_path: Path) -> None:
    path = finished(launch(case(), tmp_path / "runs"))
    assert state_of(path)["callbacks"] == []
