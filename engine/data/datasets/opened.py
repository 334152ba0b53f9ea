"""Data sets that were opened, kept so that the next look at the same one costs nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ...config import DataConfig
from ...progress import Progress, unreported
from ...user_code import is_user_spec
from ...user_path import user_path
from .sources import DataSources, open_sources

_KEPT = 2
# What does not decide which samples there are.
_IRRELEVANT = {"train_transforms", "eval_transforms", "storage", "download"}

_opened: OrderedDict[str, DataSources] = OrderedDict()
_lock = threading.Lock()


def opened_sources(
    config: DataConfig, seed: int, *, is_fresh: bool = False, progress: Progress = unreported
) -> DataSources:
    """The data set of a config: the one opened before, if neither its settings nor its folder or file changed since.

    Args:
        config: the `[data]` section.
        seed: decides which samples a validation share takes.
        is_fresh: open it again in any case.
        progress: called while a folder is listed.

    Raises:
        TorchdeckError: like `open_sources`.
    """
    key = f"{config.model_dump_json(exclude=_IRRELEVANT)} {seed} {_stamp(config)}"
    with _lock:
        if key in _opened and not is_fresh:
            _opened.move_to_end(key)
            return _opened[key]
    sources = open_sources(config, seed, progress)
    with _lock:
        _opened[key] = sources
        while len(_opened) > _KEPT:
            _opened.popitem(last=False)
    return sources


def _stamp(config: DataConfig) -> int:
    """Time of the last change of the folder or the user's file; 0 if unknown."""
    name = config.dataset.rpartition(":")[0] if is_user_spec(config.dataset) else config.dataset
    try:
        return user_path(name).stat().st_mtime_ns
    except OSError:
        return 0
