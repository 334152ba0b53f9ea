"""Find settings of `[loader]` that have no effect with the data and the device of a config, with the reason.

`torchdeck.engine.config.idle_settings` says it of settings that depend on other settings alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import torch

from ..config import LoaderConfig, RunConfig
from ..data.loading.loaders import check_loading
from ..data.loading.tiers import TierName
from ..errors import TorchdeckError
from ..machine.device import choose_device
from .draft_data import open_draft

_ANY: frozenset[TierName] = frozenset(get_args(TierName))
_OF_WORKERS = ("prefetch_factor", "persistent_workers", "timeout", "worker_init")


def without_effect(loader: LoaderConfig, tiers: Collection[TierName], device: torch.device) -> dict[str, str]:
    """Settings of `[loader]` that change nothing where samples live and batches go.

    Args:
        loader: the section.
        tiers: where samples live; every tier that is possible where that is not known.
        device: where batches go.

    Returns:
        By dotted key, the reason in a few words.
    """
    reasons: dict[str, str] = {}

    def say(reason: str, *names: str) -> None:
        for name in names:
            reasons.setdefault(f"loader.{name}", reason)

    if "loader" not in tiers:
        if "encoded" in tiers:
            say("files are decoded by threads, not by worker processes", *_OF_WORKERS)
        else:
            say("samples are decoded once and kept, without workers", "num_workers", *_OF_WORKERS)
    elif loader.num_workers == 0:
        say("num_workers = 0: there are no worker processes", *_OF_WORKERS)
    if device.type != "cuda":
        say("batches are not copied to a GPU", "pin_memory")
    elif set(tiers) == {"device"}:
        say("samples are already in GPU memory", "pin_memory")
    return reasons


def draft_without_effect(config: RunConfig) -> dict[str, str]:
    """`without_effect` for the data and the device of a config; where its data can't be opened, for any tier.

    Raises:
        ConfigError: a device that this machine doesn't have.
    """
    device = choose_device(config.training.device)
    tiers: Collection[TierName]
    try:
        sources = open_draft(config, finds_bad_files=False)
        tiers = {tier.name for tier in check_loading(sources, config, device)}
    except TorchdeckError:
        tiers = _ANY
    return without_effect(config.loader, tiers, device)
