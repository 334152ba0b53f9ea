"""Names of signals, for messages about processes that were ended by one."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """SIGKILL for 9; of a signal that Python has no name for, such as most real-time ones, its number in words."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
