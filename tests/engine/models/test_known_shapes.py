"""What operations return for tensors without values: as torch's own kernels say, only sooner."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchdeck.engine.models.tree.meta_build import build_weightless
from torchdeck.engine.models.tree.meta_shapes import known_result

aten = torch.ops.aten


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def norm(channels: int) -> tuple[Tensor, ...]:
    return tuple(empty(channels) for _ in range(4))


image, last = empty(2, 6, 5, 4), empty(2, 6, 5, 4).contiguous(memory_format=torch.channels_last)
activations = [aten.relu, aten.gelu, aten.silu, aten.sigmoid, aten.hardsigmoid, aten.hardswish, aten.hardtanh]
KNOWN: list[tuple[Any, tuple[Any, ...]]] = [
    *((aten.native_batch_norm.default, (x, *norm(6), False, 0.1, 1e-5)) for x in (image, last, empty(3, 6))),
    (aten.native_batch_norm.default, (image, None, None, empty(6), empty(6), False, 0.1, 1e-5)),
    (aten.native_layer_norm.default, (image, [4], empty(4), empty(4), 1e-5)),
    (aten.native_layer_norm.default, (image, [5, 4], None, None, 1e-5)),
    (aten.native_layer_norm.default, (image.permute(0, 2, 3, 1), [6], empty(6), empty(6), 1e-5)),
    (aten.addmm.default, (empty(3), empty(2, 5), empty(5, 3))),
    (aten.addmm.default, (empty(3), empty(2, 5), empty(3, 5).t())),
    *((function.default, (x,)) for function in activations for x in (image, last, empty(2, 3, dtype=torch.bfloat16))),
    *((function.Tensor, (x, x)) for function in (aten.add, aten.mul) for x in (image, last, empty(2).long())),
    *((function.default, (image,)) for function in (aten.relu_, aten.silu_, aten.hardswish_, aten.hardtanh_)),
]


def layout(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    return [layout(item) for item in value]


@pytest.mark.parametrize(("function", "arguments"), KNOWN)
def test_a_known_result_is_laid_out_as_the_one_of_torch(function: Any, arguments: tuple[Any, ...]) -> None:
    known = known_result(function, arguments, {})
    assert known is not None
    assert layout(known) == layout(function(*arguments))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (aten.native_batch_norm.default, (image, *norm(7), False, 0.1, 1e-5)),
        (aten.native_batch_norm.default, (image, *norm(6), True, 0.1, 1e-5)),
        (aten.native_batch_norm.default, (empty(2, 6, 5, 4, dtype=torch.bfloat16), *norm(6), False, 0.1, 1e-5)),
        (aten.native_layer_norm.default, (image, [5], empty(5), empty(5), 1e-5)),
        (aten.addmm.default, (empty(3), empty(2, 6), empty(5, 3))),
        (aten.add.Tensor, (image, empty(6, 1, 1))),
        (aten.mul.Tensor, (image, 2)),
        (aten.relu.default, (torch.zeros(2, 3),)),
        (aten.relu.default, (empty(2, 3).long(),)),
        (aten.mm.default, (empty(2, 3), empty(3, 2))),
    ],
)
def test_anything_else_is_left_to_torch(function: Any, arguments: tuple[Any, ...]) -> None:
    assert known_result(function, arguments, {}) is None


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [((5,), {}, "Fan in and fan out"), ((5, 5), {"mode": "fan"}, "Mode fan not supported")],
)
def test_an_initialization_that_can_not_be_still_raises_where_there_is_nothing_to_fill(
    shape: tuple[int, ...], settings: dict[str, Any], message: str
) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(shape))
            nn.init.kaiming_uniform_(self.weight, **settings)

    with pytest.raises(ValueError, match=message):
        build_weightless(Model)
