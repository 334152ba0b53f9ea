"""The worker process: it inspects models and previews data, so that the studio's process does not have to.

Building a model or running user code in the studio's process would draw from the random streams of a run that trains
there, could crash the screen, and would block it while torch is imported. In the worker process, it can crash or
hang, and the process is restarted.

Requests and answers are length-prefixed pickles between two processes of this program.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import pickle
import struct
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, cast

from torchdeck.engine.errors import TorchdeckError, TorchUnavailableError
from torchdeck.engine.machine.python_process import python_command
from torchdeck.engine.machine.signal_names import signal_name
from torchdeck.engine.machine.torch_import import torch_failure

from . import worker_calls
from .importing import no_garbage_sought
from .utf8 import print_utf8

_LENGTH = struct.Struct("<Q")
_PATIENCE = 3.0  # seconds for an abandoned call or job
_LOOK_EVERY = 0.1  # seconds between two status requests of a job
_SAID_EVERY = 0.5  # seconds between two numbers of a progress: each costs bytes over SSH
_FORGET_WITHIN = 0.05  # seconds; other calls wait meanwhile

# Not `-m`: the module would exist twice, also as `__main__`, and its errors would not unpickle here.
_MAIN = f"from {__name__} import main; main()"

Refusal = Callable[[str, object], Awaitable[str]]


async def _refuse_nothing(function: str, arguments: object) -> str:
    return ""


class WorkerError(Exception):
    """The process can't be started, it ended before it answered, or the function failed; the text says which.

    Attributes:
        signal: number of the signal that ended the process; 0 if none did.
    """

    def __init__(self, text: str, signal: int = 0) -> None:
        super().__init__(text)
        self.signal = signal


class WorkerProcess:
    """Runs functions in a separate process: short calls in order, long jobs in parallel to them.

    A call whose task is canceled is abandoned. If it has started, its answer is awaited for a short while and dropped,
    since a new process would have to import torch again; after that, the process is ended.
    """

    def __init__(self, log: Path | None = None, *, is_held: bool = False, refuse: Refusal = _refuse_nothing) -> None:
        """Create the worker without starting its process.

        Args:
            log: file for the output of the process; None for the standard error of this process.
            refuse: function of a call's function and arguments that returns why to refuse the call, or "".
            is_held: whether calls wait for `start`, so that imports take no CPU time from the first paint.
        """
        self._log = log
        self._refuse = refuse
        self._is_released = asyncio.Event()
        if not is_held:
            self._is_released.set()
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._is_closed = False
        self._killed: list[asyncio.subprocess.Process] = []
        self._job_numbers = itertools.count()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return self._process.pid if self._process is not None else None

    def another(self) -> WorkerProcess:
        """Create one more worker process, for work that ends with it; `close` it afterwards."""
        return WorkerProcess(self._log, refuse=self._refuse)

    async def start(self) -> None:
        """Start the process, which starts to import torch. `call` does this by itself, unless it is held.

        Raises:
            WorkerError: the process can't be started, or the worker was closed.
        """
        self._is_released.set()
        await self._running()

    async def _running(self) -> asyncio.subprocess.Process:
        """Return the process; start it if there is none. Concurrent callers wait for the same process."""
        async with self._starting:
            if self._is_closed:
                raise WorkerError("the worker process was closed")
            if self._process is None or self._process.returncode is not None:
                self._process = await self._spawn()
            return self._process

    async def _spawn(self) -> asyncio.subprocess.Process:
        try:
            with ExitStack() as files:
                return await asyncio.create_subprocess_exec(
                    *python_command(),
                    "-c",
                    _MAIN,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=files.enter_context(self._log.open("ab")) if self._log is not None else None,
                    start_new_session=True,
                )
        except OSError as error:
            raise WorkerError(f"the worker process can't be started: {error}") from error

    async def call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a function by name and wait for what it returns.

        Args:
            function: "module:name"; the process imports the module.
            arguments: positional arguments; they and the result must pickle.
            keywords: keyword arguments.

        Raises:
            TorchdeckError: the function raised it.
            WorkerError: the call was refused, the function raised another error, the process can't be started, or it
                ended before it answered.
        """
        await self._check(function, arguments, keywords)
        return await self._call(function, arguments, keywords)

    async def _check(self, function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if reason := await self._refuse(function, (arguments, keywords)):
            raise WorkerError(reason)

    async def _call(self, function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        begun = asyncio.Event()
        exchange = asyncio.create_task(self._exchange(function, pickle.dumps((function, arguments, keywords)), begun))
        try:
            succeeded, value = await asyncio.shield(exchange)
        except asyncio.CancelledError:
            if begun.is_set():
                exchange.add_done_callback(_drop)
                asyncio.get_running_loop().call_later(_PATIENCE, self._give_up, exchange)
            else:
                exchange.cancel()
            raise
        if not succeeded:
            raise value
        return value

    async def follow(
        self, function: str, *arguments: Any, on_progress: Callable[[str, int, int], None], **keywords: Any
    ) -> Any:
        """Call a slow function in a thread of the process, which answers other calls meanwhile.

        If the task is canceled, the function stops where it next reports progress; if that takes too long, the
        process is ended.

        Args:
            function: "module:name"; takes a keyword `progress`, a function of current work, items done, total items.
            arguments: positional arguments; they and the result must pickle.
            on_progress: called in this process with the function's report: at once when it is about other work, and at
                most twice per second while only its numbers change.
            keywords: keyword arguments.

        Raises:
            TorchdeckError: the function raised it.
            WorkerError: the function raised another error, or its process ended.
        """
        await self._check(function, arguments, keywords)
        number = next(self._job_numbers)
        seen, said_at = ("", 0, 0), 0.0
        try:
            await self._call(worker_calls.BEGIN_JOB, (number, function, arguments, keywords), {})
            while not (state := await self.call(worker_calls.LOOK_AT_JOB, number)).has_ended:
                now = time.monotonic()
                is_due = state.progress[0] != seen[0] or now - said_at >= _SAID_EVERY
                if state.progress != seen and is_due:
                    seen, said_at = state.progress, now
                    on_progress(*seen)
                await asyncio.sleep(_LOOK_EVERY)
        except asyncio.CancelledError:
            ending = asyncio.create_task(self._end_job(number))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            raise
        return state.value

    async def _end_job(self, number: int) -> None:
        try:
            await self.call(worker_calls.STOP_JOB, number)
            deadline = asyncio.get_running_loop().time() + _PATIENCE
            while not await self.call(worker_calls.FORGET_JOB, number, _FORGET_WITHIN):
                if asyncio.get_running_loop().time() > deadline:
                    # Only between two calls, so that no call loses its answer.
                    async with self._turn:
                        self._kill()
                    return
                await asyncio.sleep(_LOOK_EVERY)
        except WorkerError:
            # The job has ended with its process.
            return

    async def _exchange(self, function: str, request: bytes, begun: asyncio.Event) -> tuple[bool, Any]:
        await self._is_released.wait()
        async with self._turn:
            process = await self._running()
            assert process.stdin is not None and process.stdout is not None
            begun.set()
            try:
                process.stdin.write(_LENGTH.pack(len(request)) + request)
                await process.stdin.drain()
                (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
                answer = await process.stdout.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                status = await process.wait()
                what = f"{function.partition(':')[2]} ended the worker process: {_how(status)}"
                raise WorkerError(what, max(0, -status)) from error
        try:
            succeeded, value = pickle.loads(answer)
        except Exception as error:
            raise WorkerError(f"{function.partition(':')[2]}: its answer can't be read: {error}") from error
        return succeeded, value

    def _give_up(self, exchange: asyncio.Task[tuple[bool, Any]]) -> None:
        if not exchange.done():
            self._kill()

    async def close(self) -> None:
        """End the process at once. Later calls fail."""
        async with self._starting:
            self._is_closed = True
            self._kill()
        for ending in list(self._endings):
            ending.cancel()
        for process in self._killed:
            await process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._killed.clear()

    def _kill(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            self._killed.append(self._process)
        self._process = None


def _drop(exchange: asyncio.Task[tuple[bool, Any]]) -> None:
    """Retrieve an abandoned result, so that asyncio does not report it as never retrieved."""
    if not exchange.cancelled():
        exchange.exception()


def _how(status: int) -> str:
    return signal_name(-status) if status < 0 else f"exit status {status}"


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input ends. Runs in the process that `WorkerProcess` starts."""
    while header := requests.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(header)
        function, arguments, keywords = pickle.loads(requests.read(length))
        answer = _answer(function, arguments, keywords)
        answers.write(_LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _answer(function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bytes:
    module, _, name = function.partition(":")
    try:
        value = getattr(importlib.import_module(module), name)(*arguments, **keywords)
        return pickle.dumps((True, value))
    except TorchdeckError as error:
        return pickle.dumps((False, error))
    except Exception as error:
        if failure := torch_failure():
            # Whatever it raised came of that.
            return pickle.dumps((False, TorchUnavailableError("this", failure)))
        traceback.print_exc()
        return pickle.dumps((False, WorkerError(f"{type(error).__name__}: {error}")))


def main() -> None:
    """Run the worker process: descriptors 0 and 1 carry requests and answers; prints go to descriptor 2."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.nice(5)
    print_utf8()
    # Closing the process kills it: what user code printed has to be in the log by then.
    cast(TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)
    # Every request needs these; import them while the user looks at the first screen.
    with no_garbage_sought():
        if failure := torch_failure():
            print(f"torch can't be imported: {failure}", file=sys.stderr, flush=True)
    serve(requests, answers)
