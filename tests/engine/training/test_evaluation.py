import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from training_cases import objective, placement, training_data

from torchdeck.engine.models.freezing import apply_freeze
from torchdeck.engine.training.compute.evaluation import evaluate


def make_model() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(256, 10)
    ).train()


@pytest.fixture(scope="module")
def validation() -> object:
    return training_data("loader.eval_batch_size=100").validation


def test_scores_are_those_computed_by_hand_over_the_whole_split(validation: object) -> None:
    model = make_model()
    result = evaluate(model, validation, objective(), placement())
    assert result is not None
    batches = list(validation.batches(0))
    inputs, targets = torch.cat([batch[0] for batch in batches]), torch.cat([batch[1] for batch in batches])
    with torch.no_grad():
        logits = model.eval()(inputs)
    predicted = logits.argmax(1)
    f1 = []
    for label in range(10):
        hits = int(((predicted == label) & (targets == label)).sum())
        f1.append(2 * hits / max(1, int((predicted == label).sum()) + int((targets == label).sum())))
    assert result.metrics["loss"] == pytest.approx(float(functional.cross_entropy(logits, targets)), rel=1e-6)
    assert result.metrics["accuracy"] == pytest.approx(float((predicted == targets).double().mean()))
    assert result.metrics["macro_f1"] == pytest.approx(sum(f1) / 10)
    assert result.samples == len(targets) == validation.num_samples


def test_each_module_is_put_back_into_its_own_mode(validation: object) -> None:
    model = nn.Sequential(make_model(), nn.Identity())
    apply_freeze(model, ["0.1"])
    model.train()
    model[1].eval()
    before = {name: module.training for name, module in model.named_modules()}
    assert not before["0.1"], "a frozen norm layer stands still"
    seen: list[bool] = []
    model.register_forward_hook(lambda *_: seen.extend(module.training for module in model.modules()))
    evaluate(model, validation, objective(), placement())
    assert not any(seen)
    assert {name: module.training for name, module in model.named_modules()} == before


def test_modes_are_put_back_when_the_model_raises(validation: object) -> None:
    model = make_model()
    model.append(nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match="shapes"):
        evaluate(model, validation, objective(), placement())
    assert all(module.training for module in model.modules())


def test_weights_buffers_and_random_generators_are_not_moved(validation: object) -> None:
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())
    evaluate(model, validation, objective(), placement())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), repr(np.random.get_state())) == states[1:]
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_evaluation_runs_in_the_precision_of_training_and_sums_in_full(precision: str, validation: object) -> None:
    model = make_model()
    dtypes: set[torch.dtype] = set()
    model.register_forward_hook(lambda module, args, output: dtypes.add(output.dtype))
    result = evaluate(model, validation, objective(), placement(f"training.precision={precision}"))
    whole = evaluate(model, validation, objective(), placement())
    assert result is not None
    assert whole is not None
    assert dtypes == {torch.bfloat16 if precision == "bf16" else torch.float16, torch.float32}
    assert result.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=0.01)


def test_an_interrupted_evaluation_gives_no_scores(validation: object) -> None:
    model = make_model()
    answers: Iterator[bool] = iter([False, True])
    assert evaluate(model, validation, objective(), placement(), interrupted=lambda: next(answers)) is None
    assert model.training


def test_a_model_without_a_right_answer_scores_zero_not_nothing(validation: object) -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.one_hot(torch.full((len(x),), 10), 11).float()[:, :11]

    result = evaluate(Never(), validation, objective(num_classes=11), placement())
    assert result is not None
    assert (result.metrics["accuracy"], result.metrics["macro_f1"]) == (0.0, 0.0)
