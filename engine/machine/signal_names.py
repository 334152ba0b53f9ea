"""Names of signals, for messages about processes that were ended by one."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Name of a signal: SIGKILL for 9; text with the number for signals without a name in Python."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
