"""Metrics of the user's own file and of torchmetrics."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training_cases import case, objective, reader_of, resume_copy, train

from torchdeck.engine.build import prepare
from torchdeck.engine.checkpoints.evaluate import evaluate_checkpoint
from torchdeck.engine.config import EvaluationConfig, LossConfig
from torchdeck.engine.errors import ConfigError, TorchdeckError
from torchdeck.engine.metric_names import METRICS, metric_key
from torchdeck.engine.training.compute.objective import DecisiveMetrics, build_objective
from torchdeck.engine.training.metrics.own_metrics import check_metrics
from torchdeck.engine.training.monitors.early_stopping import EarlyStopping
from torchdeck.engine.training.state import Best

METRICS_FILE = """
import random
import torch

class Errors:
    def __init__(self, num_classes=0, weight=1.0):
        self.num_classes, self.weight = num_classes, weight
        self.reset()

    def reset(self):
        self.wrong = 0

    def update(self, outputs, targets):
        random.random(), torch.rand(1)
        self.wrong += int((outputs.argmax(1) != targets).sum())

    def compute(self):
        return self.weight * self.wrong

class Parts(Errors):
    higher_is_better = False

    def compute(self):
        return {"wrong": torch.tensor(self.wrong), "classes": self.num_classes}

class Squares(Errors):
    def update(self, outputs, targets):
        assert outputs.shape == targets.shape
        self.wrong += float(((outputs - targets) ** 2).sum())

class Vector(Errors):
    def compute(self):
        return torch.zeros(3)

class Words(Errors):
    def compute(self):
        return "good"

class Raises(Errors):
    def compute(self):
        return 1 / 0

class Changing(Errors):
    def compute(self):
        self.calls = getattr(self, "calls", 0) + 1
        return {"first": 0.0} if self.calls == 1 else {"second": 0.0}

class NoReset:
    def update(self, outputs, targets): ...
    def compute(self): return 0.0
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "met.py").write_text(METRICS_FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def figures(evaluation: str, outputs: Tensor, targets: Tensor, loss: str = "cross_entropy") -> dict[str, float]:
    """What an evaluation of one batch measures beside torchdeck's metrics."""
    config = case(f"evaluation.metrics={evaluation}").evaluation
    is_classes = not targets.is_floating_point()
    classes = [str(label) for label in range(outputs.shape[1])] if is_classes or loss == "bce" else []
    made = build_objective(LossConfig(name=loss), config, targets.numpy(), classes, torch.device("cpu"))
    meter = made.new_meter()
    meter.update(outputs[:3], targets[:3])
    meter.update(outputs[3:], targets[3:])
    return {name: value for name, value in meter.metrics().items() if name not in METRICS}


OUTPUTS = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
CLASSES = torch.arange(40) % 4


def test_a_metric_counts_batches_and_goes_by_its_key_or_the_name_of_its_class() -> None:
    wrong = int((OUTPUTS.argmax(1) != CLASSES).sum())
    found = figures("['met.py:Errors',{name='met.py:Errors',key='ten',weight=10}]", OUTPUTS, CLASSES)
    assert found == {"errors": wrong, "ten": 10 * wrong}


def test_a_dict_is_several_figures_and_the_number_of_classes_is_supplied() -> None:
    wrong = int((OUTPUTS.argmax(1) != CLASSES).sum())
    assert figures("['met.py:Parts']", OUTPUTS, CLASSES) == {"parts.wrong": wrong, "parts.classes": 4}


def test_numbers_come_in_columns() -> None:
    outputs, targets = OUTPUTS[:, :1], torch.arange(40).float()
    expected = float(((outputs[:, 0] - targets) ** 2).sum())
    assert figures("['met.py:Squares']", outputs, targets, "mse") == {"squares": pytest.approx(expected)}


def test_every_evaluation_counts_anew() -> None:
    made = objective("evaluation.metrics=['met.py:Errors']")
    outputs, targets = torch.eye(10), (torch.arange(10) + 1) % 10
    for _ in range(2):
        meter = made.new_meter()
        meter.update(outputs, targets)
        assert meter.metrics()["errors"] == 10


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("['met.py:Errorz']", "did you mean 'Errors'"),
        (
            "[{name='met.py:Errors',wieght=2}]",
            "met.py:Errors: unknown argument 'wieght'; did you mean 'weight'",
        ),
        ("['Errors']", "metric Errors: no such metric; name your own as path/to/file.py:name"),
    ],
)
def test_a_wrong_name_or_argument_is_said_without_making_it(metrics: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_metrics(case(f"evaluation.metrics={metrics}").evaluation.metrics)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Vector", "compute.. returned Tensor of \\[3\\]; expected a number, or numbers by name in a dict"),
        ("Words", "compute.. returned str; expected a number"),
        ("Raises", 'metric met.py:Raises: compute: ZeroDivisionError: division by zero\n.*met.py", line'),
        ("NoReset", "returned NoReset, which has no reset"),
    ],
)
def test_a_metric_that_would_fail_in_the_run_is_refused_before_it(name: str, message: str) -> None:
    with pytest.raises(TorchdeckError, match=message):
        prepare(case(f"evaluation.metrics=['met.py:{name}']"), lambda *_: None)


