"""Fetching a published data set: torchvision's own addresses and checksums, with torchdeck's way of transferring."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import DataConfig
from ...errors import ConfigError, did_you_mean
from ...progress import Progress
from ...user_path import user_path
from .catalog import find_dataset, list_datasets


@dataclass(frozen=True)
class Downloaded:
    """A data set that is there now.

    Attributes:
        name: name in the catalog.
        root: the folder that it was fetched into.
        samples: how many of each part it has.
        notes: remarks for the user.
    """

    name: str
    root: str
    samples: dict[str, int]
    notes: list[str]


def download(name: str, root: str, progress: Progress) -> Downloaded:
    """Download a data set of the catalog to `root`, unpack it and open it; files that exist are not downloaded again.

    Args:
        name: name in the catalog.
        root: a folder, as `data.root`.
        progress: called with what is done, kilobytes done and in all; what it raises ends the transfer, and the next
            call resumes there.

    Raises:
        ConfigError: no such data set, or one that can't be downloaded: says what to put where.
        DataError: it can't be fetched: says which file, and where to put it.
    """
    from .sources import open_parts

    entry = find_dataset(name)
    if entry is None:
        names = [known.name for known in list_datasets() if known.obtain == "download"]
        raise ConfigError(f"{name}: unknown data set{did_you_mean(name, names)}")
    if entry.source == "folder":
        raise ConfigError(f"{name}: your own folder, named by data.root; there is nothing to download")
    parts = open_parts(DataConfig(dataset=entry.name, root=root, download=entry.obtain != "embedded"), progress)
    there = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    samples = {part: len(dataset) for part, dataset in there.items() if dataset is not None}
    return Downloaded(entry.name, str(user_path(root)), samples, parts.notes)
