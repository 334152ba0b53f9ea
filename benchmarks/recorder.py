"""Cost of recording: what a call of `log` takes, and a loop with it against one without, in CPU seconds.

    uv run python benchmarks/recorder.py [--calls 20000] [--rounds 7]

Loops of both kinds take turns; a loop's work is about a millisecond of pure Python per step. A loop's figure is CPU
seconds of the whole process, so that the thread that writes is in it. Prints the medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torchdeck


def main() -> None:
    """Print two lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = torchdeck.record("benchmark", runs=Path(folder))
        calls = [_call_seconds(run.log, options.calls) for _ in range(options.rounds)]
        empty = [_call_seconds(_nothing, options.calls) for _ in range(options.rounds)]
        run.flush()
        with_it, without = [], []
        for _ in range(options.rounds):
            without.append(_loop_seconds(_nothing))
            with_it.append(_loop_seconds(run.log))
        run.finish()
    call = statistics.median(calls) - statistics.median(empty)
    ratio = statistics.median(one / other for one, other in zip(with_it, without, strict=True))
    print(f"log(loss=…, lr=…): {1e6 * call:.2f} µs per call in the loop's thread")
    print(f"a loop of 1 ms per step: {100 * (ratio - 1):+.2f} % CPU with a call in every step")


def _nothing(**values: float) -> None:
    pass


def _call_seconds(log: Callable[..., None], calls: int) -> float:
    began = time.thread_time()
    for step in range(calls):
        log(loss=1.0 + step, lr=0.1)
    return (time.thread_time() - began) / calls


def _loop_seconds(log: Callable[..., None], steps: int = 500) -> float:
    began = time.process_time()
    for step in range(steps):
        sum(range(60_000))
        log(loss=1.0 + step, lr=0.1)
    return time.process_time() - began


if __name__ == "__main__":
    main()
