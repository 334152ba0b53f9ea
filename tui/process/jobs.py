"""Long work in the process beside the studio: in a thread of its own, with progress, until it is told to stop.

The process goes on answering short calls meanwhile. A job is stopped where it next reports progress.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A look at a job waits so long for its end, so that short work is not answered a poll later.
_LINGER = 0.03  # seconds


@dataclass(frozen=True)
class JobState:
    """How far a job is.

    Attributes:
        has_ended: whether `value` is its result.
        value: what the function returned.
        progress: what it reported last: what is done, items done, items in all (0 where that is not known).
    """

    has_ended: bool
    value: Any = None
    progress: tuple[str, int, int] = ("", 0, 0)


class JobStopped(BaseException):
    """Raised in a job's thread where it reports progress, once it is to stop. No handler of errors takes it."""


class LostJob(Exception):
    """There is no such job: the process that it ran in has ended."""


_jobs: dict[int, _Job] = {}


def begin(number: int, function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Start "module:name", which takes a keyword `progress`: a function of (what is done, items done, in all)."""
    module, _, name = function.partition(":")
    _jobs[number] = _Job(getattr(importlib.import_module(module), name), arguments, keywords)


def look(number: int) -> JobState:
    """How far a job is; its result once. Raises what it raised, or LostJob."""
    job = _jobs.get(number)
    if job is None:
        raise LostJob("the process that looks at models and data was started anew meanwhile")
    if not job.wait(_LINGER):
        return JobState(has_ended=False, progress=job.progress)
    del _jobs[number]
    if job.error is not None:
        raise job.error
    return JobState(has_ended=True, value=job.value)


def stop(number: int) -> None:
    """Let a job end where it next reports progress."""
    if number in _jobs:
        _jobs[number].is_stopped = True


def forget(number: int, patience: float) -> bool:
    """Whether a job ends within so many seconds. Nobody asks for it any more."""
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
