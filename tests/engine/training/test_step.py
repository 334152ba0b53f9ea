from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from training_cases import objective, placement

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.training.compute.step import Batch, TrainStep


def make_model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def make_batches(sizes: list[int], seed: int = 1) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.rand(size, 1, 8, 8, generator=generator), torch.randint(10, (size,), generator=generator))
        for size in sizes
    ]


def make_step(
    model: nn.Module,
    precision: str = "fp32",
    clip_norm: float = 0.0,
    label_smoothing: float = 0.0,
    optimizer: torch.optim.Optimizer | None = None,
) -> TrainStep:
    return TrainStep(
        model,
        optimizer or torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9),
        objective(f"loss.label_smoothing={label_smoothing}"),
        placement(f"training.precision={precision}"),
        clip_norm=clip_norm,
    )


def textbook_steps(model: nn.Module, batches: list[Batch], clip_norm: float, label_smoothing: float) -> list[Tensor]:
    """The loop of PyTorch's tutorial."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    losses = []
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), targets, label_smoothing=label_smoothing)
        loss.backward()
        if clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        losses.append(loss.detach())
    return losses


def assert_same_weights(model: nn.Module, other: nn.Module) -> None:
    for (name, tensor), expected in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(tensor, expected), name


@pytest.mark.parametrize(
    ("clip_norm", "label_smoothing"),
    [(0.0, 0.0), (0.05, 0.0), (0.0, 0.1)],
    ids=["plain", "clipped", "label smoothing"],
)
def test_steps_are_those_of_the_textbook_loop_bit_for_bit(clip_norm: float, label_smoothing: float) -> None:
    batches = make_batches([32, 32, 7])
    model, expected = make_model(), make_model()
    step = make_step(model, clip_norm=clip_norm, label_smoothing=label_smoothing)
    losses = [step([batch])[0] for batch in batches]
    assert torch.equal(torch.stack(losses), torch.stack(textbook_steps(expected, batches, clip_norm, label_smoothing)))
    assert_same_weights(model, expected)


@pytest.mark.parametrize(("clip_norm", "label_smoothing"), [(0.05, 0.0), (0.0, 0.1)])
def test_clipping_and_smoothing_change_the_step(clip_norm: float, label_smoothing: float) -> None:
    batches = make_batches([32])
    model, plain = make_model(), make_model()
    make_step(model, clip_norm=clip_norm, label_smoothing=label_smoothing)(batches)
    make_step(plain)(batches)
    assert not torch.equal(model[1].weight, plain[1].weight)


@pytest.mark.parametrize("sizes", [[8, 8, 8, 8], [16, 16, 5]], ids=["equal batches", "a last batch that is not full"])
def test_accumulated_batches_make_the_step_of_one_large_batch(sizes: list[int]) -> None:
    window = make_batches(sizes)
    whole = (torch.cat([inputs for inputs, _ in window]), torch.cat([targets for _, targets in window]))
    model, expected = make_model(), make_model()
    loss, logits = make_step(model, clip_norm=0.05)(window)
    expected_loss, _ = make_step(expected, clip_norm=0.05)([whole])
    assert [len(part) for part in logits] == sizes
    torch.testing.assert_close(loss, expected_loss)
    for tensor, other in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(tensor, other, rtol=1e-5, atol=1e-7)


class DtypeProbe(nn.Module):
    """Remembers the dtype that a matrix product in its forward comes out in."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)
        self.seen: list[torch.dtype] = []

    def forward(self, x: Tensor) -> Tensor:
        logits = self.fc(x.flatten(1))
        self.seen.append(logits.dtype)
        return logits


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_forward_runs_in_the_precision_asked_for_and_weights_stay_fp32(precision: str, dtype: torch.dtype) -> None:
    model = DtypeProbe()
    loss, _ = make_step(model, precision)(make_batches([16]))
    assert model.seen == [dtype]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert loss.dtype is torch.float32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_only_fp16_scales_the_loss(precision: str) -> None:
    assert make_step(make_model(), precision).scaler is None
    assert make_step(make_model(), "fp16").scaler is not None


OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
    "fused SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, fused=True),
    "fused AdamW": lambda model: torch.optim.AdamW(model.parameters(), lr=0.01, fused=True),
}


@pytest.mark.parametrize("clip_norm", [0.0, 0.05], ids=["", "clipped"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fp16_trains_as_fp32_does_but_for_rounding(name: str, clip_norm: float) -> None:
    batches = make_batches([64, 64, 64])
    model, expected = make_model(), make_model()
    step = make_step(model, "fp16", clip_norm, optimizer=OPTIMIZERS[name](model))
    reference = make_step(expected, "fp32", clip_norm, optimizer=OPTIMIZERS[name](expected))
    start = make_model()[1].weight
    for batch in batches:
        step([batch])
        reference([batch])
    moved = (expected[1].weight - start).norm()
    assert moved > 0
    assert (model[1].weight - expected[1].weight).norm() < 0.05 * moved


@pytest.mark.parametrize("clip_norm", [0.0, 0.05], ids=["", "clipped"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_with_infinite_gradients_is_skipped_and_the_scale_lowered(name: str, clip_norm: float) -> None:
    model = make_model()
    step = make_step(model, "fp16", clip_norm, optimizer=OPTIMIZERS[name](model))
    assert step.scaler is not None
    step(make_batches([16]))
    before, scale = {key: value.clone() for key, value in model.state_dict().items()}, step.scaler.get_scale()
    handle = model[1].weight.register_hook(lambda gradient: torch.full_like(gradient, torch.inf))
    step(make_batches([16]))
    handle.remove()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert step.scaler.get_scale() == scale / 2
    step(make_batches([16]))
    assert not torch.equal(model[1].weight, before["1.weight"])


class Returns(nn.Module):
    def __init__(self, wrap: Callable[[Tensor], object], outputs: int = 10) -> None:
        super().__init__()
        self.fc = nn.Linear(64, outputs)
        self.wrap = wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.fc(x.flatten(1)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Returns(lambda logits: ((logits,), logits)), r"returned a tuple of 2 \(tuple, Tensor\); .* \[batch, 10\]"),
        (Returns(lambda logits: {"scores": logits}), "returned a dict with the keys scores; .* the key logits"),
        (Returns(lambda logits: None), "returned a NoneType"),
        (Returns(lambda logits: logits, outputs=7), r"\[16, 7\] for 16 samples; .* data's 10 classes"),
        (Returns(lambda logits: logits[:, :, None]), r"\[16, 10, 1\] for 16 samples"),
    ],
    ids=["tuple", "dict", "nothing", "wrong number of classes", "wrong rank"],
)
def test_a_model_that_does_not_return_logits_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_step(model)(make_batches([16]))
