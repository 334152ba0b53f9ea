"""JPEG files to 224-pixel batches, the storage tiers and the preview: CPU seconds, one thread, ratios to Pillow.

    python benchmarks/data_files.py [--rounds N]

The files are made here: smooth noise of every scale, 500×375, of the size on disk that photographs have. The
alternatives take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data_path import CPU, Measured, interleaved, ratio, take
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from torchdeck.engine.config import Component, DataConfig, LoaderConfig, RunConfig
from torchdeck.engine.data.datasets.images.jpeg import torchcodec_decoder
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.exploration.preview import preview
from torchdeck.engine.data.loading.loaders import build_loaders

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NORMALIZE = {"name": "Normalize", "mean": MEAN, "std": STD}
RANDOM_CROP: list[dict[str, Any]] = [
    {"name": "RandomResizedCrop", "size": 224},
    {"name": "RandomHorizontalFlip"},
    NORMALIZE,
]
FIXED: list[dict[str, Any]] = [{"name": "Resize", "size": [232, 232]}, {"name": "RandomCrop", "size": 224}, NORMALIZE]


def write_photographs(folder: Path, count: int) -> float:
    """JPEG files of two classes; the mean size of a file in kB."""
    generator = np.random.default_rng(0)
    sizes = []
    for number in range(count):
        image = np.zeros((375, 500, 3), dtype=np.float32)
        for octave in range(7):
            height, width = 4 * 2**octave, 5 * 2**octave
            noise = generator.normal(0, 1.7**-octave, (min(height, 375), min(width, 500), 3)).astype(np.float32)
            planes = [Image.fromarray(noise[..., k]).resize((500, 375), Image.Resampling.BICUBIC) for k in range(3)]
            image += np.stack([np.asarray(plane) for plane in planes], axis=2)
        levels = ((image - image.min()) / (image.max() - image.min()) * 255).astype(np.uint8)
        file = folder / "ab"[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels).save(file, quality=92)
        sizes.append(file.stat().st_size)
    return statistics.mean(sizes) / 1000


def config_of(folder: Path, pipeline: list[dict[str, Any]], storage: str, cache: Path) -> RunConfig:
    steps = [Component.model_validate(step) for step in pipeline]
    data = DataConfig(
        dataset=str(folder),
        validation=0.1,
        storage=storage,  # type: ignore[arg-type]
        cache=str(cache),
        train_transforms=steps,
        eval_transforms=[Component.model_validate({"name": "Resize", "size": [224, 224]})],
    )
    return RunConfig(data=data, loader=LoaderConfig(batch_size=32, num_workers=0 if storage == "loader" else 1))


def epochs_of(folder: Path, pipeline: list[dict[str, Any]], storage: str, cache: Path) -> Measured:
    config = config_of(folder, pipeline, storage, cache)
    loader = build_loaders(open_sources(config.data, 0), config, CPU, lambda *_: None).train
    epochs = iter(range(1_000_000))
    return lambda: take(loader.batches(next(epochs)), 1000)


def files(folder: Path, cache: Path, rounds: int) -> None:
    pillow = DataLoader(
        ImageFolder(
            str(folder),
            transforms.Compose(
                [
                    transforms.RandomResizedCrop(224),
                    transforms.RandomHorizontalFlip(),
                    transforms.ToTensor(),
                    transforms.Normalize(MEAN, STD),
                ]
            ),
        ),
        batch_size=32,
        shuffle=True,
    )
    seconds = interleaved(
        {
            "encoded": epochs_of(folder, RANDOM_CROP, "encoded", cache),
            "loader": epochs_of(folder, RANDOM_CROP, "loader", cache),
            "pillow": lambda: take(pillow, 1000),
            "fixed, encoded": epochs_of(folder, FIXED, "encoded", cache),
            "fixed, mmap": epochs_of(folder, FIXED, "mmap", cache),
            "fixed, memory": epochs_of(folder, FIXED, "memory", cache),
        },
        rounds,
    )
    decoder = "torchcodec" if torchcodec_decoder() is not None else "Pillow: torchcodec is not installed"
    print(f"JPEG 500×375 to 3×224×224 float32, images per CPU second (decoder: {decoder}):")
    for name, label in (
        ("encoded", "RandomResizedCrop, flip, Normalize: storage = encoded, 1 thread"),
        ("loader", "the same: storage = loader"),
        ("pillow", "the same: torchvision, Pillow, DataLoader"),
        ("fixed, encoded", "Resize 232, RandomCrop 224, Normalize: storage = encoded, 1 thread"),
        ("fixed, mmap", "the same: storage = mmap"),
        ("fixed, memory", "the same: storage = memory"),
    ):
        rate, against = 1 / statistics.median(seconds[name]), ratio(seconds["pillow"], seconds[name])
        print(f"  {label:<70}{rate:>9,.0f}{against:>8.2f}x")


def new_pipeline(rounds: int) -> None:
    """From a changed pipeline to pixels: the data pane's request when the user edits a transform."""
    for name, channels in (("digits", 1), ("FashionMNIST", 1)):
        config = DataConfig(dataset=name, validation=0.1)
        sources = open_sources(config, 0)
        for draw in range(2):
            milliseconds = []
            for number in range(rounds + 1):
                steps: list[dict[str, Any]] = [
                    {"name": "RandomCrop", "size": 8 if name == "digits" else 28, "padding": 2},
                    {"name": "ColorJitter", "brightness": 0.1 + number / 100},
                    {"name": "TrivialAugmentWide"} if draw else {"name": "JPEG", "quality": 50},
                    {"name": "Normalize", "mean": [0.5] * channels, "std": [0.5] * channels},
                ]
                changed = [Component.model_validate(step) for step in steps]
                edited = config.model_copy(update={"train_transforms": changed})
                began = time.process_time()
                shown = preview(sources, edited, 0, number, list(range(32)), train=True)
                milliseconds.append((time.process_time() - began) * 1000)
                assert len(shown) == 32
            kind = "batched" if draw else "one by one"
            print(f"  preview of 32 samples, {name}, {kind:<12}{statistics.median(milliseconds[1:]):>8.1f} ms of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after a warm-up")
    parser.add_argument("--files", type=int, default=96, help="number of JPEG files to make")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        size = write_photographs(Path(folder) / "images", arguments.files)
        print(f"{arguments.files} files of {size:.0f} kB")
        files(Path(folder) / "images", Path(folder) / "cache", arguments.rounds)
    print("preview of a new pipeline:")
    new_pipeline(arguments.rounds)


if __name__ == "__main__":
    main()
