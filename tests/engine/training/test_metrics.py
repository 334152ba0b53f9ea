import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from training_cases import objective

from torchdeck.engine.metric_names import MEASURED, METRICS, TargetKind
from torchdeck.engine.training.metrics.class_metrics import (
    MAX_MATRIX_CLASSES,
    ClassCounts,
    ConfusionMatrix,
    accuracy,
    class_scores,
    macro_average,
)
from torchdeck.engine.training.metrics.meter import Meter, MetricOptions, new_meter
from torchdeck.engine.training.records.step_log import StepLog

CPU = torch.device("cpu")


def counted(targets: list[int], predictions: list[int], num_classes: int) -> Tensor:
    matrix = ConfusionMatrix(num_classes, CPU)
    matrix.update(torch.tensor(predictions), torch.tensor(targets))
    return matrix.counts()


def macro_f1(counts: Tensor) -> float:
    return macro_average(class_scores(ClassCounts.of(counts)).f1, ClassCounts.of(counts))


def test_rows_are_targets_and_columns_predictions() -> None:
    assert counted([0, 0, 2], [0, 1, 1], 3).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_accuracy_is_the_share_of_right_predictions() -> None:
    assert accuracy(ClassCounts.of(counted([0, 1, 2, 2], [0, 1, 1, 2], 3))) == 0.75


def test_macro_f1_by_hand() -> None:
    # class 0: TP 2, FP 1, FN 0 -> 0.8; class 1: TP 1, FP 0, FN 1 -> 2/3; class 2: TP 1 -> 1
    counts = counted([0, 0, 1, 1, 2], [0, 0, 0, 1, 2], 3)
    assert macro_f1(counts) == pytest.approx((0.8 + 2 / 3 + 1) / 3)


def test_a_class_that_never_occurs_is_left_out_of_the_macro_average() -> None:
    assert macro_f1(counted([0, 1], [0, 1], 5)) == 1.0


def test_per_class_scores() -> None:
    scores = class_scores(ClassCounts.of(counted([0, 0, 1], [0, 1, 1], 2)))
    assert scores.precision == [1.0, 0.5]
    assert scores.recall == [0.5, 1.0]
    assert scores.support == [2, 1]


def test_more_classes_than_a_matrix_is_kept_for_are_scored_alike() -> None:
    generator = torch.Generator().manual_seed(4)
    predicted, targets = torch.randint(0, 50, (2, 300), generator=generator)
    small, large = ConfusionMatrix(60, CPU), ConfusionMatrix(MAX_MATRIX_CLASSES + 1, CPU)
    for matrix in (small, large):
        matrix.update(predicted, targets)
    one, many = small.class_counts(), large.class_counts()
    for field in ("hits", "support", "predicted"):
        assert torch.equal(getattr(one, field), getattr(many, field)[:60])
    assert "confusion" not in new_meter("classes", MAX_MATRIX_CLASSES + 1, CPU, MetricOptions()).tables()


