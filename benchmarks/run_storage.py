"""Cost of storing a run: stall of training by a save, append of a record, lag of a reader, opening a long run.

    python benchmarks/run_storage.py [--megabytes N] [--saves N] [--million N] [--folder DIR]

The stall of a save is the time the training thread is kept from its next step; beside it, in turns, a synchronous
`torch.save` with fsync, rename and fsync of the folder of the same state.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from torchdeck.engine.config import RunConfig
from torchdeck.engine.files.durable import atomic_write
from torchdeck.engine.files.json_values import to_json
from torchdeck.engine.runs.on_disk.metrics_record import TrainRecord
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.checkpoint_format import Checkpoint
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.engine.training.snapshot import SnapshotBuffers
from torchdeck.tui.widgets.charts.plot import Curve, draw, frame_for

VALUES_A_STEP = ("loss", "accuracy", "lr")
STEPS_A_BLOCK = 100

# Reads a live run in a process of its own and prints when each record's step was first seen.
FOLLOWER = """
import json, sys, time
from pathlib import Path
from torchdeck.engine.runs.reader import RunReader
reader, seen, last = RunReader(Path(sys.argv[1])), {}, 0
print("ready", flush=True)
while last < int(sys.argv[2]):
    if reader.poll():
        steps = reader.series("train/loss")[0]
        if len(steps) and int(steps[-1]) > last:
            last = int(steps[-1])
            seen[last] = time.time()
    time.sleep(0.05)
print(json.dumps(seen))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="size of the state that is saved")
    parser.add_argument("--saves", type=int, default=6, help="saves of each kind")
    parser.add_argument("--million", type=float, default=3.4, help="million steps of the longer run")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        measure_saves(folder, options.megabytes, options.saves)
        measure_append(folder)
        measure_lag(folder)
        for million in (1.0, options.million):
            measure_opening(folder, int(million * 1e6))


def measure_saves(folder: Path, megabytes: int, saves: int) -> None:
    tensors = 200
    weights = {f"layer{number}.weight": torch.randn(megabytes * 250_000 // tensors) for number in range(tensors)}
    run = RunWriter.create(folder, RunConfig(name="save"), {})
    buffers = SnapshotBuffers(torch.device("cpu"))
    stalls, synchronous, durable = [], [], []
    for number in range(saves + 1):
        began = time.perf_counter()
        snapshot = buffers.snapshot()
        content = {"epoch": 1, "model_state_dict": snapshot.copied(weights), "position": {"step": number}}
        state = cast("Checkpoint", content)
        snapshot.wait()
        run.save_checkpoint(state, step=number, epoch=1, metrics={}, reason="t", when_done=snapshot.release)
        stalls.append(time.perf_counter() - began)
        run.flush()
        durable.append(time.perf_counter() - began)
        began = time.perf_counter()
        atomic_write(folder / "synchronous.pt", lambda file: torch.save({"model_state_dict": weights}, file))
        synchronous.append(time.perf_counter() - began)
    run.close("finished")
    # The first save allocates the memory that the others use again.
    print(
        f"save of {megabytes} MB in {tensors} tensors, {saves} of each kind in turns (milliseconds, median and worst)"
    )
    for name, times in (("stall", stalls[1:]), ("stall, first save", stalls[:1]), ("durable after", durable[1:])):
        print(f"  {name:22} {1e3 * statistics.median(times):8.0f} {1e3 * max(times):8.0f}")
    print(f"  {'synchronous torch.save':22} {1e3 * statistics.median(synchronous):8.0f} {1e3 * max(synchronous):8.0f}")


def measure_append(folder: Path) -> None:
    run = RunWriter.create(folder, RunConfig(name="append"), {})
    count = 100_000
    records = [_record(number, 1) for number in range(1, count + 1)]
    began = time.thread_time()
    for record in records:
        run.record(record)
    seconds = time.thread_time() - began
    run.close("finished")
    print(f"append of a record on the training thread: {1e6 * seconds / count:.2f} µs of CPU")


def measure_lag(folder: Path) -> None:
    run = RunWriter.create(folder, RunConfig(name="lag"), {})
    records = 50
    command = [sys.executable, "-c", FOLLOWER, str(run.path), str(records)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as follower:
        assert follower.stdout is not None
        follower.stdout.readline()
        written = {}
        for number in range(1, records + 1):
            run.record(_record(number, 1))
            written[number] = time.time()
            time.sleep(0.2)
        seen = {int(step): moment for step, moment in json.loads(follower.stdout.readline()).items()}
    run.close("finished")
    lags = [moment - written[step] for step, moment in seen.items()]
    print(f"lag of a reader in another process: median {statistics.median(lags):.3f} s, worst {max(lags):.3f} s")


def measure_opening(folder: Path, steps: int) -> None:
    run = RunWriter.create(folder, RunConfig(name="long"), {})
    run.close("finished")
    with (run.path / "metrics.jsonl").open("wb") as file:
        for last in range(STEPS_A_BLOCK, steps + 1, STEPS_A_BLOCK):
            file.write(to_json(_record(last, STEPS_A_BLOCK)) + b"\n")
    values = steps * len(VALUES_A_STEP)
    size = (run.path / "metrics.jsonl").stat().st_size
    print(f"a run of {steps:,} steps, {values:,} values, {size / 1e6:.0f} MB")
    for name in ("first reader, which parses", "with the cache", "with the cache"):
        wall, cpu = time.perf_counter(), time.process_time()
        reader = RunReader(run.path)
        reader.poll()
        opened = time.perf_counter() - wall
        for curve in ("train/loss", "train/accuracy", "lr"):
            draw_curve(*reader.series(curve))
        print(
            f"  {name:28} open {opened:.3f} s, open and draw {time.perf_counter() - wall:.3f} s, "
            f"{time.process_time() - cpu:.3f} s of CPU"
        )


def draw_curve(x: Any, y: Any) -> None:
    """One chart of 100x20 cells, as a pane draws it."""
    size, curves = (100, 20), [Curve(x, y)]
    frame = frame_for(curves, size, is_log=False)
    if frame is not None:
        draw(size, frame, curves, [])


def _record(last_step: int, steps: int) -> TrainRecord:
    rng = np.random.default_rng(last_step)
    return {
        "kind": "train",
        "epoch": 1,
        "step": last_step,
        "t": last_step / 100,
        "seconds": steps / 100,
        "samples": steps * 64,
        "loss": rng.random(steps, dtype=np.float32).astype(float).tolist(),
        "accuracy": (rng.integers(0, 65, steps) / 64).tolist(),
        "lr": [0.1 / step for step in range(last_step - steps + 1, last_step + 1)],
    }


if __name__ == "__main__":
    main()
