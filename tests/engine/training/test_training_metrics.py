"""The metrics of a training epoch: those of an evaluation that follow from the predictions that its steps made."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from kill_and_resume import differences, state_of
from numpy.typing import NDArray
from torch import Tensor
from training_cases import (
    StepHook,
    case,
    keep_every_save,
    make_trainer,
    objective,
    reader_of,
    resume_copy,
    train,
)

from torchdeck.engine.interchange.metrics_table import step_rows, write_csv
from torchdeck.engine.interchange.tensorboard_mirror import scalars
from torchdeck.engine.metric_names import MEASURED, TargetKind
from torchdeck.engine.training.compute.objective import Objective, build_objective
from torchdeck.engine.training.metrics.meter import MetricOptions, new_meter
from torchdeck.engine.training.records.step_log import StepLog
from torchdeck.engine.training.state import Totals
from torchdeck.tui.words.train.epoch_columns import epoch_columns

CPU = torch.device("cpu")
LOSS = torch.tensor(1.0)
OF_CLASSES = {"macro_f1", "weighted_f1", "macro_precision", "macro_recall"}
OF_LABELS = {"macro_f1", "micro_f1", "exact_match"}


def of_kind(kind: TargetKind, outputs: int) -> Objective:
    targets: dict[TargetKind, NDArray[np.generic]] = {
        "classes": np.arange(outputs),
        "labels": np.eye(outputs, dtype=np.float32),
        "values": np.linspace(0, 9, 2 * outputs, dtype=np.float32).reshape(2, outputs),
    }
    loss = {"classes": "cross_entropy", "labels": "bce", "values": "mse"}[kind]
    config = case(f"loss.name={loss}")
    names = [] if kind == "values" else [str(number) for number in range(outputs)]
    return build_objective(config.loss, config.evaluation, targets[kind], names, CPU)


def batches_of(kind: TargetKind, outputs: int, sizes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(7)
    batches = []
    for size in sizes:
        predicted = torch.randn(size, outputs, generator=generator)
        wanted = torch.randn(size, outputs, generator=generator)
        batches.append((predicted, wanted.argmax(dim=1) if kind == "classes" else (wanted > 0).float()))
    return batches


def logged(objective: Objective, batches: Sequence[tuple[Tensor, Tensor]], drained_every: int = 1000) -> Totals:
    log, totals = StepLog(objective), Totals()
    for number, (outputs, targets) in enumerate(batches, 1):
        log.add(LOSS, [outputs], [targets], 0.1)
        if number % drained_every == 0:
            totals.add(log.drain())
    totals.add(log.drain())
    return totals


@pytest.mark.parametrize(("kind", "names"), [("classes", OF_CLASSES), ("labels", OF_LABELS), ("values", set())])
def test_an_epoch_has_the_metrics_that_an_evaluation_of_the_same_predictions_has(
    kind: TargetKind, names: set[str]
) -> None:
    batches = batches_of(kind, 6, [16] * 70 + [5])
    metrics = logged(of_kind(kind, 6), batches, drained_every=9).epoch_metrics(of_kind(kind, 6))
    meter = new_meter(kind, 6, CPU, MetricOptions())
    meter.update(torch.cat([outputs for outputs, _ in batches]), torch.cat([targets for _, targets in batches]))
    expected = meter.metrics()
    assert metrics.keys() - {"loss", "accuracy", "mae"} == names <= set(MEASURED[kind])
    for name in metrics.keys() - {"loss"}:
        assert metrics[name] == pytest.approx(expected[name], rel=1e-6), name


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_the_counts_do_not_depend_on_when_steps_were_read_back(kind: TargetKind) -> None:
    batches = batches_of(kind, 40, [32] * 30 + [7])
    one, many = (logged(of_kind(kind, 40), batches, every) for every in (1, 13))
    assert one.counts is not None
    assert many.counts is not None
    assert torch.equal(one.counts, many.counts)
    assert one.epoch_metrics(of_kind(kind, 40)) == many.epoch_metrics(of_kind(kind, 40))


def test_a_mixed_sample_counts_as_the_class_with_the_largest_share() -> None:
    shares = torch.tensor([[0.3, 0.7, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])
    outputs = torch.eye(3)[[1, 2, 2]]
    of_indices = logged(of_kind("classes", 3), [(outputs, torch.tensor([1, 0, 2]))])
    of_shares = logged(of_kind("classes", 3), [(outputs, shares)])
    assert of_shares.epoch_metrics(of_kind("classes", 3)) == of_indices.epoch_metrics(of_kind("classes", 3))


def test_steps_that_are_forgotten_are_not_counted() -> None:
    batches = batches_of("classes", 5, [4] * 100)
    log, totals = StepLog(objective(num_classes=5)), Totals()
    # More of them than are held back, so that some were counted already.
    for outputs, targets in batches:
        log.add(LOSS, [outputs], [targets], 0.1)
    log.clear()
    log.add(LOSS, [batches[0][0]], [batches[0][1]], 0.1)
    totals.add(log.drain())
    expected = logged(objective(num_classes=5), batches[:1])
    assert totals.counted == 4
    assert totals.epoch_metrics(objective(num_classes=5)) == expected.epoch_metrics(objective(num_classes=5))


def test_an_epoch_of_which_an_earlier_version_counted_nothing_has_no_such_metrics_and_the_next_one_has() -> None:
    batches = batches_of("classes", 5, [8] * 6)
    first = logged(objective(num_classes=5), batches[:3])
    saved = Totals.of(
        {"loss": first.loss, "score": first.score, "samples": first.samples, "seconds": 1.0, "epoch_began": 0.0}
    )
    log = StepLog(objective(num_classes=5))
    for outputs, targets in batches[3:]:
        log.add(LOSS, [outputs], [targets], 0.1)
    saved.add(log.drain())
    assert saved.epoch_metrics(objective(num_classes=5)).keys() == {"loss", "accuracy"}
    saved.begin_epoch(2.0)
    log.add(LOSS, [batches[0][0]], [batches[0][1]], 0.1)
    saved.add(log.drain())
    assert saved.epoch_metrics(objective(num_classes=5)).keys() == {"loss", "accuracy", *OF_CLASSES}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_epoch_that_was_resumed_in_its_middle_has_the_same_metrics(
    accumulate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_every_save(monkeypatch)
    whole = train(
        tmp_path / "whole", f"training.accumulate={accumulate}", "checkpoint.every_steps=1", "loader.batch_size=64"
    )
    monkeypatch.undo()
    resumed = resume_copy(whole, tmp_path / "resumed", "step-000000003.pt")
    expected, got = (reader_of(run).epoch_records()[0]["train"] for run in (whole, resumed))
    assert got == expected
    assert 0 < got["macro_f1"] < 1
    assert differences(state_of(resumed), state_of(whole)) == []


def test_steps_that_a_run_went_back_behind_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = StepHook(monkeypatch)
    trainer, run = make_trainer(tmp_path, "training.epochs=1")
    kept = []

    def keep() -> None:
        trainer.save("here")
        kept.append(trainer.saving.copied_state())

    hook.actions[2] = keep
    hook.actions[4] = lambda: trainer.restore(kept[0])
    trainer.fit()
    run.close("finished")
    assert reader_of(run.path).epoch_records()[0]["train"].keys() >= OF_CLASSES


def test_every_epochs_training_f1_is_a_curve_a_column_and_a_scalar_of_tensorboard(tmp_path: Path) -> None:
    reader = reader_of(train(tmp_path))
    recorded = [record["train"]["macro_f1"] for record in reader.epoch_records()]
    steps, curve = reader.series("train/macro_f1")
    assert (list(steps), list(curve)) == ([5.0, 10.0], recorded)
    columns = epoch_columns(reader.epoch_records(), reader.score, reader.headline)
    assert [column.name for column in columns if column.part == "train"] == ["loss", "accuracy", "macro_f1"]
    file = StringIO()
    write_csv(step_rows(reader), file)
    rows = list(csv.DictReader(StringIO(file.getvalue())))
    assert [float(row["train/macro_f1"]) for row in rows if row["train/macro_f1"]] == recorded
    mirrored = dict(next(scalars(dict(reader.epoch_records()[0])))[1])
    assert mirrored["train/macro_f1"] == recorded[0]
    assert "train/loss" not in mirrored, "there is a curve over steps of it"
