"""torchvision's own downloads, transferred as torchdeck transfers: in pieces, with progress, resumable."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ....progress import Progress
from ..http_download import TransferError, fetch_file


@contextlib.contextmanager
def transfers(progress: Progress) -> Iterator[None]:
    """Let torchvision fetch through `fetch_file` in this block.

    Its data sets bring addresses and checksums; two functions of its `datasets.utils` that each of them
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
    """Exception of a progress callback, which bypasses torchvision's handlers for bad mirrors."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason


class _Fetcher:
    """Replacements for torchvision's own functions."""

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
                f"{url} differs from the published file (its MD5 is not {md5}), so it was not kept. You can also "
                f"download it yourself and put it at {path}"
            )
        return is_good

    def _report(self, message: str, done: int, total: int) -> None:
        try:
            self._progress(message, done, total)
        except BaseException as error:
            raise _Ended(error) from error


_AGENT = "pytorch/vision"


# Only one download at a time replaces torchvision's functions.
_one_at_a_time = threading.Lock()
