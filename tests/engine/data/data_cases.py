"""Configs, images and files that the tests of torchdeck.engine.data share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from torchdeck.engine.config import Component, DataConfig, LoaderConfig, RunConfig
from torchdeck.engine.data.datasets.sources import DataSources, open_sources
from torchdeck.engine.data.loading.batch_loader import BatchLoader, TrainingData
from torchdeck.engine.data.loading.loaders import build_loaders

Batches = list[tuple[Tensor, Tensor]]

CPU = torch.device("cpu")
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

needs_fashion_mnist = pytest.mark.skipif(
    not FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed"
)


def component(name: str, **arguments: Any) -> Component:
    return Component(name=name, **arguments)


def run_config(*, seed: int = 0, loader: dict[str, Any] | None = None, **data: Any) -> RunConfig:
    return RunConfig(seed=seed, data=DataConfig(**data), loader=LoaderConfig(**(loader or {})))


def no_progress(message: str, done: int, total: int) -> None:
    pass


def open_and_build(config: RunConfig) -> tuple[DataSources, TrainingData]:
    sources = open_sources(config.data, config.seed)
    return sources, build_loaders(sources, config, CPU, no_progress)


def digits(seed: int = 0, loader: dict[str, Any] | None = None, validation: float = 0.2, **data: Any) -> BatchLoader:
    config = run_config(seed=seed, loader=loader, dataset="digits", validation=validation, **data)
    return open_and_build(config)[1].train


def same(one: Batches, other: Batches) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in zip(one, other, strict=True)
    )


def write_images(
    folder: Path,
    count: int,
    *,
    mode: str = "RGB",
    size: tuple[int, int] = (12, 10),
    seed: int = 0,
    suffix: str = "png",
) -> None:
    """Random images of (width, height) `size` as files 0, 1, … of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for number in range(count):
        pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.{suffix}")
