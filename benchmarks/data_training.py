"""The whole training step of a small CNN: torchdeck's data path against a hand-written loop with PIL.

    python benchmarks/data_training.py [--rounds N]

Fashion-MNIST, RandomCrop with padding, flip and Normalize, batches of 128; both do the same steps on the same model.
On a GPU it also prints the share of its time that the loop waits for data, for ResNet-18 with 32-pixel and ResNet-50
with 224-pixel images held on the device. Without a GPU it says so.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from data_path import CPU, PillowDataset, interleaved, ratio
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import models, transforms

from torchdeck.engine.config import Component, DataConfig, LoaderConfig, RunConfig
from torchdeck.engine.data.datasets.sources import DataSources, open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset, Split
from torchdeck.engine.data.loading.loaders import build_loaders

STEPS = 12
Batches = Iterable[tuple[Tensor, Tensor]]


def pipeline(side: int, channels: int) -> list[Component]:
    normalize = {"name": "Normalize", "mean": [0.5] * channels, "std": [0.25] * channels}
    steps = [{"name": "RandomCrop", "size": side, "padding": 4}, {"name": "RandomHorizontalFlip"}, normalize]
    return [Component.model_validate(step) for step in steps]


def small_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 10)
    )


def train(model: nn.Module, batches: Batches, steps: int) -> int:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = 0
    for inputs, targets in itertools.islice(batches, steps):
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        images += len(inputs)
    return images


def whole_step(rounds: int) -> None:
    config = RunConfig(
        data=DataConfig(dataset="FashionMNIST", train_transforms=pipeline(28, 1)), loader=LoaderConfig(batch_size=128)
    )
    sources = open_sources(config.data, seed=0)
    resident = build_loaders(sources, config, CPU, lambda *_: None).train
    dataset = sources.train.dataset
    assert isinstance(dataset, ArrayDataset)
    by_hand = transforms.Compose(
        [
            transforms.RandomCrop(28, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.25]),
        ]
    )
    pillow = DataLoader(PillowDataset(dataset.images, dataset.targets, by_hand), batch_size=128, shuffle=True)
    epochs = itertools.count()
    model = small_cnn()
    seconds = interleaved(
        {
            "torchdeck": lambda: train(model, resident.batches(next(epochs)), 20 * STEPS),
            "by hand": lambda: train(model, pillow, STEPS),
        },
        rounds,
    )
    print("whole training step, small CNN, Fashion-MNIST, batch 128, images per CPU second:")
    for name, values in seconds.items():
        print(f"  {name:<12}{1 / statistics.median(values):>9,.0f}")
    print(f"  ratio       {ratio(seconds['by hand'], seconds['torchdeck']):>9.1f}x")


def timed(batches: Iterator[tuple[Tensor, Tensor]], waited: list[float]) -> Batches:
    """The batches, with what the device needs for each of them added to `waited`: seconds."""
    while True:
        torch.cuda.synchronize()
        began = time.perf_counter()
        batch = next(batches, None)
        torch.cuda.synchronize()
        waited.append(time.perf_counter() - began)
        if batch is None:
            return
        yield batch


def share_of_step(name: str, side: int, batch_size: int, device: torch.device) -> None:
    """An upper bound: every step waits for its own batch, where a run makes the next one meanwhile."""
    count = 40 * batch_size
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    targets = np.zeros(count, dtype=np.int64)
    split = Split(ArrayDataset(images, targets), None, targets, "train")
    sources = DataSources(split, split, None, [str(index) for index in range(10)], [])
    config = RunConfig(data=DataConfig(train_transforms=pipeline(side, 3)), loader=LoaderConfig(batch_size=batch_size))
    data = build_loaders(sources, config, device, lambda *_: None)
    model = models.get_model(name, num_classes=10).to(device, memory_format=torch.channels_last)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        train(model, data.train.batches(0), 10)
        torch.cuda.synchronize()
        waited: list[float] = []
        began = time.perf_counter()
        train(model, timed(iter(data.train.batches(1)), waited), 30)
        torch.cuda.synchronize()
        whole = time.perf_counter() - began
    print(f"  {name}, {side} pixels, batch {batch_size}: {sum(waited) / whole:.2%} of the step is spent on data")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after a warm-up")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    whole_step(arguments.rounds)
    if not torch.cuda.is_available():
        print("no CUDA device: the share of a step spent waiting for data was not measured")
        return
    share_of_step("resnet18", 32, 512, torch.device("cuda", 0))
    share_of_step("resnet50", 224, 64, torch.device("cuda", 0))


if __name__ == "__main__":
    main()
