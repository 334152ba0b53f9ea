"""Describe in one message why a run failed."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

from ..errors import TorchdeckError

OUT_OF_MEMORY = "out of memory: "
"""Begins the message of a run that failed for lack of memory."""

_REMEDY_FOR_DESCRIPTORS = (
    ". This process may not open more files: raise the limit in the shell that starts it (ulimit -n 8192), or set a "
    "lower loader.num_workers"
)


def describe_failure(error: BaseException) -> str:
    """One message for the run's state: our own errors as they are, others with their type and place."""
    if isinstance(error, TorchdeckError):
        return f"{error}{_REMEDY_FOR_DESCRIPTORS if lacks_descriptors(error) else ''}"
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return (
            f"{OUT_OF_MEMORY}{str(error).splitlines()[0]}. Smaller parts of the batch no longer help: use a "
            "smaller model or smaller images, an optimizer with less state (SGD), or end other programs on the device"
        )
    remedy = ""
    if "Expected more than 1 value per channel when training" in str(error):
        remedy = (
            ". Batch normalization can't train on one sample: set loader.drop_last = true, "
            "or another loader.batch_size"
        )
    elif lacks_descriptors(error):
        remedy = _REMEDY_FOR_DESCRIPTORS
    return f"{type(error).__name__}: {error}{_place_of(error)}{remedy}"


def lacks_descriptors(error: BaseException) -> bool:
    """Whether an error comes from the limit of open files; torch says it in its own way when it passes tensors on."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return True
        if any(words in str(cause) for words in ("Too many open files", "items of ancdata")):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _place_of(error: BaseException) -> str:
    """File and line where an exception came from: the user's own line where the user's code is on the way."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parents[1]) + os.sep
    users = [frame for frame in frames if not frame.filename.startswith(own) and "site-packages" not in frame.filename]
    return "".join(f" ({frame.filename}, line {frame.lineno})" for frame in (users or frames)[-1:])
