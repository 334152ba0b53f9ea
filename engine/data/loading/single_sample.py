"""Whether training meets a batch of one sample that a model's batch normalization can't take, known before it does."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...config import RunConfig
from ...distributed.part import WHOLE, Part
from ...errors import ConfigError
from ...inputs import Inputs, call_model
from ...randomness import generators_kept
from ..datasets.sources import DataSources
from .sampling import train_sampler

# torch's own words, where the mean over a batch would be that of a single value.
REFUSAL = "Expected more than 1 value per channel when training"


def refuse_single_sample(
    config: RunConfig, sources: DataSources, model: nn.Module, example: Inputs, part: Part = WHOLE
) -> None:
    """Raise ConfigError when an epoch has a batch of one sample and the model refuses one in training.

    Only a model with batch normalization is tried, on a copy: over the pixels of one image it may work, so only
    the model itself knows. What else it raises is left to training, which says it better.

    Args:
        config: the run.
        sources: its data.
        model: on the CPU, as it is trained: frozen layers may be in evaluation mode.
        example: a batch of one sample.
        part: what goes through the model at once, where that is not a whole batch.
    """
    if not _has_single_sample(config, sources, part) or not _normalizes_batches(model):
        return
    with generators_kept(), torch.no_grad():
        try:
            call_model(copy.deepcopy(model), example)
        except Exception as error:
            if REFUSAL not in str(error):
                return
            refusal = str(error)
        else:
            return
    size = config.loader.batch_size
    if part.shards > 1:
        raise ConfigError(
            f"a batch has a part of one sample: batches of {size:,} are computed in {part.shards} parts, and batch "
            f"normalization can't train on one sample ({refusal}). Set loader.drop_last = true, or another "
            "loader.batch_size"
        )
    if size == 1:
        raise ConfigError(
            f"loader.batch_size = 1: batch normalization can't train on one sample ({refusal}). "
            "Choose a larger loader.batch_size"
        )
    samples = train_sampler(sources.train, config.loader, config.seed).length
    raise ConfigError(
        f"the last batch of an epoch has one sample ({samples:,} samples in batches of {size:,}), and batch "
        f"normalization can't train on one ({refusal}). Set loader.drop_last = true, or another loader.batch_size"
    )


def _has_single_sample(config: RunConfig, sources: DataSources, part: Part) -> bool:
    loader = config.loader
    if loader.batch_sampler:
        return False
    rest = train_sampler(sources.train, loader, config.seed).length % loader.batch_size
    sizes = [loader.batch_size, *([] if loader.drop_last else [rest])]
    smallest_parts = (divmod(size, part.shards) for size in sizes)
    # Where a batch does not divide evenly, the first parts have one sample more.
    return any(size == 1 or (size == 0 and larger) for size, larger in smallest_parts)


def _normalizes_batches(model: nn.Module) -> bool:
    return any(isinstance(module, _BatchNorm) and module.training for module in model.modules())
