"""What a job's run takes on its GPU, estimated in a process of its own: the queue's worker imports no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..config.file import load_config
from ..errors import TorchdeckError
from ..machine.python_process import module_command

_SECONDS = 300.0


def estimated_memory(config: Path) -> int:
    """Bytes that the run in a file takes at its peak; 0 where that can't be estimated, as for a model of the user's
    own that computes with values."""
    try:
        result = subprocess.run(
            module_command("torchdeck.engine.queue.memory_need", str(config)),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    text = result.stdout.strip()
    return int(text) if result.returncode == 0 and text.isdecimal() else 0


def main(file: str) -> int:
    """Print the estimate of the run in a file, as the memory bar of 2 Model has it. Returns the exit status."""
    from ..preflight.inspection import draft_memory

    try:
        print(draft_memory(load_config(file)).peak)
    except TorchdeckError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
