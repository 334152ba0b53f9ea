"""From opened data to batches: chooses the tier of each split and says why."""

from __future__ import annotations

import torch

from ...config import DataConfig, RunConfig
from ...distributed.part import WHOLE, Part
from ...errors import ConfigError
from ...inputs import Inputs, sample_shape_of
from ...progress import Progress
from ...randomness import generators_kept
from ...shapes import Shape, shape_words
from ...user_code import load_object
from ...user_path import user_path
from ..batched.batch_plan import BatchPlan
from ..datasets.sources import DataSources
from ..datasets.splits import Split
from ..datasets.targets import kind_of
from ..transforms.mixing import check_mixing, make_mixes
from ..transforms.pipeline import SamplePipeline
from ..transforms.target_geometry import refuse_left_behind, unmoved_values_note
from .batch_loader import BatchLoader, TrainingData
from .batching import evaluation_batching, optimizer_steps, train_batching
from .collation import check_collated, with_collate
from .disk_cache import mapped_split
from .encoded import EncodedLoader, Head
from .even_batches import EvenBatches
from .in_memory_loader import InMemoryLoader
from .kept_tensors import KeptTensors, TensorLoader
from .mixing_loader import MixingLoader
from .storage import DecodedSplit, Room, measure_room
from .tiers import Tier, choose_tier
from .user_order import own_batches
from .workers import KeyedSamples, WorkerLoader


def build_loaders(
    sources: DataSources, config: RunConfig, device: torch.device, progress: Progress, part: Part = WHOLE
) -> TrainingData:
    """Decode what can be held, and set up the loaders of both splits.

    Args:
        sources: the opened data.
        config: config of the run.
        device: where batches go.
        progress: called with what is done, samples done, samples in all.
        part: this process's part of every batch.

    Raises:
        ConfigError: transforms that don't fit the images, a storage that can't be had, an epoch without a batch.
        DataError: a sample that can't be read.
    """
    input_shape = sample_shape(sources, config)
    # Transforms that don't fit a sample are named before pixels are laid out for them.
    _example(sources.train, config, train=True)
    train_tier, validation_tier = check_loading(sources, config, device)
    notes = data_notes(sources, config, (train_tier, validation_tier))
    train = _train_loader(sources, train_tier, config, device, progress, part)
    validation = _loader(sources.validation, validation_tier, config, device, progress, train=False, part=part)
    if not part.is_whole:
        train = EvenBatches(train, num_train_batches(sources, config))
        # The first process has the most.
        first = evaluation_batching(sources.validation, config, device, Part(0, part.world, part.shards))
        validation = EvenBatches(validation, first.num_batches)
    storage = train_tier.words
    if validation_tier.words != storage:
        storage = f"{storage}; validation: {validation_tier.words}"
    if not part.is_whole and isinstance(train_tier.plan, BatchPlan):
        storage += f"; decoded once, mapped from {config.data.cache}"
    return TrainingData(
        train,
        validation,
        input_shape,
        sources.classes,
        storage,
        notes,
        sources.fingerprint,
        train_tier.reason,
    )


def data_notes(sources: DataSources, config: RunConfig, tiers: tuple[Tier, Tier]) -> list[str]:
    """What the user should know of the data and how they are read: one list for data pane, dry run and run.

    Args:
        sources: the opened data.
        config: config of the run.
        tiers: those of the training and of the validation split.

    Raises:
        ConfigError, DataError, UserCodeError: the first sample of a split can't be read or transformed.
    """
    notes = [*sources.notes, _shapes_note(sources, config), *(note for tier in tiers for note in tier.notes)]
    if config.loader.num_workers and not {tier.name for tier in tiers} & {"encoded", "loader"}:
        notes.append(
            f"loader.num_workers = {config.loader.num_workers} has no effect: samples are decoded once and kept"
        )
    notes += [
        unmoved_values_note(sources.train, config.data.train_transforms),
        unmoved_values_note(sources.validation, config.data.eval_transforms),
    ]
    return [note for note in dict.fromkeys(notes) if note]


