"""Samples into a batch: stacked, or as the user's collate_fn makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...config import LoaderConfig
from ...errors import DataError, TorchdeckError, UserCodeError
from ...inputs import Inputs, map_tensors, tensors_of
from ...user_code import load_object, raise_user_error
from ..datasets.samples import as_tensors, sample_name
from ..datasets.splits import Collate, Split
from ..datasets.targets import kind_of
from .storage import different_sizes

_WANTED = "a function that takes a list of (input, target) and returns (inputs, targets)"


def with_collate(split: Split, config: LoaderConfig) -> Split:
    """The split with the collate_fn that `[loader]` names, or its own. Raises ConfigError, UserCodeError."""
    if not config.collate_fn:
        return split
    return replace(split, collate=load_object(config.collate_fn, _WANTED))


def make_batch(split: Split, positions: Sequence[int], samples: list[tuple[Any, Any]]) -> tuple[Inputs, Tensor]:
    """Make a batch of transformed samples.

    Args:
        split: where they come from.
        positions: positions of the samples in the split, for messages.
        samples: pairs of input and target.

    Returns:
        Inputs, as the model takes them, and targets: class indices int64 [B], or values float32 [B] or [B, K]; of a
        collate_fn shares of the classes too, float32 [B, C].

    Raises:
        DataError: samples that can't be stacked; names two of them.
        UserCodeError: the collate_fn raised, or returned no batch, or targets of another kind than the data set's.
    """
    if split.collate is not None:
        return _collated(split, split.collate, samples)
    inputs = _stacked(split, positions, [sample for sample, _ in samples])
    targets = _stacked(split, positions, [as_tensors(target) for _, target in samples], "target")
    if not isinstance(targets, Tensor):
        raise DataError(
            f"the target of {sample_name(split, positions[0])} is {type(samples[0][1]).__name__}; expected a class "
            "index or numbers, or a collate_fn that makes them"
        )
    if split.targets is not None and kind_of(split.targets) == "values":
        targets = targets.float()
    elif split.targets is not None:
        targets = targets.long()
    return inputs, targets


def check_collated(collate: Collate, targets: Tensor, num_outputs: int) -> None:
    """Compare the targets of a batch with what a model returns for it.

    Args:
        collate: what made the batch.
        targets: as `make_batch` returns them, of a data set whose targets are classes.
        num_outputs: one for each class.

    Raises:
        UserCodeError: an index that is not a class, or shares for a different number of classes.
    """
    if targets.is_floating_point():
        if targets.shape[1] != num_outputs:
            raise UserCodeError(
                f"{collate_name(collate)}: its targets are shares of {targets.shape[1]} classes, and there are "
                f"{num_outputs}"
            )
        return
    wrong = targets[(targets < 0) | (targets >= num_outputs)]
    if len(wrong):
        raise UserCodeError(
            f"{collate_name(collate)}: its targets have the class index {int(wrong[0])}, and there are {num_outputs} "
            f"classes (0 to {num_outputs - 1})"
        )


def collate_name(collate: Collate) -> str:
    """How a message calls a user's function that makes batches."""
    return f"collate_fn {getattr(collate, '__qualname__', type(collate).__qualname__)}"


def _collated(split: Split, collate: Collate, samples: list[tuple[Any, Any]]) -> tuple[Inputs, Tensor]:
    name = collate_name(collate)
    try:
        batch = collate(samples)
    except TorchdeckError:
        raise
    except Exception as error:
        raise_user_error(error, name)
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise UserCodeError(f"{name}: returned {type(batch).__name__}; expected (inputs, targets)")
    inputs, targets = batch
    if isinstance(inputs, list):
        inputs = tuple(inputs)
    if isinstance(inputs, Mapping):
        inputs = dict(inputs)
    if not isinstance(inputs, Tensor | tuple | dict) or next(tensors_of(inputs), None) is None:
        raise UserCodeError(
            f"{name}: its inputs are {type(inputs).__name__}; expected a tensor, or a tuple or a dict of "
            "tensors, which are passed to the model as its arguments"
        )
    if not isinstance(targets, Tensor) or not targets.ndim or len(targets) != len(samples):
        shape = f" of {list(targets.shape)}" if isinstance(targets, Tensor) else ""
        raise UserCodeError(
            f"{name}: its targets are {type(targets).__name__}{shape}; expected a tensor with one row for "
            f"each of the {len(samples)} samples"
        )
    inputs = map_tensors(lambda tensor: tensor.float() if tensor.dtype == torch.float64 else tensor, inputs)
    return inputs, _targets_like_the_data(split, targets, name)


def _targets_like_the_data(split: Split, targets: Tensor, name: str) -> Tensor:
    """A collate_fn's targets in the form of its data set's: int64 [B], float32 [B, C], or float32 [B] or [B, K].

    Raises:
        UserCodeError: they can't be that.
    """
    known, shape = split.targets, list(targets.shape)
    if known is None:
        return targets.float() if targets.dtype == torch.float64 else targets
    are_whole = not targets.is_floating_point() and not targets.is_complex()
    if kind_of(known) == "classes":
        if are_whole and targets.ndim == 1:
            return targets.long()
        if targets.is_floating_point() and targets.ndim == 2 and shape[1] > 1:
            return targets.float()
        wanted = "whole numbers [batch], the class indices, or shares of the classes, floats [batch, classes]"
    else:
        columns = known.shape[1:]
        if not targets.is_complex() and (tuple(shape[1:]) in (columns, columns or (1,))):
            return targets.float()
        wanted = f"numbers [{', '.join(map(str, ('batch', *columns)))}]"
    dtype = str(targets.dtype).removeprefix("torch.")
    raise UserCodeError(
        f"{name}: its targets are {dtype} {shape}, and the data set's are {kind_of(known)}: expected {wanted}"
    )


def _stacked(split: Split, positions: Sequence[int], values: list[Any], what: str = "input") -> Any:
    """The same structure as each value's, with its tensors stacked."""
    first = values[0]
    if isinstance(first, Tensor):
        for position, value in zip(positions, values, strict=True):
            if not isinstance(value, Tensor) or value.shape != first.shape:
                raise DataError(_unlike(split, (positions[0], first), (position, value), what))
        return torch.stack(values)
    if isinstance(first, Mapping):
        return {key: _stacked(split, positions, [value[key] for value in values], what) for key in first}
    if isinstance(first, tuple):
        parts = zip(*values, strict=True)
        return tuple(_stacked(split, positions, list(part), what) for part in parts)
    raise DataError(
        f"the {what} of {sample_name(split, positions[0])} is {type(first).__name__}, which can't be stacked; "
        "expected numbers, an array, a tensor, or a tuple or a dict of them, or a collate_fn that makes them"
    )


def _unlike(split: Split, one: tuple[int, Tensor], other: tuple[int, Any], what: str) -> str:
    if split.is_image and what == "input" and isinstance(other[1], Tensor):
        return different_sizes(split, one, other)
    shapes = [list(value.shape) if isinstance(value, Tensor) else type(value).__name__ for _, value in (one, other)]
    return (
        f"{what}s differ in shape: {sample_name(split, one[0])} is {shapes[0]}, {sample_name(split, other[0])} is "
        f"{shapes[1]}; give the data set a collate_fn that pads them, or name one as loader.collate_fn"
    )
