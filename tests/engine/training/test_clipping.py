"""Clipped steps against steps written out by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from training_cases import objective, placement

from torchdeck.engine.training.compute.step import TrainStep
from torchdeck.engine.training.optimization.clipping import ClipMethod, clip_gradients


def by_hand(weight: Tensor, gradients: list[Tensor], limit: float, method: ClipMethod) -> list[Tensor]:
    """The clipped gradients of [weight, bias], element by element."""
    if method == "norm":
        total = sum(float(value) ** 2 for gradient in gradients for value in gradient.flatten()) ** 0.5
        return [gradient * min(1.0, limit / (total + 1e-6)) for gradient in gradients]
    if method == "value":
        return [
            torch.tensor([max(-limit, min(limit, float(x))) for x in g.flatten()]).view(g.shape) for g in gradients
        ]
    matrix, bias = gradients
    rows = []
    for row, own in zip(matrix, weight, strict=True):
        most = limit * max(float(own.norm()), 1e-3)
        rows.append(row * (most / float(row.norm())) if float(row.norm()) > most else row)
    most = limit * 1e-3
    return [torch.stack(rows), bias * (most / float(bias.norm())) if float(bias.norm()) > most else bias]


@pytest.mark.parametrize("method", ["norm", "value", "adaptive"])
@pytest.mark.parametrize("limit", [0.01, 0.1, 100.0])
def test_gradients_are_bounded_as_written_out_by_hand(method: ClipMethod, limit: float) -> None:
    generator = torch.Generator().manual_seed(3)
    layer = nn.Linear(5, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(4, 5, generator=generator) * torch.tensor([[0.0], [0.1], [1.0], [9.0]]))
        layer.bias.zero_()
    gradients = [torch.randn(4, 5, generator=generator), torch.randn(4, generator=generator)]
    layer.weight.grad, layer.bias.grad = (gradient.clone() for gradient in gradients)
    expected = by_hand(layer.weight.detach(), gradients, limit, method)
    clip_gradients(list(layer.parameters()), limit, method)
    torch.testing.assert_close([layer.weight.grad, layer.bias.grad], expected)


@pytest.mark.parametrize("method", ["norm", "value", "adaptive"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_accumulated_step_is_clipped_once_and_without_the_loss_scale(method: ClipMethod, precision: str) -> None:
    generator = torch.Generator().manual_seed(5)
    inputs, targets = torch.rand(16, 6, generator=generator), torch.randint(10, (16,), generator=generator)
    limit = 0.05

    def model() -> nn.Linear:
        torch.manual_seed(2)
        return nn.Linear(6, 10)

    ours, expected = model(), model()
    optimizer = torch.optim.SGD(ours.parameters(), lr=1.0)
    run = placement(f"training.precision={precision}")
    step = TrainStep(ours, optimizer, objective(), run, clip_norm=limit, clip_by=method)
    step(list(zip(inputs.split(4), targets.split(4), strict=True)))
    functional.cross_entropy(expected(inputs), targets).backward()
    before = expected.weight.detach().clone()
    clip_gradients(list(expected.parameters()), limit, method)
    with torch.no_grad():
        for parameter in expected.parameters():
            parameter -= parameter.grad
    moved = (expected.weight - before).norm()
    assert moved > 0
    assert (ours.weight - expected.weight).norm() < (0.02 if precision == "fp16" else 1e-5) * moved
