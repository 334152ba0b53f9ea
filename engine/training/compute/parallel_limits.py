"""What several processes can't do together, and what differs from one process, said before training."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from ...config import RunConfig
from ...data.datasets.sources import DataSources
from ...data.loading.batching import check_divisible, rank_part
from ...data.loading.collation import with_collate
from ...data.transforms.mixing import make_mixes
from ...distributed.ranks import Ranks
from ...errors import ConfigError
from .placement import Placement

# Optimizers that look at whole matrices.
_NEED_WHOLE_WEIGHTS = ("Muon", "Adafactor")


def check_parallel(config: RunConfig, ranks: Ranks, placement: Placement) -> None:
    """Check settings against the number of processes and their device.

    Raises:
        ConfigError: what they can't have.
    """
    part = rank_part(config, ranks)
    if part.shards == 1:
        return
    check_divisible(config.loader.batch_size, part.shards)
    if config.parallel.strategy == "fsdp":
        _check_fully_sharded(config)
    if config.loader.batch_sampler:
        raise ConfigError(
            "loader.batch_sampler: makes batches of any size, which can't be divided into equal parts; with several "
            "processes, or parallel.exact_shards, use loader.sampler"
        )
    if config.parallel.sync_batch_norm and placement.device.type != "cuda":
        raise ConfigError(
            f"parallel.sync_batch_norm = true: torch has it for GPUs only, and this run trains on {placement.device}"
        )
    if config.parallel.exact_shards and config.parallel.sync_batch_norm:
        raise ConfigError(
            "parallel.sync_batch_norm: with parallel.exact_shards, statistics are those of a shard; set one of them"
        )


def _check_fully_sharded(config: RunConfig) -> None:
    training = config.training
    unfit = {
        "parallel.exact_shards": bool(config.parallel.exact_shards),
        "training.compile": training.compile,
        "training.channels_last": training.channels_last,
        'training.clip_by = "adaptive"': training.clip_norm > 0 and training.clip_by == "adaptive",
        f'optimizer.name = "{config.optimizer.name}"': config.optimizer.name in _NEED_WHOLE_WEIGHTS,
    }
    if found := [setting for setting, is_set in unfit.items() if is_set]:
        raise ConfigError(
            f'parallel.strategy = "fsdp": can\'t be had with {", ".join(found)}, which needs whole weights; change '
            "one of them"
        )


def check_parallel_data(config: RunConfig, sources: DataSources, ranks: Ranks) -> None:
    """Check the data against the number of processes.

    Raises:
        ConfigError: too few samples, or samples whose number a collate_fn may change.
    """
    if config.parallel.exact_shards and with_collate(sources.train, config.loader).collate is not None:
        raise ConfigError(
            "parallel.exact_shards: a collate_fn may change the size of a batch, so that it can't be cut "
            "into the same shards everywhere; set one of them"
        )
    for split in (sources.train, sources.validation):
        if len(split) < ranks.world:
            raise ConfigError(
                f"the {split.name} split has {len(split)} samples for {ranks.world} processes: use fewer"
            )


def parallel_notes(config: RunConfig, model: nn.Module, ranks: Ranks) -> list[str]:
    """What a run computes otherwise than one process with whole batches does."""
    part = rank_part(config, ranks)
    if part.shards == 1:
        return []
    samples = config.loader.batch_size // part.shards
    what = f"{part.shards} exact shards" if config.parallel.exact_shards else f"{ranks.world} processes"
    notes = [f"{what}: batch {config.loader.batch_size} in all, {samples} samples each"]
    if _normalizes_parts(model) and not config.parallel.sync_batch_norm:
        offer = "; parallel.sync_batch_norm takes them over the whole batch on GPUs"
        notes.append(
            f"batch normalization takes its statistics over {samples} samples, a process's part"
            f"{'' if config.parallel.exact_shards else offer}"
        )
    if config.parallel.strategy == "fsdp" and ranks.world > 1:
        notes.append(
            "weights, gradients and optimizer state are sharded (FSDP): gradient norms are not recorded, and a "
            "process that runs out of memory ends the run"
        )
    if make_mixes(config.data.train_transforms, "data.train_transforms") and not part.is_whole:
        notes.append(f"MixUp and CutMix mix the {samples} samples of a process among themselves")
    return notes


def _normalizes_parts(model: nn.Module) -> bool:
    return any(isinstance(module, _BatchNorm) and not isinstance(module, SyncBatchNorm) for module in model.modules())
