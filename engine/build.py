"""From a config to what a run is made of: everything opened and checked, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from .config import RunConfig
from .config.secret_settings import missing_secrets
from .data.datasets.sources import DataSources
from .data.loading.bad_files import BadFile, find_bad_files, find_unopenable, open_usable, refuse_bad_files
from .data.loading.batching import rank_part
from .data.loading.loaders import check_batches, check_loading, data_notes, example_inputs, num_train_steps
from .data.loading.single_sample import refuse_single_sample
from .data.transforms.pipeline import check_transforms
from .distributed.ranks import ALONE, Ranks
from .errors import CheckpointError, ConfigError
from .inputs import sample_shape_of
from .interchange.tensorboard_mirror import require_tensorboard
from .models.build import build_with_notes, check_model
from .models.data_init import init_from_data
from .models.recomputation import check_recompute_patterns, recompute_activations
from .models.weights import weights_of_file
from .plurals import plural
from .randomness import seed_everything
from .shapes import Shape
from .tensor_files.checkpoint_file import CheckpointReport, inspect_checkpoint
from .training.callbacks import check_callbacks
from .training.compute.losses import check_loss
from .training.compute.objective import DecisiveMetrics, Objective, build_objective
from .training.compute.parallel_limits import check_parallel, check_parallel_data, parallel_notes
from .training.compute.placement import Placement, compile_notes, placement_of_rank
from .training.metrics.own_metrics import check_metrics
from .training.optimization.optimizers import build_optimizer, check_optimizer
from .training.optimization.parameter_groups import idle_rules
from .training.optimization.schedule_lengths import length_note, warmup_note
from .training.optimization.schedules import build_schedule, check_schedule, try_user_schedule
from .training.optimization.user_optimizer import try_user_optimizer
from .user_code import is_user_spec
from .user_path import user_path

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Prepared:
    """A run that can start: its config is checked, its data are open, its model is built on the CPU.

    Attributes:
        config: the run.
        objective: loss and metrics, on the run's device.
        input_shape: shape of a sample after the eval transforms; (C, H, W) for images.
        notes: what deserves a word: of the data and how they are read; of the parts that several processes compute; of
            the model, weights that stayed fresh and freeze rules that matched nothing.
        left_out: image files that can't be decoded, removed from the splits.
    """

    config: RunConfig
    placement: Placement
    sources: DataSources
    objective: Objective
    input_shape: Shape
    model: nn.Module
    notes: list[str]
    left_out: list[BadFile] = field(default_factory=list)


def check(config: RunConfig, ranks: Ranks = ALONE) -> Placement:
    """Check every name and argument of a config against the libraries that take them, and the hardware.

    Opens no data and builds no model, but imports the user's own files that the config names.

    Raises:
        ConfigError, UserCodeError: the first thing that is wrong, with what is allowed.
    """
    placement = placement_of_rank(config, ranks)
    check_parallel(config, ranks, placement)
    check_loss(config.loss)
    check_optimizer(config.optimizer)
    check_schedule(config.schedule, config.optimizer.lr)
    check_transforms(config.data.train_transforms, "data.train_transforms")
    check_transforms(config.data.eval_transforms, "data.eval_transforms")
    check_model(config.model)
    check_recompute_patterns(config.training.recompute)
    check_metrics(config.evaluation.metrics)
    check_callbacks(config.callbacks)
    if config.mirror.tensorboard:
        require_tensorboard()
    return placement


def check_start(config: RunConfig, ranks: Ranks = ALONE) -> Placement:
    """Check whatever a start can be refused for without its data: the form, the dry run and the start share it.

    Raises:
        TorchdeckError: the first thing that is wrong, with what is allowed.
    """
    placement = check(config, ranks)
    if config.start_from:
        path = user_path(config.start_from)
        report = inspect_checkpoint(path)
        _refuse_objects(report)
        refuse_used_up_epochs(path, report.epoch or 0, config.training.epochs)
    elif config.model.weights:
        weights_of_file(config.model.weights)
    return placement


def _refuse_objects(report: CheckpointReport) -> None:
    """Raise CheckpointError if only the file's code could rebuild the state in it."""
    if report.foreign:
        raise CheckpointError(
            f"start_from: {report.path} holds objects of {', '.join(report.foreign[:3])}, which only code that the "
            "file names could rebuild; torchdeck runs none of it. Its weights can be taken without: set model.weights "
            "to this file in place of start_from, as torchdeck fork --weights does"
        )


