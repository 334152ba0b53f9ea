"""Provenance of a run: host, program versions, and the state of the source code."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import platform
import socket
from pathlib import Path
from typing import Any

from .git_state import describe_git
from .requeue import slurm_job

_PACKAGES = ("torchdeck", "torch", "torchvision", "numpy")


def describe_origin() -> dict[str, Any]:
    """What `run.json` records of the process that makes a run, as plain values."""
    return {
        "host": socket.gethostname(),
        "user": _user(),
        "pid": os.getpid(),
        "working_directory": str(Path.cwd()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: version for package in _PACKAGES if (version := _version(package))},
        "git": describe_git(Path.cwd()),
        "slurm_job": slurm_job(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
