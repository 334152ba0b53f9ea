"""Batch of a run at a given step: a pure function of the config and the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config import RunConfig
from ...errors import ConfigError
from ...inputs import Inputs, moved
from ...machine.device import choose_device
from ...progress import Progress
from ..datasets.samples import sample_name
from ..loading.bad_files import open_usable
from ..loading.loaders import num_train_steps, train_loader
from ..loading.sampling import train_sampler
from ..loading.user_order import own_batches
from .image_bytes import eye_image, middle_slice
from .preview import denormalized
from .sample_text import target_words

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class SeenSample:
    """Origin of a sample in a batch.

    Attributes:
        position: position in the training split.
        index: index in the data set.
        name: file name of the sample, or its index as text.
        target: its class, or its numbers; before MixUp and CutMix.
    """

    position: int
    index: int
    name: str
    target: str


@dataclass(frozen=True)
class SeenBatch:
    """One batch as the model gets it.

    Attributes:
        step: optimizer step, from 1.
        epoch: epoch, from 1.
        batch: number in the epoch, from 1.
        samples: samples in batch order; MixUp and CutMix mix sample n with the previous one.
        inputs: on the CPU, after the transforms.
        targets: on the CPU.
    """

    step: int
    epoch: int
    batch: int
    samples: list[SeenSample]
    inputs: Inputs
    targets: Tensor


def batches_at(
    config: RunConfig, step: int, progress: Progress = lambda message, done, total: None
) -> list[SeenBatch]:
    """The batches of an optimizer step: one, or `training.accumulate` of them.

    They are made by the loader that the run itself uses, so they are the same to the bit on the same device. A run
    whose settings were changed on the way saw them from the change on.

    Args:
        config: the run.
        step: step, from 1 to the last step of the run.
        progress: called while data are read, with what is done, samples done, samples in all.

    Raises:
        ConfigError: no such step.
        TorchdeckError: the data can't be opened or read.
    """
    sources, _ = open_usable(config, progress)
    per_epoch = num_train_steps(sources, config)
    last = per_epoch * config.training.epochs
    if not 1 <= step <= last:
        raise ConfigError(f"step {step}: the run has steps 1 to {last:,} ({per_epoch:,} per epoch)")
    epoch, in_epoch = divmod(step - 1, per_epoch)
    # Without workers the same batches are made here.
    loader = config.loader.model_copy(update={"num_workers": 0, "timeout": 0.0, "worker_init": ""})
    config = config.model_copy(update={"loader": loader})
    first = in_epoch * config.training.accumulate
    batches = train_loader(sources, config, choose_device(config.training.device), progress).batches(epoch, first)
    order = train_sampler(sources.train, config.loader, config.seed).order(epoch)
    seen, known = [], sources.train.targets
    for number, (inputs, targets) in enumerate(islice(batches, config.training.accumulate), start=first):
        start = number * config.loader.batch_size
        these = slice(start, start + len(targets))
        positions = list(range(these.start, these.stop)) if order is None else order.samples[these].tolist()
        if config.loader.batch_sampler:
            positions = own_batches(config.loader, sources.train, config.seed, epoch)[number]
        samples = [
            SeenSample(
                position,
                sources.train.dataset_index(position),
                sample_name(sources.train, position),
                "" if known is None else target_words(known[position], sources.classes),
            )
            for position in positions
        ]
        seen.append(SeenBatch(step, epoch + 1, number + 1, samples, moved(inputs, _CPU), moved(targets, _CPU)))
    return seen


def pictures(batch: SeenBatch, config: RunConfig, count: int) -> list[NDArray[np.uint8]]:
    """The first images of a batch for the eye, uint8 [H, W, C], Normalize undone; of volumes the slice in the middle.

    Empty where inputs are neither.
    """
    inputs = batch.inputs
    if isinstance(inputs, Tensor) and inputs.ndim == 5:
        slices = [middle_slice(volume) for volume in inputs[:count]]
        return [pixels for pixels in slices if pixels is not None]
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        return []
    return [eye_image(denormalized(image, config.data.train_transforms)) for image in inputs[:count]]


def parts_of(inputs: Inputs) -> Sequence[tuple[str, Tensor]]:
    """Every tensor of a batch's inputs with its name: "" for the only one, else its place or its keyword."""
    if isinstance(inputs, Tensor):
        return [("", inputs)]
    named = inputs.items() if isinstance(inputs, dict) else enumerate(inputs)
    return [
        (f"{name}.{rest}" if rest else str(name), tensor)
        for name, part in named
        if isinstance(part, Tensor | tuple | list | dict)
        for rest, tensor in parts_of(tuple(part) if isinstance(part, list) else part)
    ]
