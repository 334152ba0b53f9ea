"""Where and with what a run is made: host, program versions, and the state of the source code around it."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

from .requeue import slurm_job

_PACKAGES = ("torchdeck", "torch", "torchvision", "numpy")
_GIT_SECONDS = 2.0


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
        "git": _describe_git(),
        "slurm_job": slurm_job(),
    }


def _describe_git() -> dict[str, Any] | None:
    """Commit of the working directory's repository, and whether files differ from it; None outside of one."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return None
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "is_dirty": bool(changes) if changes is not None else None}


def _git(*arguments: str) -> str | None:
    """Output of a git command; None when there is no git, no repository, or it takes too long."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        result = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return result.stdout.strip()


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
