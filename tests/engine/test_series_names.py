"""The series that a figure of another program belongs to."""

import pytest

from torchdeck.engine.series_names import larger_is_better, series_name, telling_metric


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("loss", "train/loss"),
        ("Loss", "train/loss"),
        ("train_loss", "train/loss"),
        ("train/loss", "train/loss"),
        ("Loss/train", "train/loss"),
        ("train_loss_step", "train/loss"),
        ("train_loss_epoch", "train/loss_epoch"),
        ("val_loss", "validation/loss"),
        ("eval_loss", "validation/loss"),
        ("eval/acc", "validation/accuracy"),
        ("acc/val", "validation/accuracy"),
        ("validation.accuracy", "validation/accuracy"),
        ("test_loss", "test/loss"),
        ("train/Loss/train", "train/loss"),
        ("lr", "lr"),
        ("learning_rate", "lr"),
        ("train/learning_rate", "lr"),
        ("lr/pg0", "lr"),
        ("lr-AdamW", "lr"),
        ("lr/pg1", "train/lr/pg1"),
        ("metrics/mAP50(B)", "train/metrics/mAP50(B)"),
        ("grad_norm", "train/gradient_norm"),
        ("train", "train/train"),
        ("val_", "validation/val_"),
        ("", "train/"),
    ],
)
def test_a_name_says_of_what_its_figure_is(name: str, series: str) -> None:
    assert series_name(name) == series


@pytest.mark.parametrize(
    "name", ["accuracy", "mAP50(B)", "top1", "miou", "AUROC", "bleu4", "f1_macro", "BinaryF1Score", "r2"]
)
def test_a_score_is_better_when_it_is_larger(name: str) -> None:
    assert larger_is_better(name)


@pytest.mark.parametrize(
    "name", ["loss", "box_loss", "perplexity", "wer", "mae", "val_error", "anything", "calibration_error"]
)
def test_a_loss_and_what_nobody_knows_is_better_when_it_is_smaller(name: str) -> None:
    assert not larger_is_better(name)


def test_an_evaluation_is_judged_by_its_accuracy_else_its_first_score_else_its_loss() -> None:
    assert telling_metric(["loss", "mAP50", "accuracy"]) == "accuracy"
    assert telling_metric(["loss", "mAP50"]) == "mAP50"
    assert telling_metric(["perplexity", "loss"]) == "loss"
    assert telling_metric([]) == ""
