"""Fetching a published data set: torchvision's own addresses and checksums, with torchdeck's way of transferring."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import DataConfig
from engine.data.datasets.catalog import find_dataset, list_datasets
from engine.data.datasets.transfer import TransferError, fetch_file
from engine.data.loading.progress import Progress
from engine.errors import ConfigError, did_you_mean
from engine.user_path import user_path

_AGENT = "pytorch/vision"

# Whoever fetches has torchvision's functions to itself.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Downloaded:
    """A data set that is there now.

    Attributes:
        name: as the catalogue has it.
        root: the folder that it was fetched into.
        samples: how many of each part it has.
        notes: what the user should know.
    """

    name: str
    root: str
    samples: dict[str, int]
    notes: list[str]


def download(name: str, root: str, progress: Progress) -> Downloaded:
    """Fetch a data set of the catalogue into `root`, unpack it and open it; what is there already is not fetched.

    Args:
        name: in the catalogue.
        root: a folder, as `data.root`.
        progress: called with what is done, kilobytes done and in all; what it raises ends the transfer, and the next
            call goes on from there.

    Raises:
        ConfigError: no such data set, or one that can't be downloaded: says what to put where.
        DataError: it can't be fetched: says which file, and where to put it.
    """
    from engine.data.datasets.sources import open_parts

    entry = find_dataset(name)
    if entry is None:
        names = [known.name for known in list_datasets() if known.obtain == "download"]
        raise ConfigError(f"{name}: no data set of the catalogue{did_you_mean(name, names)}")
    if entry.source == "folder":
        raise ConfigError(f"{name}: is your own folder, named by data.root; there is nothing to fetch")
    parts = open_parts(DataConfig(dataset=entry.name, root=root, download=entry.obtain != "embedded"), progress)
    there = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    samples = {part: len(dataset) for part, dataset in there.items() if dataset is not None}
    return Downloaded(entry.name, str(user_path(root)), samples, parts.notes)


@contextlib.contextmanager
def transfers(progress: Progress) -> Iterator[None]:
    """Let torchvision fetch through `fetch_file` in this block.

    Its data sets bring addresses, checksums and unpacking; two functions of its `datasets.utils` that each of them
    ends in are replaced: `_urlretrieve`, and `check_integrity`, which says no more than False. A test holds that
    against the installed release.

    Args:
        progress: called with what is done, kilobytes done and in all; what it raises comes out of the block.
    """
    from torchvision.datasets import utils

    replaced: Any = utils
    before = replaced._urlretrieve, replaced.check_integrity
    fetcher = _Fetcher(progress, replaced.check_integrity)
    with _one_at_a_time:
        replaced._urlretrieve, replaced.check_integrity = fetcher.retrieve, fetcher.check
        try:
            yield
        except _Ended as ended:
            raise ended.reason from None
        finally:
            replaced._urlretrieve, replaced.check_integrity = before


class _Ended(BaseException):
    """What a progress callback raised, past the handlers of torchvision that take every exception for a bad mirror."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason


class _Fetcher:
    """What torchvision calls instead of its own functions."""

    def __init__(self, progress: Progress, check: Callable[..., bool]) -> None:
        self._progress = progress
        self._check = check
        self._fetched: dict[str, str] = {}
        self._failed: dict[str, TransferError] = {}

    def retrieve(self, url: str, filename: Any, *_: Any, **__: Any) -> None:
        """Fetch `url` into the file `filename`."""
        secure = url.replace("http:", "https:", 1)
        if url != secure and secure in self._failed:
            # torchvision would try again without encryption.
            raise self._failed[secure]
        try:
            fetch_file(url, Path(filename), self._report, agent=_AGENT)
        except TransferError as error:
            self._failed[url] = error
            raise
        self._fetched[str(filename)] = url

    def check(self, path: Any, md5: str | None = None) -> bool:
        """Whether a file is there and is the published one. Raises TransferError for one that was just fetched."""
        is_good = self._check(path, md5)
        url = self._fetched.pop(str(path), None)
        if url is not None and not is_good:
            Path(path).unlink(missing_ok=True)
            raise TransferError(
                f"{url} gives another file than the published one: its MD5 is not {md5}, so it was not kept. To fetch "
                f"it by other means, put it at {path}"
            )
        return is_good

    def _report(self, message: str, done: int, total: int) -> None:
        try:
            self._progress(message, done, total)
        except BaseException as error:
            raise _Ended(error) from error
