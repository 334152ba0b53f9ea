"""A run up to its first step: everything opened, built and checked, and nothing trained or written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..build import Prepared, Progress, check_start, prepare
from ..config import RunConfig
from ..data.loading.loaders import check_loading, example_inputs
from ..errors import RunError, TorchdeckError
from ..files.free_disk import free_disk
from ..run_files import CHECKPOINTS
from ..shapes import Shape
from ..user_path import user_path
from .memory_estimate import MemoryEstimate, estimate_memory
from .plan import RunPlan, plan_prepared


@dataclass(frozen=True)
class DryRun:
    """Result of a dry run.

    Attributes:
        plan: steps, weights, and the learning rate of every step.
        train_samples: number of samples in the training split.
        validation_samples: number of samples in the validation split.
        classes: how many.
        input_shape: shape of a sample after the eval transforms.
        storage: storage of the training pixels, as text.
        device: where it would be trained.
        precision: the resolved precision.
        parameters: number of parameters of the model.
        trainable: number of trained parameters.
        memory: estimated memory of a step; None if it can't be estimated.
        memory_note: why there is no estimate.
        checkpoints: the folder that checkpoints would be saved in; "…" stands for date and number.
        checkpoint_bytes: about the size of each: weights, their average, the optimizer's state.
        free_disk: bytes that are free there.
    """

    plan: RunPlan
    train_samples: int
    validation_samples: int
    classes: int
    input_shape: Shape
    storage: str
    device: str
    precision: str
    parameters: int
    trainable: int
    memory: MemoryEstimate | None
    memory_note: str
    checkpoints: str
    checkpoint_bytes: int
    free_disk: int


def dry_run(config: RunConfig, runs_root: Path, progress: Progress) -> DryRun:
    """Do what a start does before its first step, but for the run's directory.

    Args:
        config: the run.
        runs_root: the folder that its directory would be made in.
        progress: called with what is done, items done, items in all.

    Raises:
        TorchdeckError: whatever a start would be refused for.
    """
    _check_folder(runs_root)
    check_start(config)
    prepared = prepare(config, progress, load_weights=not config.start_from)
    tier, _ = check_loading(prepared.sources, config, prepared.placement.device)
    progress("estimating the memory of a step", 0, 0)
    memory, note = _memory(prepared)
    parameters = list(prepared.model.parameters())
    held = sum(tensor.nbytes for tensor in prepared.model.state_dict().values())
    trained = sum(parameter.nbytes for parameter in parameters if parameter.requires_grad)
    state = memory.optimizer_state if memory is not None else trained
    return DryRun(
        plan=plan_prepared(prepared),
        train_samples=len(prepared.sources.train),
        validation_samples=len(prepared.sources.validation),
        classes=len(prepared.sources.classes),
        input_shape=prepared.input_shape,
        storage=tier.words,
        device=str(prepared.placement.device),
        precision=prepared.placement.precision,
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        memory=memory,
        memory_note=note,
        checkpoints=str(runs_root / f"{config.name}-…" / CHECKPOINTS),
        checkpoint_bytes=held * (2 if config.ema.decay else 1) + state,
        free_disk=free_disk(runs_root),
    )


def _memory(prepared: Prepared) -> tuple[MemoryEstimate | None, str]:
    example = example_inputs(prepared.sources, prepared.config)
    try:
        outputs = prepared.objective.num_outputs
        return estimate_memory(prepared.config, outputs, prepared.input_shape, example), ""
    except TorchdeckError as error:
        return None, str(error)


def _check_folder(runs_root: Path) -> None:
    """Raise RunError when the folder of the runs is not there and can't be made, or can't be written to."""
    place = user_path(runs_root).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise RunError(f"{runs_root}: can't store runs there: {place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise RunError(f"{runs_root}: can't store runs there: {place} is not writable")
