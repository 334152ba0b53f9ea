"""How torchdeck starts Python processes of its own, and how libraries that it uses start theirs.

A `random.py`, `types.py` or `torch.py` in the working directory is the user's. In a process with the working directory
on its path it would stand in for the library's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SAFE_PATH = "PYTHONSAFEPATH"


def python_command() -> tuple[str, ...]:
    """What starts this Python again; with -P the working directory is not on its path."""
    return sys.executable, "-P"


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of torchdeck in a process of its own."""
    return [*python_command(), "-m", module, *arguments]


def safe_path_setting() -> str | None:
    """The user's own PYTHONSAFEPATH; None when it is not set."""
    return os.environ.get(_SAFE_PATH)


def restore_safe_path(setting: str | None) -> None:
    """Set PYTHONSAFEPATH as it was: Python processes that the user's code starts find the user's modules."""
    if setting is None:
        os.environ.pop(_SAFE_PATH, None)
    else:
        os.environ[_SAFE_PATH] = setting


@contextmanager
def libraries_start_python_safely() -> Iterator[None]:
    """Python processes that libraries start in here don't have the working directory on their path.

    For what takes no command line of ours: the fork server and the resource tracker of multiprocessing, and the probe
    of torch's compiler for vector instructions. They inherit the setting; see `restore_safe_path`.
    """
    before = safe_path_setting()
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        restore_safe_path(before)
