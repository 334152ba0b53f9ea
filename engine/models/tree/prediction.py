"""Find the prediction in the return value of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_KEYS = ("logits", "out")


def prediction_of(output: Any) -> Any:
    """The tensor that is trained and measured.

    A tensor itself; the attribute or key `logits` (Hugging Face's models, torchvision's Inception and GoogLeNet in
    training) or else the key `out`; the first entry of a tuple or list. What is none of these is returned as it is.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(logits := getattr(output, "logits", None), Tensor):
        return logits
    if isinstance(output, Mapping):
        return next((output[key] for key in _KEYS if isinstance(output.get(key), Tensor)), output)
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return output[0]
    return output


def auxiliary_predictions(output: Any) -> list[Tensor]:
    """The outputs of auxiliary classifiers: the fields `aux_logits…` of the named tuple that torchvision's Inception
    and GoogLeNet return in training. Empty for any other model."""
    fields = getattr(output, "_fields", ())
    found = (getattr(output, field) for field in fields if field.startswith("aux_logits"))
    return [value for value in found if isinstance(value, Tensor)]
