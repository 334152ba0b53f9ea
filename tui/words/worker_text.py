"""Why the worker process ended, as text."""

from __future__ import annotations

import signal

from torchdeck.engine.errors import TorchdeckError

from ..process.worker_process import WorkerError

_OF_SHORT_MEMORY = (signal.SIGKILL, signal.SIGABRT)


def ended_words(error: TorchdeckError | WorkerError, advice: str = "") -> str:
    """Describe an error of a call, with the likeliest reason if a signal ended the process.

    Args:
        error: error of the call.
        advice: what helps if memory ran out; empty for none.
    """
    if not isinstance(error, WorkerError) or error.signal not in _OF_SHORT_MEMORY:
        return str(error)
    return f"{error}; the system may have killed it for using too much memory{f'; {advice}' if advice else ''}"
