"""The loss of several batches is that of all their samples, whatever each of them counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from training_cases import case, events_of, placement, reader_of, train, weights_of

from torchdeck.engine.data.loading.batch_loader import BatchLoader
from torchdeck.engine.training.compute.evaluation import Passes, evaluate
from torchdeck.engine.training.compute.loss_weights import weights_of_user_loss
from torchdeck.engine.training.compute.losses import UserLoss
from torchdeck.engine.training.compute.memory_recovery import RecoveringPasses, parts_of
from torchdeck.engine.training.compute.objective import Objective, build_objective
from torchdeck.engine.training.compute.step import Batch, TrainStep
from torchdeck.engine.training.records.step_log import StepBlock, StepLog
from torchdeck.engine.training.state import Totals

CPU = torch.device("cpu")
TARGETS = torch.tensor([0, 0, 1, 2, 0, 0, 2, 1, 0, 0, 0, 0, 1, 0, 2, 2])
INPUTS = torch.randn(16, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
ZERO_FIRST = "loss.class_weights=[0.0, 0.7, 4.1]"
POSITIVE = "loss.class_weights=[0.5, 0.7, 4.1]"
OF_CLASSES = {ZERO_FIRST: [0.0, 0.7, 4.1], POSITIVE: [0.5, 0.7, 4.1]}


def built(*overrides: str, targets: NDArray[np.generic] | None = None) -> Objective:
    config = case(*overrides)
    targets = TARGETS.numpy() if targets is None else targets
    return build_objective(config.loss, config.evaluation, targets, ["a", "b", "c"], CPU)


def write_loss(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(f"import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n{text}\n", "utf-8")
    return f"loss.name={path}:loss"


def make_step(objective: Objective, momentum: float = 0.0, weight_decay: float = 0.0) -> TrainStep:
    torch.manual_seed(0)
    model = nn.Linear(5, 3).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=momentum, weight_decay=weight_decay)
    return TrainStep(model, optimizer, objective, placement(), clip_norm=0.0)


def window_of(accumulate: int) -> list[Batch]:
    size = len(TARGETS) // accumulate
    return list(zip(INPUTS.split(size), TARGETS.split(size), strict=True))


def gradient_of(step: TrainStep) -> Tensor:
    assert step.model.weight.grad is not None
    return step.model.weight.grad


def by_torch(loss: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    model = nn.Linear(5, 3).double()
    value = loss(model(INPUTS), TARGETS)
    value.backward()
    assert model.weight.grad is not None
    return value.detach(), model.weight.grad


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", OF_CLASSES)
@pytest.mark.parametrize("accumulate", [1, 2, 4, 8])
def test_a_window_has_loss_and_gradient_of_its_whole_batch(accumulate: int, weights: str, smoothing: float) -> None:
    of_classes = torch.tensor(OF_CLASSES[weights], dtype=torch.float32).double()
    loss, gradient = by_torch(
        lambda a, b: functional.cross_entropy(a, b, of_classes, label_smoothing=smoothing),
    )
    step = make_step(built(weights, f"loss.label_smoothing={smoothing}"))
    found, _ = step.forward_backward(window_of(accumulate))
    torch.testing.assert_close(found, loss)
    torch.testing.assert_close(gradient_of(step), gradient)


def test_parts_of_a_batch_that_ran_out_of_memory_make_its_step() -> None:
    of_classes = torch.tensor(OF_CLASSES[ZERO_FIRST], dtype=torch.float32).double()
    loss, gradient = by_torch(lambda a, b: functional.cross_entropy(a, b, of_classes))
    step = make_step(built(ZERO_FIRST))

    def refuse(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if len(inputs[0]) > 2:
            raise torch.OutOfMemoryError("no room")

    step.model.register_forward_pre_hook(refuse)
    passes = RecoveringPasses(step, lambda: None, lambda parts: None)
    found, outputs = passes([(INPUTS, TARGETS)])
    assert passes.largest_part == 2
    assert sum(map(len, outputs)) == len(TARGETS)
    torch.testing.assert_close(found, loss)
    torch.testing.assert_close(gradient_of(step), gradient)


def test_a_window_that_counts_nothing_changes_no_weight() -> None:
    step = make_step(built(ZERO_FIRST), momentum=0.9, weight_decay=0.1)
    step([(INPUTS, TARGETS)])
    before = step.model.weight.detach().clone()
    for window in ([(INPUTS[:2], TARGETS[:2])], [(INPUTS[:2], TARGETS[:2]), (INPUTS[4:6], TARGETS[4:6])]):
        loss, outputs = step(window)
        assert float(loss) == 0.0
        assert sum(map(len, outputs)) == sum(len(targets) for _, targets in window)
        assert torch.equal(step.model.weight, before)
    step([(INPUTS, TARGETS)])
    assert not torch.equal(step.model.weight, before), "the next window counts again"


def test_steps_and_epochs_are_averaged_by_what_they_count() -> None:
    objective = built(ZERO_FIRST)
    log, outputs = StepLog(objective), torch.randn(16, 3, generator=torch.Generator().manual_seed(4)).double()
    step = make_step(objective)
    for batch, logits in zip(window_of(8), outputs.split(2), strict=True):
        counts = bool((batch[1] != 0).any())
        loss = objective.loss(logits, batch[1]) if counts else step.forward_backward([batch])[0]
        log.add(loss.double(), [logits], [batch[1]], 0.1)
    block, totals = log.drain(), Totals()
    totals.add(block)
    assert block.weights is not None
    assert block.weights[0] == 0
    of_classes = torch.tensor(OF_CLASSES[ZERO_FIRST], dtype=torch.float32).double()
    whole = float(functional.cross_entropy(outputs, TARGETS, of_classes))
    assert totals.epoch_metrics(objective)["loss"] == pytest.approx(whole, rel=1e-12)


def test_an_epoch_that_counts_nothing_has_no_loss_but_a_score() -> None:
    totals = Totals()
    totals.add(StepBlock([0.0], [1], [2], [0.1], [0.0]))
    metrics = totals.epoch_metrics(built(ZERO_FIRST))
    assert math.isnan(metrics["loss"])
    assert metrics["accuracy"] == 0.5


def test_sums_of_a_checkpoint_without_weights_count_every_sample_alike() -> None:
    totals = Totals.of({"loss": 6.0, "score": 2, "samples": 3, "seconds": 1.0, "epoch_began": 0.0})
    assert totals.epoch_metrics(built())["loss"] == 2.0


OWN = {
    "a function that ignores a class": "def loss(a, b): return F.cross_entropy(a, b, ignore_index=0)",
    "a function with weights": "def loss(a, b): return F.cross_entropy(a, b, torch.tensor([0., .7, 4.1]))",
    "torch's class": "def loss(): return nn.CrossEntropyLoss(ignore_index=0)",
    "a class of it": "class loss(nn.CrossEntropyLoss):\n    def __init__(self): super().__init__(ignore_index=0)",
    "torch's class with weights": "def loss(): return nn.CrossEntropyLoss(torch.tensor([0., .7, 4.1]))",
    "one that says it": (
        "class loss:\n    def __call__(self, a, b):\n        keep = b != 0\n"
        "        return F.cross_entropy(a, b, reduction='none')[keep].mean()\n"
        "    def batch_weight(self, targets): return (targets != 0).sum()"
    ),
    "a mean that is 0 over nothing": (
        "def loss(a, b):\n    keep = b != 0\n"
        "    return (F.cross_entropy(a, b, reduction='none') * keep).sum() / keep.sum().clamp(min=1)"
    ),
}


class Fixed:
    """A loader of the test's own samples."""

    def __init__(self, size: int) -> None:
        self.num_samples, self.batch_size, self.num_batches = len(TARGETS), size, -(-len(TARGETS) // size)

    def batches(self, epoch: int, start: int = 0) -> list[Batch]:
        size = self.batch_size
        return list(zip(INPUTS.float().split(size), TARGETS.split(size), strict=True))[start:]


def evaluated(objective: Objective, loader: BatchLoader, passes: Passes = lambda batch, work: [work(batch)]) -> float:
    torch.manual_seed(0)
    result = evaluate(nn.Linear(5, 3), loader, objective, placement(), passes=passes)
    assert result is not None
    return result.metrics["loss"]


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_an_own_loss_that_ignores_samples_trains_and_measures_the_whole(text: str, tmp_path: Path) -> None:
    objective = built(write_loss(tmp_path, text))
    assert objective.notes == []
    whole = evaluated(objective, Fixed(16))
    assert evaluated(objective, Fixed(2)) == pytest.approx(whole, rel=1e-5)
    in_parts = evaluated(objective, Fixed(16), lambda batch, work: [work(part) for part in parts_of(batch, 3)])
    assert in_parts == pytest.approx(whole, rel=1e-5)

    def trained(accumulate: int) -> tuple[float, Tensor]:
        step = make_step(objective)
        step.model.float()
        window = [(inputs.float(), targets) for inputs, targets in window_of(accumulate)]
        return float(step.forward_backward(window)[0]), gradient_of(step)

    loss, gradient = trained(1)
    for accumulate in (2, 4, 8):
        assert trained(accumulate)[0] == pytest.approx(loss, rel=1e-5)
        torch.testing.assert_close(trained(accumulate)[1], gradient)


PLAIN = {
    "cross-entropy": "def loss(a, b): return F.cross_entropy(a, b)",
    "smoothed": "def loss(a, b): return F.cross_entropy(a, b, label_smoothing=0.1)",
    "focal": (
        "def loss(a, b):\n    l = F.cross_entropy(a, b, reduction='none')\n"
        "    return ((1 - (-l).exp()) ** 2 * l).mean()"
    ),
    "torch's class": "def loss(): return nn.CrossEntropyLoss()",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_an_own_loss_that_is_a_mean_over_samples_counts_samples(text: str, tmp_path: Path) -> None:
    objective = built(write_loss(tmp_path, text))
    assert objective.notes == []
    assert objective.weight(TARGETS) == len(TARGETS)
    assert objective.weights.of_batch is None


STRANGE = {
    "a sum": "def loss(a, b): return F.cross_entropy(a, b, reduction='sum')",
    "one of pairs": "def loss(a, b):\n    assert len(a) > 1\n    return (a[1:] - a[:-1]).square().mean()",
    "torch's, smoothed over a class without weight": (
        "def loss(): return nn.CrossEntropyLoss(torch.tensor([0., .7, 4.1]), label_smoothing=0.1)"
    ),
    "the worst half": (
        "def loss(a, b):\n    l = F.cross_entropy(a, b, reduction='none')\n"
        "    return l.topk(max(1, len(l) // 2)).values.mean()"
    ),
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_a_loss_that_can_not_say_its_weight_is_named(text: str, tmp_path: Path) -> None:
    (note,) = built(write_loss(tmp_path, text)).notes
    assert "is not a mean over samples" in note
    assert "batch_weight(targets)" in note


def test_a_loss_of_numbers_that_leaves_some_out_is_named(tmp_path: Path) -> None:
    text = "def loss(a, b):\n    keep = b >= 0\n    return (a - b)[keep].square().mean()"
    values = np.array([-1.0, 2.0, 3.0, -1.0], dtype=np.float32)
    assert built(write_loss(tmp_path, text), targets=values).notes
    plain = tmp_path / "plain"
    plain.mkdir()
    text = "def loss(a, b): return (a - b).square().mean()"
    assert not built(write_loss(plain, text), targets=values).notes


def test_trying_an_own_loss_moves_neither_its_buffers_nor_generators(tmp_path: Path) -> None:
    text = (
        "class loss(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.register_buffer('calls', torch.zeros(1))\n"
        "    def forward(self, a, b):\n        self.calls += 1\n"
        "        return F.cross_entropy(a, b, ignore_index=0) + 0 * torch.rand(())"
    )
    objective = built(write_loss(tmp_path, text))
    assert objective.weights.may_be_zero
    assert isinstance(objective.loss, UserLoss)
    before = objective.loss.made.calls.clone()
    state = torch.get_rng_state()
    weights = weights_of_user_loss(objective.loss, "mine", TARGETS, 3)
    assert weights.may_be_zero
    assert torch.equal(objective.loss.made.calls, before)
    assert torch.equal(torch.get_rng_state(), state)


SMALL = ["loader.batch_size=2", "loader.subset=0.2", "data.train_transforms=[]", "model.dropout=0"]
MOST_NOTHING = "loss.class_weights=[0,0,0,0,0,0,0,1,1,1]"


def test_a_run_whose_micro_batches_count_nothing_is_that_of_whole_batches(tmp_path: Path) -> None:
    sgd = ["optimizer.name=SGD", "optimizer.lr=0.1"]
    whole = train(tmp_path / "whole", *SMALL, *sgd, MOST_NOTHING, "loader.batch_size=4")
    parts = train(tmp_path / "parts", *SMALL, *sgd, MOST_NOTHING, "training.accumulate=2")
    for name, weight in weights_of(whole).items():
        torch.testing.assert_close(weights_of(parts)[name], weight, rtol=1e-4, atol=1e-5)
    first, second = (reader_of(run).series("train/loss")[1] for run in (whole, parts))
    assert np.isfinite(second).all()
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
    epochs = [[record["train"]["loss"] for record in reader_of(run).epoch_records()] for run in (whole, parts)]
    assert epochs[0] == pytest.approx(epochs[1], rel=1e-4)


def test_the_note_stands_in_the_run(tmp_path: Path) -> None:
    path = train(tmp_path / "runs", "training.epochs=1", write_loss(tmp_path, STRANGE["a sum"]))
    assert any("is not a mean over samples" in event["text"] for event in events_of(path, "note"))
