"""The share of every epoch that one of several processes trains on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ...config import LoaderConfig, RunConfig
from ...errors import ConfigError

# Variables in which torchrun and SLURM's srun set the number of processes and the rank of each.
_COUNTS = ("WORLD_SIZE", "SLURM_NTASKS")
_RANKS = ("RANK", "SLURM_PROCID")


@dataclass(frozen=True)
class ProcessShare:
    """One process of several, and how an epoch is dealt among them.

    Attributes:
        rank: rank of this process, from 0.
        replicas: how many there are.
        drop_last: samples that don't go round are left out; else the order is filled up from its own beginning.
        source: origin of rank and replicas, as text.
    """

    rank: int
    replicas: int
    drop_last: bool = False
    source: str = ""

    def length(self, count: int) -> int:
        """Samples that each process takes of an epoch of `count`."""
        return count // self.replicas if self.drop_last else -(-count // self.replicas)


def process_share(loader: LoaderConfig, environment: Mapping[str, str] = os.environ) -> ProcessShare | None:
    """The share that `[loader]` asks for; None where every sample is this process's own.

    Args:
        loader: the section.
        environment: where `num_replicas` and `rank` are looked up as far as the section leaves them open.

    Raises:
        ConfigError: they are found nowhere, or contradict each other.
    """
    if loader.sampler != "distributed":
        return None
    replicas, count_from = loader.num_replicas, "loader.num_replicas"
    if replicas == 0:
        replicas, count_from = _from_environment("num_replicas", _COUNTS, environment)
    rank, rank_from = loader.rank, "loader.rank"
    if rank < 0:
        rank, rank_from = _from_environment("rank", _RANKS, environment)
    if replicas < 1 or not 0 <= rank < replicas:
        raise ConfigError(
            f'loader.sampler = "distributed": rank {rank} (from {rank_from}) of {replicas} processes (from '
            f"{count_from}): ranks go from 0 to the number of processes minus one. Set loader.num_replicas and "
            "loader.rank, or leave both to the launcher"
        )
    return ProcessShare(rank, replicas, loader.drop_last, f"{rank_from} and {count_from}")


def with_process_share(config: RunConfig) -> RunConfig:
    """The config with `num_replicas` and `rank` as numbers, so that a resumed run takes the same share anywhere.

    Raises:
        ConfigError: like `process_share`.
    """
    share = process_share(config.loader)
    if share is None:
        return config
    loader = config.loader.model_copy(update={"num_replicas": share.replicas, "rank": share.rank})
    return config.model_copy(update={"loader": loader})


def share_words(share: ProcessShare, count: int) -> str:
    """What a user has to know of training on a share of `count` samples."""
    return (
        f"process {share.rank} of {share.replicas} (from {share.source}), counted from 0, trains on "
        f"{share.length(count):,} of {count:,} samples per epoch; torchdeck does not average gradients between "
        "processes: each trains its own model and evaluates it on the whole validation split"
    )


def _from_environment(field: str, names: tuple[str, ...], environment: Mapping[str, str]) -> tuple[int, str]:
    name = next((name for name in names if environment.get(name)), None)
    if name is None:
        raise ConfigError(
            f'loader.sampler = "distributed": loader.{field} is left to the launcher, which set neither '
            f"{names[0]} (torchrun) nor {names[1]} (srun). Start with one of them, or set loader.{field}"
        )
    try:
        return int(environment[name]), name
    except ValueError:
        raise ConfigError(
            f"loader.{field}: the environment variable {name} is '{environment[name]}', not a whole number"
        ) from None
