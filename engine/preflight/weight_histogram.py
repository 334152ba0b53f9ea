"""Histograms of a module's weights, from a run's checkpoint or as initialized for a new run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config import ModelConfig
from ..errors import ConfigError
from ..models.build import build_with_notes
from ..models.module_tree import REAL_FORWARD_PARAMS, inspect_model
from ..randomness import generators_kept, seed_everything
from ..runs.saving.checkpoint import load_tensors
from ..shapes import Shape

# What a checkpoint of torchdeck keeps the weights in.
_ENTRY = "model_state_dict"

# The tensors of the newest model that was built for a look, by what it was built from.
_kept: dict[tuple[str, int, int, str], dict[str, Tensor]] = {}


@dataclass(frozen=True)
class WeightHistogram:
    """One tensor's values.

    Attributes:
        name: name of the tensor within its module.
        count: number of its values.
        mean: NaN without finite values, as the numbers below.
        std: standard deviation.
        smallest: finite value.
        largest: finite value.
        not_finite: how many values are NaN or infinite.
        bins: counts in equal steps from the smallest to the largest.
    """

    name: str
    count: int
    mean: float
    std: float
    smallest: float
    largest: float
    not_finite: int
    bins: list[int]


def saved_histograms(checkpoint: Path, path: str, names: Sequence[str], bins: int) -> list[WeightHistogram]:
    """Histograms of a module's own tensors in a checkpoint of a run; nothing from the file is executed.

    Args:
        checkpoint: the file.
        path: path of the module.
        names: names of its tensors.
        bins: how many steps.

    Raises:
        CheckpointError: the file can't be read or is damaged.
    """
    full = {f"{_ENTRY}.{path}.{name}" if path else f"{_ENTRY}.{name}": name for name in names}
    found = load_tensors(checkpoint, list(full))
    return [_histogram(short, found[name], bins) for name, short in full.items() if name in found]


def fresh_histograms(
    config: ModelConfig,
    seed: int,
    num_classes: int,
    input_shape: Shape,
    path: str,
    names: Sequence[str],
    bins: int,
) -> list[WeightHistogram]:
    """Histograms of a module's own tensors as a run with this seed begins with them.

    Args:
        config: the model, without published or other weights.
        seed: seed of the run.
        num_classes: number of classes.
        input_shape: shape of one sample.
        path: path of the module.
        names: names of its tensors.
        bins: how many steps.

    Raises:
        ConfigError, UserCodeError: the model can't be built, is too large to be built for a look, or begins with
            weights that would have to be fetched.
    """
    if config.pretrained:
        raise ConfigError("its weights are downloaded when the run starts; its first checkpoint shows them")
    state = _fresh(config, seed, num_classes, input_shape)
    full = {f"{path}.{name}" if path else name: name for name in names}
    return [_histogram(short, state[name], bins) for name, short in full.items() if name in state]


def _fresh(config: ModelConfig, seed: int, num_classes: int, input_shape: Shape) -> dict[str, Tensor]:
    """The tensors of a new model, kept for the next module that is looked at."""
    key = (config.model_dump_json(), seed, num_classes, repr(input_shape))
    if key not in _kept:
        params = inspect_model(config, num_classes, input_shape).params
        if params > REAL_FORWARD_PARAMS:
            raise ConfigError(f"{params / 1e6:.0f} million parameters are too many to build for this view")
        _kept.clear()
        with generators_kept():
            seed_everything(seed)
            model = build_with_notes(config, num_classes, input_shape).model
        _kept[key] = {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    return _kept[key]


def _histogram(name: str, tensor: Tensor, bins: int) -> WeightHistogram:
    values = tensor.detach().reshape(-1).float()
    finite = values[values.isfinite()]
    if not len(finite):
        return WeightHistogram(name, len(values), math.nan, math.nan, math.nan, math.nan, len(values), [0] * bins)
    low, high = float(finite.min()), float(finite.max())
    edges = (low, high) if high > low else (low - 0.5, high + 0.5)
    return WeightHistogram(
        name=name,
        count=len(values),
        mean=float(finite.mean()),
        std=float(finite.std(correction=0)),
        smallest=low,
        largest=high,
        not_finite=len(values) - len(finite),
        bins=[int(count) for count in torch.histc(finite, bins, *edges).tolist()],
    )
