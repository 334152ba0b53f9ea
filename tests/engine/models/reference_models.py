"""Small models whose counts are known by hand: parameters, buffers, and operations of one forward."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.emb(x))


class Aliased(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = self.a

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.linear(self.linear(x)))


class Block(nn.Module):
    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


def shared_layer_in_blocks() -> nn.Module:
    shared = nn.PReLU()
    return nn.Sequential(*(Block(shared) for _ in range(3)))


class OwnParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.scale


class ParameterContainers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.listed = nn.ParameterList([torch.zeros(2, 2), torch.zeros(3)])
        self.named = nn.ParameterDict({"k": torch.zeros(4)})

    def forward(self, x: Tensor) -> Tensor:
        return x + self.listed[0].sum() + self.named["k"].sum()


class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("mask", torch.zeros(5), persistent=False)
        self.register_buffer("nothing", None)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class AuxiliaryHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(4, 4)
        self.aux = nn.Linear(4, 2)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor | None]:
        x = self.features(x)
        return {"out": self.head(x), "aux": self.aux(x) if self.training else None}


class BrokenRepresentation(nn.Linear):
    def extra_repr(self) -> str:
        raise ValueError("[red]boom[/]")


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Mismatched(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 6)
        self.b = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


class TwoViewsOfOneStorage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 4, bias=False)
        self.b = nn.Linear(4, 3, bias=False)
        self.b.weight = nn.Parameter(self.a.weight.data.t())

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


class WithLinear(nn.Module):
    """A Linear(4, 4) and whatever a subclass does with it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)


class BranchOnValue(WithLinear):
    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return x * 2 if x.sum().item() > 0 else x


class ConstantInForward(WithLinear):
    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * torch.tensor([1.0, 2.0, 3.0, 4.0])


class NumpyConstant(WithLinear):
    def __init__(self) -> None:
        super().__init__()
        self.constant = torch.from_numpy(np.ones(4, "float32"))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.constant


class Masked(WithLinear):
    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x[x >= 0].view(-1, 4))


class ThroughNumpy(WithLinear):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.linear(x).detach().numpy())


class OneHot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(nn.functional.one_hot(x, 5).float())


class ComputesInConstructor(WithLinear):
    def __init__(self) -> None:
        super().__init__()
        self.rates = torch.linspace(0, 1, 4).tolist()
        self.norm = float(self.linear.weight.detach().norm())

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.rates[1]


class DrawnInConstructor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drawn = nn.Parameter(torch.normal(torch.zeros(4, 4), 1.0))
        self.register_buffer("noise", torch.randn(4, generator=torch.Generator().manual_seed(1)))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.drawn + self.noise


def partly_frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    model[1].weight.requires_grad_(False)
    return model


def nested(levels: int) -> nn.Module:
    model: nn.Module = nn.Linear(2, 2)
    for _ in range(levels):
        model = nn.Sequential(model)
    return model


@dataclass(frozen=True)
class Case:
    """A model, what goes in, and what is known of it. `flops` None: not stated."""

    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    params: int
    trainable: int
    buffers: int
    flops: int | None
    needs_values: bool = False


def floats(*shape: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (torch.zeros(*shape),)


def indices(*shape: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (torch.zeros(*shape, dtype=torch.long),)


# What attention over 6 positions of width 8 costs: its projections, then queries by keys and weights by values.
ATTENTION = 2 * (6 * 8 * 24 + 6 * 8 * 8) + 2 * 2 * 6 * 6 * 8

CASES = [
    Case("linear", lambda: nn.Linear(4, 3), floats(2, 4), 15, 15, 0, 48),
    Case("conv", lambda: nn.Conv2d(3, 8, 3, 2, 1), floats(1, 3, 32, 32), 224, 224, 0, 110_592),
    Case("depthwise", lambda: nn.Conv2d(8, 8, 3, 1, 1, 1, 8, False), floats(1, 8, 10, 10), 72, 72, 0, 14_400),
    Case("transposed", lambda: nn.ConvTranspose2d(4, 6, 2, 2), floats(1, 4, 5, 5), 102, 102, 0, 4800),
    Case("linear on 3 dimensions", lambda: nn.Linear(3, 8), floats(5, 10, 3), 32, 32, 0, 2400),
    Case("tied", Tied, indices(2, 3), 40, 40, 0, 480),
    Case("aliased", Aliased, floats(2, 4), 20, 20, 0, 128),
    Case("reused", Reused, floats(2, 4), 20, 20, 0, 192),
    Case("shared layer", shared_layer_in_blocks, floats(1, 4), 121, 121, 0, 192),
    Case("own parameter", OwnParameter, floats(2, 3), 15, 15, 0, 36),
    Case("parameter containers", ParameterContainers, floats(2, 3), 11, 11, 0, 0),
    Case("buffers", Buffers, floats(2, 3), 6, 6, 12, 0),
    Case("lazy", lambda: nn.Sequential(nn.LazyLinear(5), nn.LazyLinear(2)), floats(2, 7), 52, 52, 0, 180),
    Case("weight norm", lambda: parametrizations.weight_norm(nn.Linear(4, 3)), floats(2, 4), 18, 18, 0, 48),
    Case("spectral norm", lambda: parametrizations.spectral_norm(nn.Linear(4, 3)), floats(2, 4), 15, 15, 7, None),
    Case("partly frozen", partly_frozen, floats(2, 4), 38, 14, 9, 96),
    Case("1501 modules", lambda: nn.Sequential(*[nn.Identity() for _ in range(1500)],
                                               nn.Linear(2, 2)), floats(1, 2), 6, 6, 0, 8),
    Case("nested 100 deep", lambda: nested(100), floats(1, 2), 6, 6, 0, 8),
    Case("auxiliary head", AuxiliaryHead, floats(2, 4), 45, 45, 0, 112),
    Case("attention", Attention, floats(1, 6, 8), 288, 288, 0, ATTENTION),
    Case("encoder layer", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), floats(1, 6, 8),
         600, 600, 0, ATTENTION + 2 * 2 * 6 * 8 * 16),
    Case("lstm", lambda: nn.LSTM(3, 4, batch_first=True), floats(2, 5, 3), 144, 144, 0, 2240),
    Case("two views of one storage", TwoViewsOfOneStorage, floats(2, 3), 24, 24, 0, 96),
    Case("constant in forward", ConstantInForward, floats(2, 4), 20, 20, 0, 64),
    Case("one hot", OneHot, indices(2), 12, 12, 0, 40),
    Case("drawn in constructor", DrawnInConstructor, floats(2, 4), 16, 16, 4, 64),
    Case("branch on a value", BranchOnValue, floats(2, 4), 20, 20, 0, 64, needs_values=True),
    Case("numpy constant", NumpyConstant, floats(2, 4), 20, 20, 0, 64, needs_values=True),
    Case("mask", Masked, floats(2, 4), 20, 20, 0, 64, needs_values=True),
    Case("through numpy", ThroughNumpy, floats(2, 4), 20, 20, 0, 64, needs_values=True),
    Case("computes in constructor", ComputesInConstructor, floats(2, 4), 20, 20, 0, 64, needs_values=True),
]  # fmt: skip
