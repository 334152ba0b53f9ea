"""What an adapter does about the studio's keys."""

from __future__ import annotations

from ..errors import TorchdeckError
from ..machine.installation import install_command
from ..recording.recorder import Recorder


def stop_is_asked(run: Recorder) -> bool:
    """Wait while the user has paused the run. Returns whether it is to stop; asks for each command once."""
    asked = run.commands()
    if any(command["cmd"] == "pause" for command in asked):
        asked = [*asked, *run.wait()]
    return any(command["cmd"] == "stop" for command in asked)


def missing(package: str) -> TorchdeckError:
    """The error where the adapter's library is not installed."""
    return TorchdeckError(f"this needs {package}, which is not installed: {install_command(package)}")
