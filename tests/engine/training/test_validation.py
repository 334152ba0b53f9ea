"""When the weights are measured, and what follows from it."""

import json
import math
from pathlib import Path

import pytest
import torch
from training_cases import case, ended, events_of, finished, reader_of, resume_copy, step_of, train

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launch import launch, launch_resumed
from torchdeck.engine.training.monitors.early_stopping import EarlyStopping


def evaluated_steps(path: Path) -> list[int]:
    return [record["step"] for record in reader_of(path).evaluation_records()]


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        (["training.epochs=3"], [5, 10, 15]),
        (["training.epochs=3", "evaluation.every_epochs=2"], [10, 15]),
        (["evaluation.every_steps=2"], [2, 4, 5, 6, 8, 10]),
        (["training.epochs=3", "evaluation.every_epochs=3", "evaluation.every_steps=5"], [5, 10, 15]),
    ],
)
def test_the_weights_are_measured_when_it_is_due_and_at_the_end(
    overrides: list[str], steps: list[int], tmp_path: Path
) -> None:
    path = train(tmp_path, *overrides)
    assert evaluated_steps(path) == steps
    assert len(reader_of(path).epoch_records()) == case(*overrides).training.epochs
    assert len(reader_of(path).series("validation/accuracy")[0]) == len(steps)


def test_measuring_in_between_changes_no_bit_of_the_weights(tmp_path: Path) -> None:
    often, seldom = (
        torch.load(train(tmp_path / name, override) / "checkpoints" / "last.pt", weights_only=True)
        for name, override in (("often", "evaluation.every_steps=1"), ("seldom", "evaluation.every_epochs=2"))
    )
    for name, tensor in often["model_state_dict"].items():
        assert torch.equal(tensor, seldom["model_state_dict"][name])


def test_the_newest_evaluation_is_there_in_full(tmp_path: Path) -> None:
    path = train(tmp_path, "ema.decay=0.5")
    evaluation = reader_of(path).evaluation()
    assert (evaluation["epoch"], evaluation["step"]) == (2, 10)
    assert evaluation["metrics"] == reader_of(path).latest_metrics()
    for tables in (evaluation["tables"][""], evaluation["tables"]["ema"]):
        assert len(tables["per_class"]["f1"]) == 10
        assert sum(count for _, _, count in tables["confusion"]) == sum(tables["per_class"]["support"]) == 1258


def stopping(metric: str, values: list[float], patience: int, min_delta: float = 0.0) -> int | None:
    """After how many evaluations it is over."""
    stop = EarlyStopping(metric, patience, min_delta)
    for count, value in enumerate(values, start=1):
        stop.offer(value, count)
        if stop.is_over:
            return count
    return None


@pytest.mark.parametrize(
    ("metric", "values", "patience", "min_delta", "over"),
    [
        ("accuracy", [0.1, 0.2, 0.2, 0.1], 2, 0.0, 4),
        ("accuracy", [0.1, 0.2, 0.1, 0.3, 0.2], 2, 0.0, None),
        ("loss", [1.0, 0.5, 0.6, 0.7], 2, 0.0, 4),
        ("loss", [1.0, 0.95, 0.91, 0.89], 2, 0.1, 3),
        ("loss", [1.0, math.nan, math.nan], 2, 0.0, 3),
        ("loss", [1.0, 2.0, 3.0], 0, 0.0, None),
    ],
)
def test_patience_counts_evaluations_without_an_improvement(
    metric: str, values: list[float], patience: int, min_delta: float, over: int | None
) -> None:
    assert stopping(metric, values, patience, min_delta) == over


EARLY = ("early_stopping={patience=2, min_delta=100.0, metric='loss'}", "training.epochs=9")


def test_a_run_that_no_longer_improves_ends_saved_and_says_why(tmp_path: Path) -> None:
    path = train(tmp_path, *EARLY)
    assert step_of(path) == 15
    (event,) = events_of(path, "stopped_early")
    assert "for 2 evaluations the validation loss did not improve by more than 100" in event["text"]
    resumed = finished(launch_resumed(path))
    assert step_of(resumed) == 15, "it is over when it is resumed, too"
    assert step_of(resume_copy(path, tmp_path / "patient", overrides=["early_stopping.patience=0"])) == 45


def test_a_run_may_end_early_within_an_epoch(tmp_path: Path) -> None:
    path = train(tmp_path, *EARLY, "evaluation.every_steps=1")
    assert step_of(path) == 3
    assert json.loads((path / "state.json").read_text())["status"] == "finished"


@pytest.mark.parametrize("name", ["macro_f1", "calibration_error", "top_k", "likelihood"])
def test_any_metric_decides_which_is_best(name: str, tmp_path: Path) -> None:
    path = train(tmp_path, f"checkpoint.best_metric={name}", "training.epochs=3")
    values = [record["validation"][name] for record in reader_of(path).epoch_records()]
    best = reader_of(path).best()
    assert best is not None
    assert best["metric"] == name
    assert best["value"] == (min(values) if name == "calibration_error" else max(values))


@pytest.mark.parametrize("key", ["checkpoint.best_metric", "early_stopping.metric", "schedule.metric"])
def test_a_metric_that_is_not_measured_is_refused_before_anything_is_written(key: str, tmp_path: Path) -> None:
    run = ended(launch(case(f"{key}=r2"), tmp_path / "runs"))
    assert isinstance(run.error, ConfigError)
    assert f"{key} = 'r2': not available for targets that are classes; available: loss, accuracy" in str(run.error)
    assert not (tmp_path / "runs").exists()


def test_a_plateau_is_seen_in_the_metric_that_is_asked_for(tmp_path: Path) -> None:
    schedule = "schedule={name='ReduceLROnPlateau',metric='accuracy',patience=0,threshold=10.0,threshold_mode='abs'}"
    path = train(tmp_path, schedule, "training.epochs=3", "evaluation.every_steps=3")
    rates = reader_of(path).series("lr")[1]
    # Measured at steps 3, 5, 6, 9, …: the first is the best, every other one lowers the rate tenfold.
    assert rates[:7].tolist() == pytest.approx([5e-3] * 5 + [5e-4] + [5e-5])