def _shapes_note(sources: DataSources, config: RunConfig) -> str:
    """Where training and validation samples differ in shape, as the model gets them; empty where they don't."""
    transforms = [*config.data.train_transforms, *config.data.eval_transforms]
    # What a collate_fn makes of samples is its own business, and so are the lengths of texts.
    if with_collate(sources.train, config.loader).collate is not None or not (transforms or sources.train.is_image):
        return ""
    shapes = [
        sample_shape_of(_example(split, config, train=train))
        for split, train in ((sources.train, True), (sources.validation, False))
    ]
    if shapes[0] == shapes[1]:
        return ""
    after = "after their transforms, " if transforms else ""
    train, validation = map(shape_words, shapes)
    return f"{after}training samples are {train} and validation samples {validation}"


def train_loader(sources: DataSources, config: RunConfig, device: torch.device, progress: Progress) -> BatchLoader:
    """The loader of the training split alone. Raises as `build_loaders` does."""
    return _train_loader(sources, check_loading(sources, config, device)[0], config, device, progress)


def _train_loader(
    sources: DataSources,
    tier: Tier,
    config: RunConfig,
    device: torch.device,
    progress: Progress,
    part: Part = WHOLE,
) -> BatchLoader:
    loader = _loader(sources.train, tier, config, device, progress, train=True, part=part)
    if mixes := make_mixes(config.data.train_transforms, "data.train_transforms"):
        return MixingLoader(loader, mixes, seed=config.seed, num_classes=len(sources.classes))
    return loader


def check_loading(sources: DataSources, config: RunConfig, device: torch.device) -> tuple[Tier, Tier]:
    """Choose the tiers of the train and the validation split; decodes nothing but a sample of each.

    Raises:
        ConfigError: a storage that can't be had, an epoch without a batch, a worker_init that can't be loaded.
        DataError: a sample that can't be read.
    """
    check_epoch_has_batches(sources, config)
    check_mixing(config.data.train_transforms, sources.train)
    refuse_left_behind(sources.train, config.data.train_transforms, "data.train_transforms")
    refuse_left_behind(sources.validation, config.data.eval_transforms, "data.eval_transforms")
    if config.loader.worker_init:
        load_object(config.loader.worker_init, "a function of a worker's number")
    room, workers = measure_room(device, config.data.cache), config.loader.num_workers
    splits = [with_collate(split, config.loader) for split in (sources.train, sources.validation)]
    train_data = _own_batches_by_loader(config) if config.loader.batch_sampler else config.data
    train = choose_tier(splits[0], train_data, train=True, device=device, room=room, num_workers=workers)
    validation = choose_tier(splits[1], config.data, train=False, device=device, room=train.left, num_workers=workers)
    return train, validation


def _own_batches_by_loader(config: RunConfig) -> DataConfig:
    if config.data.storage not in ("auto", "loader"):
        raise ConfigError(
            f'data.storage = "{config.data.storage}": loader.batch_sampler needs the DataLoader; '
            'use "auto" or "loader"'
        )
    return config.data.model_copy(update={"storage": "loader"})


def num_train_batches(sources: DataSources, config: RunConfig) -> int:
    """Batches in an epoch of training."""
    if config.loader.batch_sampler:
        return len(own_batches(config.loader, sources.train, config.seed, 0))
    return train_batching(sources.train, config).num_batches


def num_train_steps(sources: DataSources, config: RunConfig) -> int:
    """Optimizer steps in an epoch of training."""
    return optimizer_steps(num_train_batches(sources, config), config)


def check_epoch_has_batches(sources: DataSources, config: RunConfig) -> None:
    """Raise ConfigError when dropping the last batch that is not full leaves none."""
    batching = train_batching(sources.train, config)
    if config.loader.drop_last and not batching.num_batches:
        raise ConfigError(
            f"loader.drop_last = true leaves no batch: an epoch has {batching.num_samples} samples and "
            f"loader.batch_size is {config.loader.batch_size}"
        )


