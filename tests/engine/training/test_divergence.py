"""A NaN or infinite loss: the module where it started is named, and the run stops or rolls back."""

import json
from pathlib import Path
from typing import Any

import pytest
from kill_and_resume import differences, history_of, state_of
from training_cases import STEPS_PER_EPOCH, case, ended, events_of, finished, reader_of, resume_copy, write_model

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.launching.launch import launch

# From the 8th training batch on, the second layer's output is NaN while the learning rate is as configured.
BODY = """h = self.first(x.flatten(1))
if self.training:
    self.count += 1
    if self.count >= 8 and self.fc.weight.detach().abs().max() < {limit}:
        h = self.bad(h) * float('nan')
return self.fc(self.last(h))"""
MORE = (
    "self.first, self.bad, self.last = nn.Linear(64, 64), nn.Identity(), nn.Tanh()\n"
    "        self.register_buffer('count', torch.zeros((), dtype=torch.int64))"
)

COUNTS = """
class Counts:
    forwards = steps = 0
    def state_dict(self):
        return {"forwards": self.forwards, "steps": self.steps}
    def load_state_dict(self, state):
        self.forwards, self.steps = state["forwards"], state["steps"]
    def on_forward(self, run, logits, loss):
        self.forwards += 1
    def on_step_end(self, run, loss):
        self.steps += 1
    def on_run_end(self, run, outcome):
        (run.path / "counts.txt").write_text(f"{self.forwards} {self.steps}")
"""
DIVERGES = "optimizer={name='SGD',lr=1e30}"


def breaking_model(folder: Path, limit: float = 1e9) -> str:
    return f"model={{name='{write_model(folder, BODY.format(limit=limit), more=MORE)}'}}"


def test_the_module_that_the_nan_began_in_is_named(tmp_path: Path) -> None:
    run = ended(launch(case(breaking_model(tmp_path)), tmp_path / "runs"))
    assert run.status == "failed"
    assert run.path is not None
    error = reader_of(run.path).state()["error"]
    assert error.startswith("the loss is nan at step 8 of epoch 2")
    assert "It started in the output of last (Tanh)." in error
    assert (run.path / "checkpoints" / "step-000000005.pt").exists()


def test_a_batch_that_holds_no_numbers_is_named(tmp_path: Path) -> None:
    (tmp_path / "spoil.py").write_text(
        "class Spoil:\n    def __call__(self, image):\n        return image * float('inf')\n", encoding="utf-8"
    )
    transforms = f"data.train_transforms=[{{name='ToTensor'}},{{name='{tmp_path}/spoil.py:Spoil'}}]"
    run = ended(launch(case(transforms, "loader.batch_size=270"), tmp_path / "runs"))
    assert "The batch itself has non-finite values" in str(run.error)


def test_a_run_that_shall_goes_back_with_a_lower_rate_and_stops_after_so_many_times(tmp_path: Path) -> None:
    overrides = ["training.on_nonfinite=rollback", "training.max_rollbacks=2", breaking_model(tmp_path)]
    run = ended(launch(case(*overrides), tmp_path / "runs"))
    assert run.status == "failed"
    assert "It rolled back 2 times without success." in str(run.error)
    assert run.path is not None
    events = events_of(run.path, "rolled_back")
    assert [(event["step"], event["learning_rate"]) for event in events] == [(5, 2.5e-3), (5, 1.25e-3)]
    assert "It started in the output of last (Tanh). Back to step-000000005.pt" in events[0]["text"]
    # The steps that were put aside are in the curve once.
    steps = list(reader_of(run.path).series("train/loss")[0])
    assert steps == sorted(set(steps))


def test_a_run_that_diverges_before_its_first_checkpoint_goes_back_to_its_start(tmp_path: Path) -> None:
    overrides = ["training.on_nonfinite=rollback", "training.rollback_lr_factor=1e-31", DIVERGES]
    path = finished(launch(case(*overrides), tmp_path / "runs"))
    (event,) = events_of(path, "rolled_back")
    assert event["step"] == 0
    assert "Back to the run's start, learning rate 0.1 (1 of 3)" in event["text"]
    assert len(reader_of(path).series("train/loss")[0]) == 2 * STEPS_PER_EPOCH
    resumed = resume_copy(path, tmp_path / "resumed", "step-000000005.pt")
    assert differences(state_of(resumed), state_of(path)) == []
    assert history_of(resumed) == history_of(path)


def test_going_back_leaves_no_trace_of_the_steps_that_were_done_again(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(COUNTS, encoding="utf-8")
    overrides = ["training.on_nonfinite=rollback", "training.rollback_lr_factor=1e-31", DIVERGES]
    more = ["training.probe_every=1", f"callbacks=['{tmp_path}/own.py:Counts']"]
    path = finished(launch(case(*overrides, *more), tmp_path / "runs"))
    assert len(events_of(path, "rolled_back")) == 1
    looks = [json.loads(line) for line in (path / "probes.jsonl").read_text().splitlines()]
    assert [look["step"] for look in looks if look["kind"] == "gradients"] == [*range(1, 2 * STEPS_PER_EPOCH + 1)]
    # The callback's state went back with the run's.
    assert (path / "counts.txt").read_text() == f"{2 * STEPS_PER_EPOCH} {2 * STEPS_PER_EPOCH}"


def test_a_checkpoint_that_goes_away_before_it_is_loaded_leaves_the_loss_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> dict[str, Any]:
        raise CheckpointError(f"{path}: can't be read: No such file or directory")

    monkeypatch.setattr("torchdeck.engine.runs.saving.checkpoint.load_checkpoint", gone)
    run = ended(launch(case(breaking_model(tmp_path), "training.on_nonfinite=rollback"), tmp_path / "runs"))
    assert run.status == "failed"
    assert run.path is not None
    assert reader_of(run.path).state()["error"].startswith("the loss is nan at step 8")


@pytest.mark.parametrize("mode", ["stop", "rollback"])
def test_no_checkpoint_ever_holds_weights_that_are_no_numbers(mode: str, tmp_path: Path) -> None:
    overrides = [f"training.on_nonfinite={mode}", DIVERGES, "checkpoint.every_steps=1"]
    run = ended(launch(case(*overrides), tmp_path / "runs"))
    assert run.path is not None
    import torch

    for file in (run.path / "checkpoints").glob("step-*.pt"):
        weights = torch.load(file, weights_only=True)["model_state_dict"].values()
        assert all(bool(weight.isfinite().all()) for weight in weights), file.name
