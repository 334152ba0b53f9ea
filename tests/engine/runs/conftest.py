"""What tests of run directories on a failing disk start from."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest


@cache
def can_mount() -> bool:
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Callable[[str, str], dict[str, Any]]:
    """Runs a script in a process that has a disk of its own, of a size such as "4m"; gives the JSON that it prints.

    The script's arguments are the folder where the disk is mounted and the one of `run_cases`.
    """
    if not can_mount():
        pytest.skip("this machine lets nobody mount a small disk (unshare -rm)")

    def run(script: str, size: str) -> dict[str, Any]:
        mount = f'mount -t tmpfs -o size={size} tmpfs "{tmp_path}" && exec "$@"'
        command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)]
        result = subprocess.run(["unshare", "-rm", "sh", "-c", mount, "sh", *command], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        outcome: dict[str, Any] = json.loads(result.stdout)
        return outcome

    return run
