"""Why a run failed, in one message."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from ..errors import TorchdeckError


def describe_failure(error: BaseException) -> str:
    """One message for the run's state: our own errors as they are, others with their type and place."""
    if isinstance(error, TorchdeckError):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return (
            f"out of memory: {str(error).splitlines()[0]}. Smaller parts of the batch don't help any more: take a "
            "smaller model or smaller images, an optimizer that keeps less (SGD), or end what else uses the device"
        )
    remedy = ""
    if "Expected more than 1 value per channel when training" in str(error):
        remedy = (
            ". Batch normalisation can't train on one sample: set loader.drop_last = true, "
            "or another loader.batch_size"
        )
    return f"{type(error).__name__}: {error}{_place_of(error)}{remedy}"


def _place_of(error: BaseException) -> str:
    """File and line where an exception came from: the user's own line where the user's code is on the way."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parents[1]) + os.sep
    users = [frame for frame in frames if not frame.filename.startswith(own) and "site-packages" not in frame.filename]
    return "".join(f" ({frame.filename}, line {frame.lineno})" for frame in (users or frames)[-1:])