def refuse_used_up_epochs(checkpoint: Path, trained: int, epochs: int) -> None:
    """Raise ConfigError if a run of `epochs` epochs would have nothing left to train after `checkpoint`."""
    if trained >= epochs:
        raise ConfigError(
            f"training.epochs = {epochs}: {checkpoint} has trained {plural(trained, 'epoch')}, which leaves none; set "
            f"more, such as {trained * 2}"
        )


def prepare(config: RunConfig, progress: Progress, *, load_weights: bool = True, ranks: Ranks = ALONE) -> Prepared:
    """Check the config, open the data, build the model. Writes nothing.

    Seeds torch, Python and NumPy from the config, so that the weights are a function of the seed.

    Args:
        config: the run.
        progress: called with what is being done, how much of it is done, and how much there is (0 for unknown).
        load_weights: whether the model starts from the weights that the config names; a checkpoint has others.
        ranks: the processes that will train together.

    Raises:
        TorchdeckError: whatever is wrong, in one message.
    """
    progress("checking the config", 0, 0)
    placement = check(config, ranks)
    progress(f"opening {config.data.dataset}", 0, 0)
    sources, left_out = open_usable(config, progress)
    tiers = check_loading(sources, config, placement.device)
    if config.data.bad_files == "stop":
        refuse_bad_files(find_unopenable((sources.train, sources.validation), progress))
        # What is decoded once is found out about then; the others would come up in the middle of an epoch.
        late = [
            split
            for split, tier in zip((sources.train, sources.validation), tiers, strict=True)
            if tier.name in ("loader", "encoded")
        ]
        refuse_bad_files(find_bad_files(late, user_path(config.data.cache), progress))
    example = example_inputs(sources, config)
    input_shape = sample_shape_of(example)
    objective = build_objective(
        config.loss, config.evaluation, sources.train.targets, sources.classes, placement.device
    )
    decisive = DecisiveMetrics.of(config, objective)
    check_batches(sources, config, objective.num_outputs)
    progress(f"building {config.model.name}", 0, 0)
    seed_everything(config.seed)
    built = build_with_notes(config.model, objective.num_outputs, input_shape, example, load=load_weights)
    notes = [*data_notes(sources, config, tiers), *compile_notes(config.training, placement.device), *built.notes]
    if load_weights and not (config.model.weights or config.model.pretrained):
        notes += init_from_data(built.model, sources, config, progress)
    if not config.loader.batch_sampler and config.loader.batch_size > (samples := len(sources.train)):
        notes.append(
            f"loader.batch_size = {config.loader.batch_size:,} is more than the {samples:,} samples of the training "
            "split: every step uses all of them"
        )
    if recomputed := recompute_activations(built.model, config.training.recompute):
        names = ", ".join(recomputed[:3]) + (", …" if len(recomputed) > 3 else "")
        notes.append(f"activations of {plural(len(recomputed), 'module')} are computed again backward: {names}")
    check_parallel_data(config, sources, ranks)
    refuse_single_sample(config, sources, built.model, example, rank_part(config, ranks))
    notes += objective.notes
    notes += _check_optimization(config, built.model, sources, decisive)
    notes += idle_rules(config.optimizer, built.model)
    notes += missing_secrets(config)
    notes = [*parallel_notes(config, built.model, ranks), *notes]
    return Prepared(config, placement, sources, objective, input_shape, built.model, notes, left_out)


def _check_optimization(
    config: RunConfig, model: nn.Module, sources: DataSources, decisive: DecisiveMetrics
) -> list[str]:
    """Build optimizer and schedule, as training will where the model then lies, and try the user's own.

    Returns:
        What is to be said of the schedule's length.

    Raises:
        ConfigError, UserCodeError: what they refuse.
    """
    steps_per_epoch = num_train_steps(sources, config)
    optimizer = build_optimizer(config.optimizer, model)
    if is_user_spec(config.optimizer.name):
        try_user_optimizer(config.optimizer, model)
    epochs, watched = config.training.epochs, decisive.schedule
    schedule = build_schedule(
        config.schedule, optimizer, steps_per_epoch=steps_per_epoch, epochs=epochs, watched=watched
    )
    if is_user_spec(config.schedule.name):
        try_user_schedule(config.schedule, schedule, optimizer)
    notes = (
        warmup_note(config.schedule.warmup_epochs, epochs),
        length_note(config.schedule, steps_per_epoch=steps_per_epoch, epochs=epochs),
    )
    return [note for note in notes if note]