def test_figures_that_change_their_names_are_an_error() -> None:
    meter = objective("evaluation.metrics=['met.py:Changing']").new_meter()
    with pytest.raises(TorchdeckError, match=r"returned changing\.second; before it was changing\.first"):
        meter.metrics()


@pytest.mark.parametrize("name", ["loss", "macro_f1"])
def test_no_metric_takes_the_name_of_another(name: str) -> None:
    with pytest.raises(ConfigError, match=f"would be called {name}, which is torchdeck's own; give it another key"):
        case(f"evaluation.metrics=[{{name='met.py:Errors',key='{name}'}}]")
    with pytest.raises(ConfigError, match="another one's"):
        case("evaluation.metrics=['met.py:Errors','met.py:Errors']")


@pytest.mark.parametrize("key", ["checkpoint.best_metric", "early_stopping.metric", "schedule.metric"])
def test_a_decision_follows_what_is_measured(key: str) -> None:
    parts = "evaluation.metrics=['met.py:Parts','met.py:Errors']"
    config = case(parts, f"{key}=parts.wrong")
    made = build_objective(config.loss, config.evaluation, np.arange(10), [""] * 10, torch.device("cpu"))
    decisive = DecisiveMetrics.of(config, made)
    chosen = {"checkpoint.best_metric": decisive.best, "early_stopping.metric": decisive.early_stopping}
    assert chosen.get(key, decisive.schedule).name == "parts.wrong"
    assert not chosen.get(key, decisive.schedule).larger_is_better
    with pytest.raises(ConfigError, match=f"{key} = 'parts.x': not available .* parts.wrong, parts.classes, errors"):
        DecisiveMetrics.of(case(parts, f"{key}=parts.x"), made)
    with pytest.raises(ConfigError, match=f'{key} = \'errors\': .* set mode = "max" or mode = "min" beside met.py:E'):
        DecisiveMetrics.of(case(parts, f"{key}=errors"), made)
    with pytest.raises(ConfigError, match=f"{key} = 'error': must be one of 'auto', .*; did you mean 'errors'"):
        case(parts, f"{key}=error")


def test_best_and_early_stopping_follow_the_mode() -> None:
    best, stopping = Best("errors", larger_is_better=True), EarlyStopping("errors", 1, 0.0, larger_is_better=True)
    assert [best.offer({"errors": value, "loss": 1.0}, epoch=1, step=1) for value in (1, 2, 1.5)] == [
        True,
        True,
        False,
    ]
    for value in (1.0, 2.0, 1.5):
        stopping.offer(value, 1)
    assert (stopping.best, stopping.is_over) == (2.0, True)


def test_a_run_records_them_lets_them_decide_and_resumes(tmp_path: Path) -> None:
    overrides = (
        "evaluation.metrics=[{name='met.py:Errors',mode='min'},'met.py:Parts']",
        "checkpoint.best_metric=errors",
        "schedule={name='ReduceLROnPlateau',metric='parts.wrong',patience=0}",
    )
    run = train(tmp_path / "runs", *overrides)
    records = reader_of(run).epoch_records()
    errors = [record["validation"]["errors"] for record in records]
    assert errors == [record["validation"]["parts.wrong"] for record in records]
    best = reader_of(run).best()
    assert best is not None
    assert (best["metric"], best["value"]) == ("errors", min(errors))
    assert reader_of(run).series("validation/errors")[1].tolist() == errors
    again = reader_of(resume_copy(run, tmp_path / "copies", "step-000000005.pt"))
    assert [record["validation"]["errors"] for record in again.epoch_records()] == errors
    scores = evaluate_checkpoint(run / "checkpoints" / "last.pt", split="validation")
    assert scores.metrics["errors"] == errors[-1]


