import math

import pytest
import torch

from engine.training.metrics import ConfusionMatrix, accuracy, class_scores, macro_f1
from engine.training.step_log import StepLog


def counted(targets: list[int], predictions: list[int], num_classes: int) -> torch.Tensor:
    matrix = ConfusionMatrix(num_classes, torch.device("cpu"))
    logits = torch.nn.functional.one_hot(torch.tensor(predictions), num_classes).float()
    matrix.update(logits, torch.tensor(targets))
    return matrix.counts()


def test_rows_are_targets_and_columns_predictions() -> None:
    assert counted([0, 0, 2], [0, 1, 1], 3).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_accuracy_is_the_share_of_right_predictions() -> None:
    assert accuracy(counted([0, 1, 2, 2], [0, 1, 1, 2], 3)) == 0.75


def test_macro_f1_by_hand() -> None:
    # class 0: TP 2, FP 1, FN 0 -> 0.8; class 1: TP 1, FP 0, FN 1 -> 2/3; class 2: TP 1 -> 1
    counts = counted([0, 0, 1, 1, 2], [0, 0, 0, 1, 2], 3)
    assert macro_f1(counts) == pytest.approx((0.8 + 2 / 3 + 1) / 3)


def test_a_class_that_never_occurs_is_left_out_of_the_macro_average() -> None:
    assert macro_f1(counted([0, 1], [0, 1], 5)) == 1.0


def test_an_empty_split_has_no_scores() -> None:
    empty = torch.zeros(3, 3, dtype=torch.int64)
    assert math.isnan(accuracy(empty))
    assert math.isnan(macro_f1(empty))


def test_per_class_scores() -> None:
    scores = class_scores(counted([0, 0, 1], [0, 1, 1], 2))
    assert scores.precision == [1.0, 0.5]
    assert scores.recall == [0.5, 1.0]
    assert scores.support == [2, 1]


@pytest.mark.parametrize("sizes", [[4] * 3, [4, 4, 2], [4] * 200, [1]])
def test_the_step_log_reads_back_each_step_whatever_the_batch_sizes(sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    log, losses, correct = StepLog(), [], []
    for size in sizes:
        logits = torch.randn(size, 5, generator=generator)
        targets = torch.randint(0, 5, (size,), generator=generator)
        loss = torch.nn.functional.cross_entropy(logits, targets)
        log.add(loss, [logits], [targets], 0.1)
        losses.append(loss.item())
        correct.append(int((logits.argmax(1) == targets).sum()))
    block = log.drain()
    assert (block.loss, block.correct, block.samples) == (losses, correct, sizes)
    assert len(log.drain()) == 0


def test_a_window_of_batches_is_one_step_in_the_log() -> None:
    log = StepLog()
    logits = torch.eye(3)
    log.add(torch.tensor(1.0), [logits, logits], [torch.tensor([0, 1, 2]), torch.tensor([0, 0, 0])], 0.1)
    assert log.drain().correct == [4]


def test_a_prediction_of_a_mixed_sample_is_right_when_it_is_the_class_with_the_largest_share() -> None:
    log = StepLog()
    shares = torch.tensor([[0.3, 0.7, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])
    for predictions, right in (([1, 0, 2], 3), ([0, 2, 2], 1)):
        log.add(torch.tensor(1.0), [torch.eye(3)[predictions]], [shares], 0.1)
        assert log.drain().correct == [right]
