"""Delay until the images of a changed pipeline appear: from the key to the grid on the screen.

    python benchmarks/data_preview.py [--repeats 10]

Images of 3×32×32, an array data set of 50,000. The studio runs without a terminal, the previews in its real process
beside it. Wall time is the delay for the user and needs a quiet machine; the CPU time of both processes does not.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from torchdeck.engine.config.file import load_config
from torchdeck.tui.app import Studio
from torchdeck.tui.panes.data.pane import DataPane
from torchdeck.tui.widgets.image_grid import ImageGrid

GOAL = 0.2  # seconds
PIPELINES = {
    "batched: crop, flip, Normalize": '[{name="RandomCrop", size=32, padding=4}, {name="RandomHorizontalFlip"}, '
    '{name="Normalize", mean=[0.5,0.5,0.5], std=[0.2,0.2,0.2]}]',
    "batched: TrivialAugmentWide, RandomErasing": '[{name="TrivialAugmentWide"}, {name="RandomErasing"}]',
    "per sample: ElasticTransform": '[{name="ElasticTransform"}]',
}


async def waits(folder: Path, transforms: str, repeats: int) -> list[tuple[float, float]]:
    """Seconds from the key for another draw until the grid has its pictures: of wall time, and of CPU time."""
    config = load_config("digits", [f"data.dataset={folder / 'images.npz'}", f"data.train_transforms={transforms}"])
    config = config.model_copy(update={"data": config.data.model_copy(update={"eval_transforms": []})})
    app = Studio(config, folder / "runs")
    found = []
    async with app.run_test(size=(200, 60)) as pilot:
        pane, grid = app.query_one(DataPane), app.query_one("#images", ImageGrid)
        while pane.samples is None:
            await pilot.pause(0.05)
        await pilot.pause(3)
        for _ in range(repeats):
            before, begin, spent = grid.images[0], time.perf_counter(), cpu_seconds(app)
            await pilot.press("n")
            while grid.images[0] is before:
                await asyncio.sleep(0.001)
            await pilot.pause()
            found.append((time.perf_counter() - begin, cpu_seconds(app) - spent))
    return found


def cpu_seconds(app: Studio) -> float:
    """CPU seconds of this process and its worker process."""
    beside = psutil.Process(app.worker.pid).cpu_times()
    return time.process_time() + beside.user + beside.system


def main() -> None:
    """Measure every pipeline; print the median and the longest wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        images = generator.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8)
        np.savez(Path(folder) / "images.npz", images=images, labels=np.arange(50_000) % 10)
        for name, transforms in PIPELINES.items():
            walls, cpus = zip(*asyncio.run(waits(Path(folder), transforms, repeats)), strict=True)
            print(
                f"{name}: {statistics.median(walls) * 1e3:.0f} ms, at most {max(walls) * 1e3:.0f} ms "
                f"(goal {GOAL * 1e3:.0f} ms); CPU {statistics.median(cpus) * 1e3:.0f} ms"
            )


if __name__ == "__main__":
    main()
