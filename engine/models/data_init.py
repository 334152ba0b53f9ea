"""Models that begin from the data: those with a method `init_from_data`, of torchdeck or of the user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ..config import RunConfig
from ..data.datasets.sources import DataSources
from ..data.loading.loaders import evaluation_loader
from ..inputs import Inputs
from ..progress import Progress
from ..user_code import raise_user_error

_METHOD = "init_from_data"
_SAMPLES = 5000
"""The number that airbench94 uses."""


def init_from_data(model: nn.Module, sources: DataSources, config: RunConfig, progress: Progress) -> list[str]:
    """Give a model that asks for it samples of the training split, with the eval transforms; a note when it was done.

    The first samples of the split, on the CPU: the same ones for every run on the same data. What the model makes of
    them lies in its weights and buffers, and so in every checkpoint.

    Args:
        model: on the CPU. Only one whose weights are fresh is to be given.
        sources: the run's data.
        config: the run.
        progress: called with what is done, samples done, samples in all.

    Raises:
        UserCodeError: the model's method raised.
    """
    method = getattr(model, _METHOD, None)
    if not callable(method):
        return []
    inputs = _samples(sources, config, progress)
    count = min(_SAMPLES, len(sources.train))
    try:
        with torch.no_grad():
            method(inputs)
    except Exception as error:
        raise_user_error(error, f"model {config.model.name}: {_METHOD}")
    return [f"{config.model.name}: initialized from {count:,} training samples"]


def _samples(sources: DataSources, config: RunConfig, progress: Progress) -> Inputs:
    split = sources.train
    count = min(_SAMPLES, len(split))
    first = np.arange(count) if split.indices is None else split.indices[:count]
    part = replace(split, indices=first, targets=None if split.targets is None else split.targets[:count])
    loader = config.loader.model_copy(update={"eval_batch_size": count, "num_workers": 0, "timeout": 0.0})
    one_batch = config.model_copy(update={"loader": loader})
    inputs: Inputs = next(iter(evaluation_loader(part, one_batch, torch.device("cpu"), progress).batches(0)))[0]
    return inputs
