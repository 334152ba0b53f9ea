"""What a data set's samples are to be mapped to: a class, numbers, or whatever its own collate_fn makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError, TorchdeckError
from ...user_code import raise_user_error
from .splits import SampleDataset

TargetKind = Literal["classes", "values", "own"]
"""classes: one class index a sample. values: one number or a vector of numbers a sample, such as a measurement to
predict or the 0 and 1 of several labels. own: anything else, which only the data set's collate_fn understands."""

Targets = NDArray[np.int64] | NDArray[np.float32]


def read_targets(dataset: SampleDataset, note: Callable[[str], None]) -> Targets | None:
    """The target of every sample: the data set's own list of them, else by reading every sample.

    Args:
        dataset: an opened part of a data set.
        note: called with what the user should know.

    Returns:
        int64 [n] class indices; float32 [n] or [n, K] values; None for targets that are neither, of which nothing
        but the first is read.

    Raises:
        DataError: no samples, samples that are no pairs, or a sample that can't be read.
        UserCodeError: the data set failed; names the index.
    """
    if not len(dataset):
        raise DataError("the data set has no samples")
    targets = getattr(dataset, "targets", None)
    if targets is not None and len(targets) == len(dataset):
        return _as_array(targets)
    if _as_array([_target(dataset, 0)]) is None:
        return None
    note("labels were read sample by sample: an attribute `targets` on the data set would make opening it instant")
    return _as_array([_target(dataset, index) for index in range(len(dataset))])


def kind_of(targets: Targets | None) -> TargetKind:
    """What kind of targets an array of them holds."""
    if targets is None:
        return "own"
    return "classes" if targets.dtype == np.int64 else "values"


def num_outputs(targets: Targets, classes: list[str]) -> int:
    """How many numbers a model has to return for a sample: one a class, or one a value."""
    if kind_of(targets) == "classes":
        return len(classes)
    return 1 if targets.ndim == 1 else int(targets.shape[1])


def _target(dataset: SampleDataset, index: int) -> Any:
    try:
        sample = dataset[index]
    except (TorchdeckError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise_user_error(error, f"sample {index}")
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise DataError(f"sample {index}: is {type(sample).__name__}; expected a pair (input, target)")
    return sample[1]


def _as_array(targets: Any) -> Targets | None:
    """Targets as one array; None where they are no numbers, or not as many for every sample."""
    if not isinstance(targets, np.ndarray):
        if isinstance(targets, Tensor):
            targets = targets.numpy(force=True)
        else:
            try:
                targets = np.asarray([_plain(target) for target in targets])
            except ValueError:
                return None
    if targets.dtype.kind not in "biuf" or targets.ndim not in (1, 2):
        return None
    if targets.ndim == 1 and targets.dtype.kind in "biu":
        return targets.astype(np.int64)
    return targets.astype(np.float32)


def _plain(target: Any) -> Any:
    if isinstance(target, Tensor):
        # A subclass, such as torchvision's boxes, means more than its numbers.
        return target.tolist() if type(target) is Tensor else object()
    return target
