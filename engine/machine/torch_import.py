"""Whether torch can be imported: on a login node, or with a broken CUDA, it can't, and much works without it."""

from __future__ import annotations

import importlib
from functools import cache

from ..errors import TorchUnavailableError

_LONGEST_CAUSE = 300


@cache
def torch_failure() -> str:
    """Why torch or torchvision can't be imported, in one line; empty when they can. Imports them: takes a second.

    An import that failed is not tried again: a library that was half loaded raises something else the second time.
    """
    try:
        # In this order: torchvision imports torch, and would be blamed for it.
        importlib.import_module("torch")
        importlib.import_module("torchvision")
    except Exception as error:
        words = " ".join(str(error).split())
        return f"{type(error).__name__}: {words[:_LONGEST_CAUSE]}"
    return ""


def require_torch(what: str) -> None:
    """Raise TorchUnavailableError, in one line, when torch can't be imported.

    Args:
        what: what needs it, the subject of the message: "evaluate".
    """
    if failure := torch_failure():
        raise TorchUnavailableError(what, failure)
