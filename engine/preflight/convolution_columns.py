"""Memory of convolutions in bf16 and fp16 on a processor without instructions for them.

There torch unfolds the whole batch: a column for every pixel of the result, in the forward pass and again in the
backward one. Elsewhere a convolution needs next to nothing besides its results.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

_FORWARD, _BACKWARD = torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default


def column_bytes(operation: OpOverload, arguments: tuple[Any, ...], output: Any) -> int:
    """Bytes that an operation on the CPU takes while it runs, besides what it returns; 0 unless it unfolds its input.

    Args:
        operation: any operation of torch.
        arguments: its positional arguments.
        output: what it returned.
    """
    if operation is _FORWARD:
        inputs, weight, _, stride, padding, _, is_transposed, _, groups = arguments[:9]
        result = output
    elif operation is _BACKWARD:
        result, inputs, weight, _, stride, padding, _, is_transposed, _, groups = arguments[:10]
    else:
        return 0
    if is_transposed or _is_native(weight):
        return 0
    kernel = weight.shape[2:]
    if math.prod(kernel) == 1 and set(stride) == {1} and set(padding) == {0}:
        # Its columns are its input.
        return 0
    column = inputs.shape[1] // groups * math.prod(kernel)
    return int(len(inputs) * column * math.prod(result.shape[2:]) * inputs.element_size())


def _is_native(weight: Tensor) -> bool:
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype != torch.float16 or bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