def test_they_leave_the_runs_random_numbers_alone(tmp_path: Path) -> None:
    plain, measured = train(tmp_path / "a"), train(tmp_path / "b", "evaluation.metrics=['met.py:Errors']")
    losses = [reader_of(run).series("train/loss")[1].tolist() for run in (plain, measured)]
    assert losses[0] == losses[1]


def test_without_torchmetrics_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(ConfigError, match="needs the package torchmetrics: pip install 'torchdeck\\[metrics\\]'"):
        check_metrics(case("evaluation.metrics=['torchmetrics.R2Score']").evaluation.metrics)


def test_classes_of_torchmetrics_agree_with_torchdecks_metrics() -> None:
    pytest.importorskip("torchmetrics")
    multiclass = "torchmetrics.classification.Multiclass"
    specs = (
        f"['torchmetrics.F1Score',{{name='{multiclass}F1Score',average='weighted'}},"
        f"{{name='{multiclass}CalibrationError',n_bins=15}},'{multiclass}AUROC']"
    )
    config = case(f"evaluation.metrics={specs}").evaluation
    made = build_objective(LossConfig(), config, CLASSES.numpy(), list("abcd"), torch.device("cpu"))
    meter = made.new_meter()
    meter.update(OUTPUTS, CLASSES)
    found = meter.metrics()
    assert found["multiclass_f1_score"] == pytest.approx(found["weighted_f1"])
    assert found["multiclass_calibration_error"] == pytest.approx(found["calibration_error"])
    assert found["f1_score"] == pytest.approx(found["accuracy"])
    assert 0 < found["multiclass_auroc"] < 1
    assert made.deciding("multiclass_auroc", "checkpoint.best_metric").larger_is_better


@pytest.mark.parametrize(
    ("loss", "targets", "name", "own"),
    [
        ("bce", (OUTPUTS > 0.3).float().roll(1, 0), "torchmetrics.classification.MultilabelF1Score", "macro_f1"),
        ("mse", OUTPUTS * 2 + 1, "torchmetrics.MeanAbsoluteError", "mae"),
        ("mse", OUTPUTS * 2 + 1, "torchmetrics.R2Score", "r2"),
    ],
)
def test_torchmetrics_takes_labels_and_numbers(loss: str, targets: Tensor, name: str, own: str) -> None:
    pytest.importorskip("torchmetrics")
    config = EvaluationConfig.model_validate({"metrics": [name]})
    classes = list("abcd") if loss == "bce" else []
    made = build_objective(LossConfig(name=loss), config, targets.numpy(), classes, torch.device("cpu"))
    meter = made.new_meter()
    meter.update(OUTPUTS, targets)
    found = meter.metrics()
    assert found[metric_key(name)] == pytest.approx(found[own], rel=1e-4)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("'torchmetrics.classification.MulticlasF1Score'", "did you mean 'MulticlassF1Score'"),
        ("'torchmetrics.nowhere.X'", "there is no module torchmetrics.nowhere"),
        ("{name='torchmetrics.F1Score',avrage='macro'}", "unknown argument 'avrage'; did you mean 'average'"),
        ("{name='torchmetrics.F1Score',average='none'}", "returned Tensor of \\[10\\].*another average than"),
        ("'torchmetrics.MeanSquaredError'", "update\\(\\[64, 10\\] float32, \\[64\\] int64\\) failed: RuntimeError"),
    ],
)
def test_what_torchmetrics_does_not_take_is_said_before_training(metric: str, message: str) -> None:
    pytest.importorskip("torchmetrics")
    with pytest.raises(TorchdeckError, match=message):
        prepare(case(f"evaluation.metrics=[{metric}]"), lambda *_: None)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("metrics.py:MacroF2", "macro_f2"),
        ("a/b.py:dice", "dice"),
        ("torchmetrics.classification.MulticlassAUROC", "multiclass_auroc"),
        ("torchmetrics.R2Score", "r2_score"),
    ],
)
def test_the_key_of_a_class_is_its_name_in_words(name: str, key: str) -> None:
    assert metric_key(name) == key