def evaluation_loader(
    split: Split, config: RunConfig, device: torch.device, progress: Progress, room: Room | None = None
) -> BatchLoader:
    """A loader of one split in order, with the eval transforms. Raises as `build_loaders` does."""
    split = with_collate(split, config.loader)
    room = room or measure_room(device, config.data.cache)
    workers = config.loader.num_workers
    tier = choose_tier(split, config.data, train=False, device=device, room=room, num_workers=workers)
    return _loader(split, tier, config, device, progress, train=False)


def example_inputs(sources: DataSources, config: RunConfig) -> Inputs:
    """The first validation sample as a batch of one, as the model takes it. Raises ConfigError, DataError."""
    return _example(sources.validation, config, train=False)


def check_batches(sources: DataSources, config: RunConfig, num_outputs: int) -> None:
    """Let a collate_fn make a first batch of the training and of the validation split, before a run exists.

    Args:
        sources: the opened data.
        config: config of the run.
        num_outputs: numbers that the model returns for a sample.

    Raises:
        ConfigError, DataError, UserCodeError: a sample can't be made, or what the collate_fn returns is no batch.
    """
    for split, train in ((sources.train, True), (sources.validation, False)):
        whole = with_collate(split, config.loader)
        if whole.collate is None:
            continue
        samples = KeyedSamples(whole, _pipeline(config, train), config.seed)
        with generators_kept():
            _, targets = samples.batch([(0, at, at) for at in range(min(config.loader.batch_size, len(split)))])
        if split.targets is not None and kind_of(split.targets) == "classes":
            check_collated(whole.collate, targets, num_outputs)


def sample_shape(sources: DataSources, config: RunConfig) -> Shape:
    """The shape of a sample after the eval transforms, (C, H, W) for images, from the first one.

    Raises:
        ConfigError, DataError, UserCodeError: it can't be read, transformed or collated.
    """
    return sample_shape_of(example_inputs(sources, config))


def _example(split: Split, config: RunConfig, *, train: bool) -> Inputs:
    samples = KeyedSamples(with_collate(split, config.loader), _pipeline(config, train), config.seed)
    with generators_kept():
        return samples.batch([(0, 0, 0)])[0]


def _pipeline(config: RunConfig, train: bool) -> SamplePipeline:
    if train:
        return SamplePipeline(config.data.train_transforms, "data.train_transforms")
    return SamplePipeline(config.data.eval_transforms, "data.eval_transforms")


def _loader(
    split: Split,
    tier: Tier,
    config: RunConfig,
    device: torch.device,
    progress: Progress,
    *,
    train: bool,
    part: Part = WHOLE,
) -> BatchLoader:
    batching = (train_batching if train else evaluation_batching)(split, config, device, part)
    split, seed, options = with_collate(split, config.loader), config.seed, config.loader
    where = "data.train_transforms" if train else "data.eval_transforms"
    if isinstance(tier.plan, Head):
        return EncodedLoader(split, tier.plan, batching, seed=seed, options=options, where=where)
    if isinstance(tier.plan, BatchPlan):
        # Several processes of a machine share what one of them decodes.
        if tier.name == "mmap" or not part.is_whole:
            store = mapped_split(split, tier.plan.baked, user_path(config.data.cache), where, progress)
        else:
            store = DecodedSplit(split, tier.plan.baked, where).decode(progress)
        home = store.to(device) if tier.name == "device" else store
        return InMemoryLoader(home, tier.plan, batching, seed=seed, pin_memory=options.pin_memory)
    if isinstance(tier.plan, KeptTensors):
        kept_on = device if tier.name == "device" else torch.device("cpu")
        return TensorLoader(split, batching, home=kept_on, progress=progress)
    pipeline = _pipeline(config, train)
    return WorkerLoader(split, pipeline, batching, seed=seed, options=options, takes_own_batches=train)