def random_case(kind: TargetKind, seed: int) -> tuple[Tensor, Tensor]:
    """Outputs and targets of 157 samples, of which some class or label may be missing."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 2 * torch.randn(157, 6, generator=generator)
    if kind == "classes":
        return outputs, torch.randint(0, 5 + seed % 2, (157,), generator=generator)
    if kind == "labels":
        return outputs, (torch.rand(157, 6, generator=generator) < torch.rand(6, generator=generator)).float()
    return outputs, outputs + 3 * torch.randn(157, 6, generator=generator) + 1000


def measured(kind: TargetKind, outputs: Tensor, targets: Tensor, options: MetricOptions) -> Meter:
    meter = new_meter(kind, outputs.shape[1], CPU, options)
    for part, wanted in zip(outputs.split(32), targets.split(32), strict=True):
        meter.update(part, wanted)
    return meter


def f1(hits: int, predicted: int, actual: int) -> float:
    """From the definition: the harmonic mean of precision and recall."""
    if hits == 0:
        return 0.0
    precision, recall = hits / predicted, hits / actual
    return 2 * precision * recall / (precision + recall)


def class_reference(outputs: Tensor, targets: Tensor, options: MetricOptions) -> dict[str, float]:
    """Every metric from its definition, sample by sample."""
    probabilities = functional.softmax(outputs.double(), dim=1).numpy()
    wanted, predicted = targets.numpy(), outputs.numpy().argmax(axis=1)
    classes = sorted(set(wanted) | set(predicted))
    hits = {c: int(((wanted == c) & (predicted == c)).sum()) for c in classes}
    actual = {c: int((wanted == c).sum()) for c in classes}
    said = {c: int((predicted == c).sum()) for c in classes}
    scores = {c: f1(hits[c], said[c], actual[c]) for c in classes}
    confidence = probabilities[np.arange(len(wanted)), predicted]
    error = 0.0
    for number in range(options.bins):
        low, high = number / options.bins, (number + 1) / options.bins
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - (predicted == wanted)[inside].mean())
    ranks = [list(np.argsort(-row)).index(label) for row, label in zip(outputs.numpy(), wanted, strict=True)]
    return {
        "accuracy": float((wanted == predicted).mean()),
        "top_k": float(np.mean([rank < options.top_k for rank in ranks])),
        "macro_f1": float(np.mean(list(scores.values()))),
        "weighted_f1": sum(scores[c] * actual[c] for c in classes) / len(wanted),
        "macro_precision": float(np.mean([hits[c] / said[c] if said[c] else 0.0 for c in classes])),
        "macro_recall": float(np.mean([hits[c] / actual[c] if actual[c] else 0.0 for c in classes])),
        "calibration_error": float(error),
        "likelihood": float(probabilities[np.arange(len(wanted)), wanted].mean()),
    }


def label_reference(outputs: Tensor, targets: Tensor, options: MetricOptions) -> dict[str, float]:
    predicted = torch.sigmoid(outputs.double()).numpy() >= options.threshold
    wanted = targets.numpy() == 1
    each = [(int((p & w).sum()), int(p.sum()), int(w.sum())) for p, w in zip(predicted.T, wanted.T, strict=True)]
    return {
        "accuracy": float((predicted == wanted).mean()),
        "exact_match": float((predicted == wanted).all(axis=1).mean()),
        "micro_f1": f1(int((predicted & wanted).sum()), int(predicted.sum()), int(wanted.sum())),
        "macro_f1": float(np.mean([f1(*counts) for counts in each])),
    }


def value_reference(outputs: Tensor, targets: Tensor, options: MetricOptions) -> dict[str, float]:
    said, wanted = outputs.double().numpy(), targets.double().numpy()
    unexplained = ((wanted - said) ** 2).sum(axis=0)
    variation = ((wanted - wanted.mean(axis=0)) ** 2).sum(axis=0)
    return {
        "mae": float(np.abs(said - wanted).mean()),
        "rmse": float(np.sqrt(((said - wanted) ** 2).mean())),
        "r2": float((1 - unexplained / variation).mean()),
    }


REFERENCES = {"classes": class_reference, "labels": label_reference, "values": value_reference}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", REFERENCES)
def test_metrics_equal_their_definitions(kind: TargetKind, seed: int) -> None:
    options = MetricOptions(top_k=1 + seed, bins=10, threshold=0.3 + 0.1 * seed)
    outputs, targets = random_case(kind, seed)
    expected = REFERENCES[kind](outputs, targets, options)
    metrics = measured(kind, outputs, targets, options).metrics()
    assert metrics == pytest.approx(expected, rel=1e-5)
    assert tuple(metrics) == MEASURED[kind][1:]


@pytest.mark.parametrize("kind", REFERENCES)
def test_metrics_agree_with_torchmetrics(kind: TargetKind) -> None:
    torchmetrics = pytest.importorskip("torchmetrics.functional")
    outputs, targets = random_case(kind, 0)
    ours = measured(kind, outputs, targets, MetricOptions()).metrics()
    if kind == "classes":
        arguments = {"task": "multiclass", "num_classes": 6}
        probabilities = outputs.softmax(1)
        theirs = {
            "accuracy": torchmetrics.accuracy(outputs, targets, average="micro", **arguments),
            "top_k": torchmetrics.accuracy(outputs, targets, average="micro", top_k=5, **arguments),
            "macro_f1": torchmetrics.f1_score(outputs, targets, average="macro", **arguments),
            "weighted_f1": torchmetrics.f1_score(outputs, targets, average="weighted", **arguments),
            "macro_precision": torchmetrics.precision(outputs, targets, average="macro", **arguments),
            "calibration_error": torchmetrics.calibration_error(probabilities, targets, n_bins=15, **arguments),
        }
    elif kind == "labels":
        arguments = {"task": "multilabel", "num_labels": 6}
        probabilities, wanted = outputs.sigmoid(), targets.long()
        theirs = {
            "accuracy": torchmetrics.accuracy(probabilities, wanted, **arguments),
            "exact_match": torchmetrics.exact_match(probabilities, wanted, **arguments),
            "micro_f1": torchmetrics.f1_score(probabilities, wanted, average="micro", **arguments),
            "macro_f1": torchmetrics.f1_score(probabilities, wanted, average="macro", **arguments),
        }
    else:
        theirs = {
            "mae": torchmetrics.mean_absolute_error(outputs, targets),
            "r2": torchmetrics.r2_score(outputs.double(), targets.double()),
        }
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(float(value), rel=1e-4), name


@pytest.mark.parametrize("kind", REFERENCES)
def test_an_empty_split_has_no_scores(kind: TargetKind) -> None:
    metrics = new_meter(kind, 3, CPU, MetricOptions()).metrics()
    assert metrics
    assert all(math.isnan(value) for value in metrics.values())


def test_every_metric_has_a_heading_that_fits_a_column() -> None:
    names = {name for measured_names in MEASURED.values() for name in measured_names}
    assert names == METRICS.keys()
    assert all(len(metric.title) <= 11 for metric in METRICS.values())


def test_tables_of_a_classifier() -> None:
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0]])
    tables = measured("classes", logits, torch.tensor([0, 1, 2, 0]), MetricOptions(bins=2)).tables()
    assert tables["confusion"] == [[0, 0, 2], [1, 1, 1], [2, 1, 1]]
    assert tables["per_class"]["recall"] == [1.0, 1.0, 0.0]
    assert tables["per_class"]["support"] == [2, 1, 1]
    assert tables["calibration"]["samples"] == [0, 4]
    assert tables["calibration"]["accuracy"] == [0.0, 0.75]
    assert tables["calibration"]["confidence"][1] == pytest.approx(1.0, abs=1e-3)


def test_outputs_that_are_no_numbers_do_not_stop_the_count() -> None:
    logits = torch.full((2, 3), math.nan)
    assert measured("classes", logits, torch.tensor([0, 1]), MetricOptions()).metrics()["accuracy"] <= 0.5


def test_targets_far_from_zero_keep_their_variance() -> None:
    targets = 1e7 + torch.arange(100).double()[:, None]
    metrics = measured("values", targets + 1.0, targets, MetricOptions()).metrics()
    assert metrics["r2"] == pytest.approx(1 - 100 / float(((targets - targets.mean()) ** 2).sum()), rel=1e-9)


def test_targets_that_are_all_alike_are_explained_wholly_or_not_at_all() -> None:
    same = torch.full((4, 1), 2.0)
    assert measured("values", same, same, MetricOptions()).metrics()["r2"] == 1.0
    assert measured("values", same + 1, same, MetricOptions()).metrics()["r2"] == 0.0


@pytest.mark.parametrize("sizes", [[4] * 3, [4, 4, 2], [4] * 200, [1]])
def test_the_step_log_reads_back_each_step_whatever_the_batch_sizes(sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    log, losses, correct = StepLog(objective(num_classes=5)), [], []
    for size in sizes:
        logits = torch.randn(size, 5, generator=generator)
        targets = torch.randint(0, 5, (size,), generator=generator)
        loss = torch.nn.functional.cross_entropy(logits, targets)
        log.add(loss, [logits], [targets], 0.1)
        losses.append(loss.item())
        correct.append(int((logits.argmax(1) == targets).sum()))
    block = log.drain()
    assert (block.loss, block.scores, block.samples) == (losses, correct, sizes)
    assert len(log.drain()) == 0


def test_a_window_of_batches_is_one_step_in_the_log() -> None:
    log = StepLog(objective(num_classes=3))
    logits = torch.eye(3)
    log.add(torch.tensor(1.0), [logits, logits], [torch.tensor([0, 1, 2]), torch.tensor([0, 0, 0])], 0.1)
    assert log.drain().scores == [4]


def test_a_prediction_of_a_mixed_sample_is_right_when_it_is_the_class_with_the_largest_share() -> None:
    log = StepLog(objective(num_classes=3))
    shares = torch.tensor([[0.3, 0.7, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])
    for predictions, right in (([1, 0, 2], 3), ([0, 2, 2], 1)):
        log.add(torch.tensor(1.0), [torch.eye(3)[predictions]], [shares], 0.1)
        assert log.drain().scores == [right]
