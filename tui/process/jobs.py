"""Long jobs in the worker process: each runs in its own thread and reports progress.

The process keeps answering short calls meanwhile. A job stops where it next reports progress.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A status request waits this long for the job to end, so that a short job is not answered one poll late.
_LINGER = 0.03  # seconds


@dataclass(frozen=True)
class JobState:
    """Progress of a job.

    Attributes:
        has_ended: whether `value` is its result.
        value: return value of the function.
        progress: last report: current work, items done, items in total (0 if unknown).
    """

    has_ended: bool
    value: Any = None
    progress: tuple[str, int, int] = ("", 0, 0)


class JobStopped(BaseException):
    """Raised where a job reports progress after a request to stop; a BaseException, so that no handler catches it."""


class LostJob(Exception):
    """The job does not exist: the process that ran it has ended."""


_jobs: dict[int, _Job] = {}


def begin(number: int, function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Start "module:name" with a keyword `progress`: a function of (current work, items done, items in total)."""
    module, _, name = function.partition(":")
    _jobs[number] = _Job(getattr(importlib.import_module(module), name), arguments, keywords)


def look(number: int) -> JobState:
    """Return a job's progress; once it has ended, its result, a single time. Raises the job's error, or LostJob."""
    job = _jobs.get(number)
    if job is None:
        raise LostJob("the worker process was restarted in the meantime")
    if not job.wait(_LINGER):
        return JobState(has_ended=False, progress=job.progress)
    del _jobs[number]
    if job.error is not None:
        raise job.error
    return JobState(has_ended=True, value=job.value)


def stop(number: int) -> None:
    """Ask a job to stop where it next reports progress."""
    if number in _jobs:
        _jobs[number].is_stopped = True


def forget(number: int, patience: float) -> bool:
    """Wait up to `seconds` for a job to end, and drop its result. Returns whether it ended."""
    job = _jobs.get(number)
    if job is None:
        return True
    has_ended = job.wait(patience)
    if has_ended:
        del _jobs[number]
    return has_ended


class _Job:
    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.progress = ("", 0, 0)
        self.is_stopped = False
        self.value: Any = None
        self.error: BaseException | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._run, args=(function, arguments, keywords), daemon=True).start()

    def wait(self, seconds: float) -> bool:
        return self._ended.wait(seconds)

    def _run(self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        try:
            self.value = function(*arguments, **keywords, progress=self._report)
        except BaseException as error:
            self.error = error
        finally:
            self._ended.set()

    def _report(self, message: str, done: int, total: int) -> None:
        self.progress = (message, done, total)
        if self.is_stopped:
            raise JobStopped
