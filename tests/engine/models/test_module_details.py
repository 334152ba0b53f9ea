"""What is said of one module: its tensors, their type, its documentation."""

from __future__ import annotations

import torch
from torch import nn

from torchdeck.engine.models.module_tree import inspect_factory
from torchdeck.engine.models.tree.module_details import buffer_rows, common_dtype, documentation, parameter_rows


class Documented(nn.Module):
    """Mixes :class:`~torch.nn.Linear` and ``ReLU``,
    as `the paper <http://example>`_ does.

    Args:
        nothing: at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 3), requires_grad=False)
        self.small = nn.Parameter(torch.zeros(4, dtype=torch.float16))
        self.register_buffer("mask", torch.zeros(5, dtype=torch.bool), persistent=False)
        self.register_buffer("none", None)
        self.lazy = nn.LazyLinear(2)


class Bare(nn.Module):
    pass


def test_tensors_are_listed_with_shape_type_size_and_state() -> None:
    module = Documented()
    assert [(row.name, row.shape, row.dtype, row.bytes, row.trainable) for row in parameter_rows(module)] == [
        ("weight", [2, 3], "float32", 24, False),
        ("small", [4], "float16", 8, True),
    ]
    assert [(row.name, row.dtype, row.persistent) for row in buffer_rows(module)] == [("mask", "bool", False)]
    assert common_dtype(parameter_rows(module)) == "mixed"
    assert [(row.shape, row.bytes) for row in parameter_rows(module.lazy)] == [(None, 0), (None, 0)]


def test_documentation_is_plain_and_the_module_s_own() -> None:
    assert documentation(Documented) == "Mixes torch.nn.Linear and ReLU, as the paper does."
    assert documentation(Bare) == ""


def test_modes_types_and_documentation_are_in_the_report() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4).eval())

    report = inspect_factory(make, lambda: (torch.zeros(2, 4),))
    assert [row.training for row in report.modules] == [True, True, False]
    assert [row.dtype for row in report.modules] == ["", "float32", "float32"]
    assert [buffer.name for buffer in report.modules[2].own_buffers][:2] == ["running_mean", "running_var"]
    assert report.docs["Linear"].startswith("Applies an affine linear transformation")
