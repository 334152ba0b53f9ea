"""Work on many items in threads that a stop ends soon."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .cores import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough that no thread waits for the one that takes the results.
_AHEAD = 8


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item], name: str) -> Generator[Result]:
    """`function` of every item, in order, done by one thread a core.

    At most a few items per thread are started ahead, so closing it early waits only for those in progress.

    Args:
        function: must let go of the interpreter for threads to help, as decoders do.
        items: what it is called with.
        name: of the threads.

    Raises:
        Exception: what `function` raises, at its item's place.
    """
    threads = available_cores()
    begun = deque[Future[Result]]()
    with ThreadPoolExecutor(threads, thread_name_prefix=name) as pool:
        try:
            for item in items:
                begun.append(pool.submit(function, item))
                if len(begun) >= threads * _AHEAD:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
