"""Sampling from the user's own files: weights, a subset, whole batches."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import LoaderConfig
from ...errors import ConfigError, UserCodeError
from ...user_code import accepted_arguments, call_user_code, check_arguments, is_user_spec, load_object
from ...user_path import user_path
from ..datasets.splits import Split, random_split, stratified_split
from ..datasets.targets import kind_of

_WANTED_WEIGHTS = "a function that takes the targets and returns a weight for each"
_WANTED_BATCHES = "a function that returns the batches of an epoch, lists of positions"


def sample_weights(spec: str, split: Split) -> NDArray[np.float64]:
    """The weight of every sample of a split, float64 [n].

    Args:
        spec: `path/to/file.py:function`, called with the targets of the split; or a `.npy` or text file with a number
            for each sample of the data set's training part, in its order.
        split: the training split.

    Raises:
        ConfigError: no such file or function, or not one weight a sample, of which none is negative and not all are 0.
        UserCodeError: the function raised.
    """
    where = f"loader.weights = '{spec}'"
    if is_user_spec(spec):
        function = load_object(spec, _WANTED_WEIGHTS)
        returned = call_user_code(lambda: function(split.targets), {}, spec)
        weights = _numbers(returned, where)
    else:
        weights = _numbers(_file(spec, where), where)
        if split.indices is not None and len(weights) == len(split.dataset):
            weights = weights[split.indices]
    if weights.shape != (len(split),):
        raise ConfigError(f"{where}: has weights of shape {list(weights.shape)} for {len(split):,} training samples")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ConfigError(f"{where}: weights must be finite and non-negative, and not all 0")
    return weights


def take_subset(split: Split, spec: str, seed: int) -> Split:
    """A part of the training split.

    Args:
        split: the training split.
        spec: a share such as "0.1", of every class where targets are classes; a number of samples; or a `.npy` or text
            file of indices in the data set's training part, of which those held out for validation are left out.
        seed: seed of the choice.

    Raises:
        ConfigError: any other value, more samples than there are, an index out of range, or no sample left.
    """
    where = f"loader.subset = '{spec}'"
    try:
        amount = float(spec)
    except ValueError:
        chosen = _listed(split, _file(spec, where), where)
    else:
        chosen = _drawn(split, amount, seed, where)
    if not len(chosen):
        raise ConfigError(f"{where}: selects none of the {len(split):,} training samples")
    indices = np.arange(len(split)) if split.indices is None else split.indices
    targets = None if split.targets is None else split.targets[chosen]
    return replace(split, indices=indices[chosen], targets=targets)


def own_batches(config: LoaderConfig, split: Split, seed: int, epoch: int) -> list[list[int]]:
    """The batches of an epoch as the user's function gives them.

    It is given what it takes of `num_samples`, `batch_size`, `targets`, `seed` and `epoch` (from 0), and has to return
    the same for the same: a resumed run asks again.

    Returns:
        For every batch the positions of its samples in the training split.

    Raises:
        ConfigError: no such function, or it takes something else.
        UserCodeError: it raised, or returned no batches of positions.
    """
    spec = config.batch_sampler
    function = load_object(spec, _WANTED_BATCHES)
    offered = {
        "num_samples": len(split),
        "batch_size": config.batch_size,
        "targets": split.targets,
        "seed": seed,
        "epoch": epoch,
    }
    arguments = accepted_arguments(function, offered)
    check_arguments(function, arguments, "loader.batch_sampler")
    returned = call_user_code(
        lambda: [[int(position) for position in batch] for batch in function(**arguments)], {}, spec
    )
    batches: list[list[int]] = returned
    if not batches:
        raise UserCodeError(f"{spec}: returned no batch for epoch {epoch}")
    for number, batch in enumerate(batches):
        wrong = [position for position in batch if not 0 <= position < len(split)]
        if wrong or not batch:
            said = f"position {wrong[0]}, but the split has {len(split):,} samples" if wrong else "no samples"
            raise UserCodeError(f"{spec}: batch {number} of epoch {epoch} has {said}")
    return batches


def _listed(split: Split, listed: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Positions in the split of the indices in a list, in the order of the split."""
    count = len(split.dataset)
    if listed.ndim != 1 or not np.array_equal(listed, listed.astype(np.int64)):
        raise ConfigError(f"{where}: must contain integers, one per sample")
    wrong = listed[(listed < 0) | (listed >= count)]
    if len(wrong):
        raise ConfigError(f"{where}: has index {int(wrong[0])}, but the data set has {count:,} training samples")
    indices = np.arange(count) if split.indices is None else split.indices
    return np.flatnonzero(np.isin(indices, listed.astype(np.int64)))


def _drawn(split: Split, amount: float, seed: int, where: str) -> NDArray[np.int64]:
    if 0 < amount < 1:
        if split.targets is not None and kind_of(split.targets) == "classes":
            return stratified_split(split.targets.astype(np.int64), amount, seed)[1]
        return random_split(len(split), amount, seed)[1]
    if amount != int(amount) or not 1 <= amount <= len(split):
        raise ConfigError(
            f"{where}: must be a fraction between 0 and 1, a number of samples from 1 to {len(split):,}, or a .npy or "
            ".txt file of indices"
        )
    generator = np.random.Generator(np.random.PCG64([seed, 0x5B5E]))
    return np.sort(generator.permutation(len(split))[: int(amount)])


def _file(spec: str, where: str) -> NDArray[Any]:
    path = user_path(spec)
    if not path.is_file():
        raise ConfigError(f"{where}: no such file: {path.absolute()}")
    try:
        return np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, ndmin=1)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{where}: can't be read: {error}") from error


def _numbers(values: Any, where: str) -> NDArray[np.float64]:
    if isinstance(values, torch.Tensor):
        values = values.numpy(force=True)
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: does not contain numbers: {error}") from error
