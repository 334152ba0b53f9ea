"""The losses, what they have to fit, and what is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from training_cases import case, ended, placement, train, weights_of, write_model

from torchdeck.engine.errors import TorchdeckError, UserCodeError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.training.compute.objective import Objective, build_objective
from torchdeck.engine.training.compute.step import TrainStep

CPU = torch.device("cpu")
INDICES = np.array([0, 0, 0, 1, 2, 2])
LABELS = np.array([[1, 0], [0, 0], [1, 0], [1, 1]], dtype=np.float32)
VALUES = np.array([0.5, -1.0, 3.0, 2.0], dtype=np.float32)


def built(targets: NDArray[np.generic], *overrides: str, classes: int = 3) -> Objective:
    config = case(*overrides)
    names = [str(number) for number in range(classes)] if targets.dtype == np.int64 else []
    return build_objective(config.loss, config.evaluation, targets, names, CPU)


def write_loss(folder: Path, text: str) -> str:
    (folder / "mine.py").write_text(f"import torch\nfrom torch import nn\n{text}\n", encoding="utf-8")
    return f"{folder}/mine.py"


OUTPUTS = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("override", "targets", "expected"),
    [
        ("loss.name=bce", LABELS, functional.binary_cross_entropy_with_logits),
        ("loss.name=mse", LABELS, functional.mse_loss),
        ("loss.name=l1", LABELS, functional.l1_loss),
        ("loss={name='smooth_l1', beta=0.3}", LABELS, lambda a, b: functional.smooth_l1_loss(a, b, beta=0.3)),
        ("loss={name='huber', delta=0.3}", LABELS, lambda a, b: functional.huber_loss(a, b, delta=0.3)),
    ],
)
def test_a_loss_is_torchs_own(
    override: str, targets: NDArray[np.generic], expected: Callable[[Tensor, Tensor], Tensor]
) -> None:
    objective = built(targets, override)
    wanted = torch.from_numpy(targets)
    assert torch.equal(objective.loss(OUTPUTS, wanted), expected(OUTPUTS, wanted))
    assert objective.num_outputs == 2


def test_one_number_a_sample_is_compared_with_the_one_output_of_its_sample() -> None:
    objective = built(VALUES, "loss.name=mse")
    outputs, wanted = OUTPUTS[:, :1], torch.from_numpy(VALUES)
    assert objective.num_outputs == 1
    assert torch.equal(objective.loss(outputs, wanted), functional.mse_loss(outputs[:, 0], wanted))
    assert torch.equal(objective.scores(*objective.compared(outputs, wanted)), (outputs[:, 0] - wanted).abs())


def test_balanced_weights_make_every_class_count_the_same() -> None:
    objective = built(INDICES, "loss.class_weights=balanced")
    assert objective.class_weights is not None
    torch.testing.assert_close(objective.class_weights, torch.tensor([6 / 9, 6 / 3, 6 / 6]))
    counts = torch.tensor([3.0, 1.0, 2.0])
    torch.testing.assert_close(objective.class_weights * counts, torch.full((3,), 2.0))


def test_balanced_labels_weigh_their_positives_as_much_as_their_negatives() -> None:
    objective = built(LABELS, "loss={name='bce', class_weights='balanced'}")
    wanted = torch.from_numpy(LABELS)
    weights = torch.tensor([1 / 3, 3.0])
    expected = functional.binary_cross_entropy_with_logits(OUTPUTS, wanted, pos_weight=weights)
    assert torch.equal(objective.loss(OUTPUTS, wanted), expected)
    assert torch.equal(
        objective.plain_loss(OUTPUTS, wanted), functional.binary_cross_entropy_with_logits(OUTPUTS, wanted)
    )


def test_smoothing_and_weights_are_left_out_of_the_evaluation() -> None:
    logits, targets = torch.randn(6, 3), torch.from_numpy(INDICES)
    objective = built(INDICES, "loss.label_smoothing=0.2", "loss.class_weights=[1.0, 5.0, 0.5]")
    weights = torch.tensor([1.0, 5.0, 0.5])
    expected = functional.cross_entropy(logits, targets, weights, label_smoothing=0.2)
    assert torch.equal(objective.loss(logits, targets), expected)
    assert torch.equal(objective.plain_loss(logits, targets), functional.cross_entropy(logits, targets))


def test_shares_of_the_classes_are_targets_too() -> None:
    shares = np.array([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5]], dtype=np.float32)
    objective = build_objective(case().loss, case().evaluation, shares, ["a", "b", "c"], CPU)
    logits = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert torch.equal(
        objective.loss(logits, torch.from_numpy(shares)), functional.cross_entropy(logits, torch.from_numpy(shares))
    )
    assert objective.scores(*objective.compared(logits, torch.from_numpy(shares))).tolist() == [True, False]


@pytest.mark.parametrize("weights", ["none", "[0.5, 1.0, 4.0]"])
def test_accumulated_batches_are_the_mean_of_one_large_batch_also_with_class_weights(weights: str) -> None:
    objective = built(INDICES, f"loss.class_weights={weights}")
    generator = torch.Generator().manual_seed(2)
    inputs, targets = torch.randn(12, 5, generator=generator), torch.randint(0, 3, (12,), generator=generator)

    def trained(parts: list[int]) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        model = nn.Linear(5, 3)
        step = TrainStep(model, torch.optim.SGD(model.parameters(), lr=1.0), objective, placement(), clip_norm=0.0)
        window = list(zip(inputs.split(parts), targets.split(parts), strict=True))
        return step(window)[0], model.weight.detach()

    loss, weight = trained([12])
    for parts in ([6, 6], [5, 5, 2]):
        parts_loss, parts_weight = trained(parts)
        torch.testing.assert_close(parts_loss, loss)
        torch.testing.assert_close(parts_weight, weight)


@pytest.mark.parametrize(
    ("targets", "override", "message"),
    [
        (INDICES, "loss.name=mse", r"needs numbers as float targets, but the data's targets are indices of 3 classes"),
        (INDICES, "loss.name=bce", r"needs labels of 0 and 1 as float targets"),
        (VALUES, "loss.label_smoothing=0.1", r'"cross_entropy": needs class indices, .* numbers \[N\]; choose "bce"'),
        (VALUES, "loss.name=bce", "sample 1 has the target -1.0; bce needs between 0 and 1"),
        (
            np.array([1.0, np.nan], dtype=np.float32),
            "loss.name=mse",
            "sample 1 has the target nan; mse needs a finite",
        ),
        (INDICES, "loss.class_weights=[1.0, 2.0]", "has 2 numbers, but the data have 3 classes"),
        (VALUES, "loss={name='mse', label_smoothing=0.1}", "mse has no such option"),
        (VALUES, "loss={name='mse', class_weights='balanced'}", "mse has no such option"),
        (VALUES, "loss={name='smooth_l1', bta=0.1}", "unknown argument 'bta'; did you mean 'beta'"),
        (INDICES, "loss.label_smothing=0.1", "did you mean 'label_smoothing'"),
        (VALUES, "loss={name='huber', delta=-1}", "loss.delta = -1: must be a number above 0"),
        (INDICES, "loss.name=cross_entrpy", "did you mean 'cross_entropy'"),
        (INDICES, "loss.class_weights=[1.0, -2.0]", "one non-negative number per class"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(
    targets: NDArray[np.generic], override: str, message: str
) -> None:
    with pytest.raises(TorchdeckError, match=message):
        built(targets, override)


USER_LOSSES = {
    "a function of outputs and targets": (
        "def loss(a, b, scale=1.0): return scale * (a - b).square().mean()",
        "scale=2.0",
    ),
    "a function that makes one": ("def loss(scale): return lambda a, b: scale * (a - b).square().mean()", "scale=2.0"),
    "a class": (
        "class loss(nn.Module):\n    def __init__(self, scale):\n        super().__init__()\n"
        "        self.register_buffer('scale', torch.tensor(scale))\n"
        "    def forward(self, a, b): return self.scale * (a - b).square().mean()",
        "scale=2.0",
    ),
}


@pytest.mark.parametrize(("text", "argument"), USER_LOSSES.values(), ids=USER_LOSSES)
def test_a_users_loss_is_the_function_itself_or_what_makes_one(text: str, argument: str, tmp_path: Path) -> None:
    objective = built(VALUES, f"loss={{name='{write_loss(tmp_path, text)}:loss', {argument}}}")
    outputs, wanted = OUTPUTS[:, :1], torch.from_numpy(VALUES)
    torch.testing.assert_close(objective.loss(outputs, wanted), 2 * functional.mse_loss(outputs[:, 0], wanted))
    assert objective.kind == "values"


def test_a_users_loss_is_measured_by_what_the_targets_are(tmp_path: Path) -> None:
    file = write_loss(tmp_path, "def loss(a, b): return a.sum()")
    kinds = [built(targets, f"loss.name={file}:loss").kind for targets in (INDICES, LABELS, VALUES)]
    assert kinds == ["classes", "labels", "values"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def loss(a, b): return (a - b).square()", r"returned a tensor of \[2, 1\]; expected a scalar: the mean"),
        ("def loss(a, b): return 3.0", "returned float; expected the mean loss of a batch"),
        ("def loss(a, b): return a.detach().mean()", "a number without a gradient"),
        ("def loss(a, b): return a.mean().long()", "expected a floating-point number"),
        ("def loss(a, b): return a.maen()", r"(?s)has no attribute 'maen'.*mine.py.*line 3"),
        ("def loss(): return 7", "returned int; expected a loss"),
        ("class loss(nn.Linear):\n    def __init__(self): super().__init__(1, 1)", "has its own weights"),
        ("def lose(a, b): return a.mean()", "did you mean 'lose'"),
    ],
)
def test_a_users_loss_that_can_not_be_used_is_one_message(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TorchdeckError, match=message):
        built(VALUES, f"loss.name={write_loss(tmp_path, text)}:loss")


def test_a_users_loss_is_refused_before_a_run_directory_exists(tmp_path: Path) -> None:
    file = write_loss(tmp_path, "def loss(a, b): return nn.functional.cross_entropy(a, b, reduction='none')")
    run = ended(launch(case(f"loss.name={file}:loss"), tmp_path / "runs"))
    assert isinstance(run.error, UserCodeError)
    assert "expected a scalar" in str(run.error)
    assert not (tmp_path / "runs").exists()


def test_a_users_cross_entropy_trains_the_very_weights_of_the_built_in_one(tmp_path: Path) -> None:
    file = write_loss(tmp_path, "def loss(a, b): return nn.functional.cross_entropy(a, b)")
    own = weights_of(train(tmp_path / "own", f"loss.name={file}:loss", "training.epochs=1"))
    built_in = weights_of(train(tmp_path / "built-in", "training.epochs=1"))
    assert all(torch.equal(own[name], weight) for name, weight in built_in.items())


RETURNS = {
    "a tuple": "return self.fc(x.flatten(1)), x",
    "a dict": "return {'loss': None, 'logits': self.fc(x.flatten(1)), 'hidden': x}",
    "an object with logits": "import types\nreturn types.SimpleNamespace(logits=self.fc(x.flatten(1)))",
}


@pytest.mark.parametrize("body", RETURNS.values(), ids=RETURNS)
def test_a_model_may_return_more_than_its_logits(body: str, tmp_path: Path) -> None:
    model = write_model(tmp_path, body)
    plain = tmp_path / "plain"
    plain.mkdir()
    alone = write_model(plain, "return self.fc(x.flatten(1))")
    first, second = (
        weights_of(train(tmp_path / name, f"model={{name='{spec}'}}", "training.epochs=1"))
        for name, spec in (("more", model), ("alone", alone))
    )
    assert all(torch.equal(first[name], weight) for name, weight in second.items())


def test_auxiliary_classifiers_are_trained_with_their_share() -> None:
    from torchvision.models.inception import InceptionOutputs

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.auxiliary = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            main = self.main(x)
            return InceptionOutputs(main, self.auxiliary(x)) if self.training else main

    inputs, targets = torch.randn(6, 4), torch.from_numpy(INDICES)
    objective = built(INDICES)
    model = Two()
    expected = objective.loss(model.main(inputs), targets) + 0.3 * objective.loss(model.auxiliary(inputs), targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    step = TrainStep(model, optimizer, objective, placement(), clip_norm=0.0, auxiliary_weight=0.3)
    assert torch.equal(step([(inputs, targets)])[0], expected.detach())
