"""Processes of one machine have one copy of the data between them."""

from pathlib import Path

import psutil
import pytest
import torch
from campaign import is_full_campaign
from several_processes import ended, several, slowed, steps_of, wait_for
from torchvision.io import write_jpeg

from torchdeck.engine.runs.rank_states import read_ranks

PROCESSES = 4
SIDE = 420


def folder_of_images(root: Path, count: int) -> Path:
    for number in range(count):
        place = root / ("dark", "light")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        shade = torch.full((3, SIDE, SIDE), number % 256, dtype=torch.uint8)
        write_jpeg(shade, str(place / f"{number}.jpg"), quality=50)
    return root


def memory_of(tmp_path: Path, images: int) -> int:
    """Bytes that the processes of a run have among them when each has seen all of its images, shared ones once."""
    root = folder_of_images(tmp_path / f"{images} images", images)
    settings = (
        f"data={{dataset='{root}',validation=0.1,cache='{tmp_path}/cache'}}",
        "model={name='cnn',channels=[2],convolutions=1}",
        "loader.batch_size=8",
        "training.epochs=500",
        "evaluation.every_epochs=500",
    )
    run = several(tmp_path / f"runs of {images}", PROCESSES, *settings, slowed(tmp_path, 0.01))
    path = wait_for(run, lambda path: steps_of(path) > 1.2 * images / 8)
    used = sum(psutil.Process(state["pid"]).memory_full_info().pss for state in read_ranks(path))
    run.stop()
    assert ended(run).status() == "stopped"
    return int(used)


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: a gigabyte of images")
def test_four_processes_with_a_gigabyte_of_images_have_it_once(tmp_path: Path) -> None:
    images = 1_000_000_000 // (3 * SIDE * SIDE)
    without, used = memory_of(tmp_path, 40), memory_of(tmp_path, images)
    print(f"\nPSS of {PROCESSES} processes: {used / 1e6:.0f} MB with 1 GB of images, {without / 1e6:.0f} MB without")
    assert used < images * 3 * SIDE * SIDE + 1.1 * without
