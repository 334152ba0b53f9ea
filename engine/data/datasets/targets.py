"""Targets of a data set's samples: classes, numbers, or anything that its own collate_fn handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset

from ...errors import DataError, TorchdeckError
from ...progress import Progress, unreported
from ...user_code import raise_user_error
from .splits import SampleDataset

TargetKind = Literal["classes", "values", "own"]
"""classes: one class index per sample. values: one number or a vector of numbers per sample, such as a measurement to
predict or the 0 and 1 of several labels. own: anything else, which only the data set's collate_fn understands."""

Targets = NDArray[np.int64] | NDArray[np.float32]

# Samples that a list of targets is compared with. A list that is wrong about one sample in twenty passes with a
# probability of 4 %, and then the first such sample that is read says so.
_COMPARED = 64
_REPORT_EVERY = 64
_SHOWN = 60
_NAMED = 5


@dataclass(frozen=True)
class FoundTargets:
    """The targets of a data set.

    Attributes:
        targets: int64 [n] class indices; float32 [n] or [n, K] values; None for targets that are neither.
        are_listed: whether they are the data set's own list, which a few of its samples agreed with.
    """

    targets: Targets | None
    are_listed: bool = False


def read_targets(
    dataset: SampleDataset, note: Callable[[str], None], *, is_own: bool, progress: Progress = unreported
) -> FoundTargets:
    """The target of every sample, as its samples have it.

    A list that the data set keeps, its attribute `targets`, saves reading every sample. It is used if samples from
    all over the data set agree with it: a `target_transform` makes other targets than the list has. The lists behind
    torch's Subset and ConcatDataset are found as well.

    Args:
        dataset: an opened part of a data set.
        note: called with what the user should know.
        is_own: whether it is one of torchdeck's own, whose samples have the listed targets by construction.
        progress: called with what is done, samples done, samples in all.

    Raises:
        DataError: no samples, samples that are not pairs, or a sample that can't be read.
        UserCodeError: the data set failed; names the index.
    """
    if not len(dataset):
        raise DataError("the data set has no samples")
    listed = _listed(dataset)
    if is_own and listed is not None and len(listed) == len(dataset):
        return FoundTargets(as_array(listed))
    targets = None if listed is None else as_array(listed)
    if targets is not None and len(targets) == len(dataset):
        problem = _disagreement(dataset, targets, progress)
        if problem is None:
            return FoundTargets(targets, are_listed=True)
        note(f"{problem}, so every sample was read and its own label is used")
    elif targets is not None:
        note(
            f"every sample was read to find its label: the attribute `targets` has {len(targets):,} entries for "
            f"{len(dataset):,} samples"
        )
    if as_array([_target(dataset, 0)]) is None:
        return FoundTargets(None)
    if targets is None:
        note("every sample was read to find its label: an attribute `targets` on the data set would avoid that")
    return FoundTargets(as_array(list(_every_target(dataset, progress))))


def _listed(dataset: Any) -> Any:
    """The data set's own list of targets, or what torch's wrappers leave of the one behind them; None without."""
    targets = getattr(dataset, "targets", None)
    if targets is not None:
        return targets if hasattr(targets, "__len__") else None
    if isinstance(dataset, Subset):
        inner = _listed(dataset.dataset)
        known = None if inner is None else as_array(inner)
        return None if known is None else known[np.asarray(dataset.indices, dtype=np.int64)]
    if isinstance(dataset, ConcatDataset):
        parts = [_listed(part) for part in dataset.datasets]
        arrays = [None if part is None else as_array(part) for part in parts]
        kinds = {None if array is None else (array.dtype, array.shape[1:]) for array in arrays}
        return (
            None
            if len(kinds) > 1 or None in kinds
            else np.concatenate([array for array in arrays if array is not None])
        )
    return None


def _disagreement(dataset: SampleDataset, targets: Targets, progress: Progress) -> str | None:
    """Where a list of targets says something else than a sample; None where the samples looked at agree with it.

    One sample out of each of many equal parts is looked at, the same every time.
    """
    count = min(_COMPARED, len(dataset))
    bounds = np.linspace(0, len(dataset), count + 1).astype(np.int64)
    generator = np.random.Generator(np.random.PCG64([len(dataset), 0x7A26]))
    for number, index in enumerate(generator.integers(bounds[:-1], bounds[1:]).tolist()):
        progress("comparing labels", number, count)
        try:
            target = _target(dataset, index)
        except TorchdeckError:
            # The code that reads this sample reports the problem.
            continue
        if not is_same_target(target, targets[index]):
            return (
                f"the attribute `targets` has {_shown(targets[index])} for sample {index}, which has {_shown(target)}"
            )
    return None


def _every_target(dataset: SampleDataset, progress: Progress) -> Iterator[Any]:
    for index in range(len(dataset)):
        if index % _REPORT_EVERY == 0:
            progress("reading labels", index, len(dataset))
        yield _target(dataset, index)


def is_same_target(target: Any, known: Any) -> bool:
    """Whether a sample's target is the one in an array of targets: an int64 or float32 number, or float32 [K]."""
    if type(target) is int and isinstance(known, np.int64):
        return target == int(known)
    made, wanted = as_array([target]), np.asarray(known)
    if made is None or made.dtype != wanted.dtype or made.shape[1:] != wanted.shape:
        return False
    return bool(np.array_equal(made[0], wanted, equal_nan=made.dtype.kind == "f"))


def _shown(target: Any) -> str:
    words = " ".join(str(np.asarray(target) if isinstance(target, Tensor) else target).split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


def kind_of(targets: Targets | None) -> TargetKind:
    """What kind of targets an array of them holds."""
    if targets is None:
        return "own"
    return "classes" if targets.dtype == np.int64 else "values"


def untaught_classes(targets: Targets | None, names: list[str] | None, classes: list[str]) -> list[str]:
    """What to know of classes without a training sample, for which a model has outputs all the same.

    Args:
        targets: of the training part.
        names: that the data set gives its classes; None where they are numbered.
        classes: the names in use.
    """
    if targets is None or kind_of(targets) != "classes":
        return []
    empty = np.flatnonzero(np.bincount(targets.astype(np.int64), minlength=len(classes)) == 0).tolist()
    if not empty:
        return []
    listed = ", ".join(classes[index] for index in empty[:_NAMED]) + (", …" if len(empty) > _NAMED else "")
    if names is not None:
        return [f"no training sample is of {len(empty):,} of the {len(classes):,} classes: {listed}"]
    present = len(classes) - len(empty)
    return [
        f"the labels are {present:,} different numbers up to {len(classes) - 1:,}, so the model gets {len(classes):,} "
        f"outputs, of which {len(empty):,} have no training sample ({listed}); if that is not meant, number the "
        "classes from 0 without gaps"
    ]


def num_outputs(targets: Targets, classes: list[str]) -> int:
    """How many numbers a model has to return for a sample: one per class, or one per value."""
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


def as_array(targets: Any) -> Targets | None:
    """Targets as one array; None if they are not numbers, or differ in count between samples."""
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
