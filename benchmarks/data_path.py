"""torchdeck's data path against torchvision's and against a bare tensor: ratios from one interleaved run.

    python benchmarks/data_path.py [--rounds N] [--operations PIXELS]

Times are CPU times of one thread, so other load on the machine has little effect; the alternatives take turns, so that
it affects all of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms.v2 import functional

from torchdeck.engine.config import Component, DataConfig, LoaderConfig, RunConfig
from torchdeck.engine.data.batched.augment import WindowStore, draw_moves
from torchdeck.engine.data.batched.batch_plan import BatchPlan, plan_batches
from torchdeck.engine.data.datasets.sources import DataSources, open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset, Split
from torchdeck.engine.data.loading.batch_loader import BatchLoader
from torchdeck.engine.data.loading.batching import Batching
from torchdeck.engine.data.loading.in_memory_loader import InMemoryLoader
from torchdeck.engine.data.loading.loaders import build_loaders
from torchdeck.engine.data.loading.sampling import EpochSampler
from torchdeck.engine.data.loading.storage import ImageStore
from torchdeck.engine.data.random_keys import epoch_order, sample_keys
from torchdeck.engine.data.transforms.pipeline import make_transform

CIFAR_MEAN, CIFAR_STD = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]
CPU = torch.device("cpu")

Measured = Callable[[], int]


class PillowDataset(Dataset[tuple[torch.Tensor, int]]):
    """torchvision's CIFAR10 pipeline: an array, a PIL image of each sample, v1 transforms."""

    def __init__(self, images: np.ndarray, targets: np.ndarray, transform: Callable[[Image.Image], torch.Tensor]):
        self.images, self.targets, self.transform = images, targets, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.targets[index])


def cpu_seconds_per_image(consume: Measured) -> float:
    start = time.process_time()
    images = consume()
    return (time.process_time() - start) / images


def take(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], count: int) -> int:
    images = 0
    for number, (inputs, _) in enumerate(batches):
        images += len(inputs)
        if number + 1 == count:
            break
    return images


def interleaved(alternatives: dict[str, Measured], rounds: int) -> dict[str, list[float]]:
    """CPU seconds per image of each alternative, round by round; the first round warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for number in range(rounds + 1):
        for name, consume in alternatives.items():
            measured = cpu_seconds_per_image(consume)
            if number:
                seconds[name].append(measured)
    return seconds


def ratio(numerator: list[float], denominator: list[float]) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(numerator, denominator, strict=True))


def cifar_shaped(rounds: int) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8)
    targets = generator.integers(0, 10, 50_000)
    config = RunConfig(
        data=DataConfig(
            train_transforms=[
                Component.model_validate({"name": "RandomCrop", "size": 32, "padding": 4}),
                Component.model_validate({"name": "RandomHorizontalFlip"}),
                Component.model_validate({"name": "Normalize", "mean": CIFAR_MEAN, "std": CIFAR_STD}),
            ],
        ),
        loader=LoaderConfig(batch_size=512),
    )
    split = Split(ArrayDataset(images, targets), None, targets, "train")
    sources = DataSources(split, split, None, [str(digit) for digit in range(10)], [])
    resident = build_loaders(sources, config, CPU, lambda message, done, total: None).train
    pillow = DataLoader(
        PillowDataset(
            images,
            targets,
            transforms.Compose(
                [
                    transforms.RandomCrop(32, padding=4),
                    transforms.RandomHorizontalFlip(),
                    transforms.ToTensor(),
                    transforms.Normalize(CIFAR_MEAN, CIFAR_STD),
                ]
            ),
        ),
        batch_size=512,
        shuffle=True,
    )
    plan = plan_batches(config.data.train_transforms)
    assert isinstance(plan, BatchPlan)
    windows = WindowStore(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), plan)

    def levels() -> int:
        """Batches for a GPU, which normalizes them there: uint8, cropped and flipped."""
        order = epoch_order(0, next(epochs), len(images))
        for part in order.split(512):
            windows.gather(part, draw_moves(plan, windows.size, sample_keys(0, 0, part)))
        return len(images)

    epochs = iter(range(1_000_000))
    seconds = interleaved(
        {
            "resident": lambda: take(resident.batches(next(epochs)), 98),
            "levels": levels,
            "pillow": lambda: take(pillow, 4),
        },
        rounds,
    )
    rates = {name: 1 / statistics.median(values) for name, values in seconds.items()}
    print("crop + flip + normalize, 50,000 images 3×32×32, batch 512, images per CPU second:")
    print(f"  torchdeck, float32             {rates['resident']:>10,.0f}")
    print(f"  torchdeck, uint8               {rates['levels']:>10,.0f}")
    print(f"  torchvision, PIL + DataLoader  {rates['pillow']:>10,.0f}")
    print(f"  ratio, float32                 {ratio(seconds['pillow'], seconds['resident']):>10.1f}x")
    print(f"  ratio, uint8                   {ratio(seconds['pillow'], seconds['levels']):>10.1f}x")


def plain_batches(rounds: int) -> None:
    config = RunConfig(data=DataConfig(dataset="FashionMNIST"), loader=LoaderConfig(batch_size=64))
    sources = open_sources(config.data, seed=0)
    resident = build_loaders(sources, config, CPU, lambda message, done, total: None).train
    dataset = sources.train.dataset
    assert isinstance(dataset, ArrayDataset)
    images = torch.from_numpy(dataset.images.copy())[:, None]
    targets = torch.from_numpy(dataset.targets.copy())

    def bare() -> int:
        permutation = torch.randperm(len(images))
        count = 0
        for start in range(0, len(images), 64):
            chosen = permutation[start : start + 64]
            inputs, _ = images[chosen].float().div_(255), targets[chosen]
            count += len(inputs)
        return count

    epochs = iter(range(1_000_000))
    seconds = interleaved(
        {"resident": lambda: take(resident.batches(next(epochs)), 938), "bare": bare},
        rounds,
    )
    cost = {name: statistics.median(values) * 64 * 1e6 for name, values in seconds.items()}
    print("no augmentation, Fashion-MNIST, batch 64, CPU microseconds per batch:")
    print(f"  torchdeck, resident                            {cost['resident']:>8.1f}")
    print(f"  images[permutation[i:i+64]].float().div_(255)  {cost['bare']:>8.1f}")
    print(f"  ratio                                          {ratio(seconds['resident'], seconds['bare']):>8.2f}x")


OPERATIONS: list[dict[str, Any]] = [
    {"name": "RandomHorizontalFlip"},
    {"name": "RandomCrop", "padding": 4},
    {"name": "RandomResizedCrop"},
    {"name": "RandomRotation", "degrees": 30},
    {"name": "RandomRotation", "degrees": 30, "interpolation": "bilinear"},
    {"name": "RandomAffine", "degrees": 30, "translate": [0.1, 0.1], "scale": [0.8, 1.2], "shear": 10},
    {"name": "ColorJitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4},
    {"name": "ColorJitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    {"name": "RandomErasing"},
    {"name": "GaussianBlur", "kernel_size": 5},
    {"name": "RandomGrayscale"},
    {"name": "RandomInvert"},
    {"name": "RandomPosterize", "bits": 4},
    {"name": "RandomSolarize", "threshold": 128},
    {"name": "RandomAutocontrast"},
    {"name": "RandomEqualize"},
    {"name": "RandomAdjustSharpness", "sharpness_factor": 2},
    {"name": "TrivialAugmentWide"},
    {"name": "RandAugment"},
    {"name": "AutoAugment", "policy": "cifar10"},
    {"name": "AugMix"},
    {"name": "RandomPerspective"},
    {"name": "ElasticTransform", "sigma": 3.0},
    {"name": "GaussianNoise"},
    {"name": "RandomChannelPermutation"},
    {"name": "RandomPhotometricDistort"},
    {"name": "RandomApply", "transforms": [{"name": "GaussianBlur", "kernel_size": 3}], "p": 0.5},
]


def epoch_by_epoch(loader: BatchLoader, batches: int) -> Measured:
    epochs = iter(range(1_000_000))
    return lambda: take(loader.batches(next(epochs)), batches)


def batched_operations(side: int, rounds: int) -> None:
    """Every batched transform: the in-memory tier against torchvision's transform called on each sample.

    Both start from the same uint8 tensors and end in a float32 batch. Torchvision's side is what a DataLoader calls,
    without the DataLoader; the other tier of torchdeck, which adds seeding and collation, is shown beside it.
    """
    batch, count = (512, 2048) if side <= 64 else (64, 128)
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.integers(0, 256, (count, 3, 8, 8), dtype=np.uint8))
    images = functional.resize(coarse, [side, side])
    targets = np.zeros(count, dtype=np.int64)
    split = Split(ArrayDataset(images.permute(0, 2, 3, 1).contiguous().numpy(), targets), None, targets, "train")
    sources = DataSources(split, split, None, ["0"], [])
    print(
        f"batched transforms, 3×{side}×{side}: images a CPU second, torchvision's; ratio to it, to the DataLoader tier"
    )
    for operation in OPERATIONS:
        spec = dict(operation)
        if spec["name"] in ("RandomCrop", "RandomResizedCrop"):
            spec["size"] = side
        component = Component.model_validate(spec)
        data = DataConfig(train_transforms=[component])
        plan = plan_batches([component])
        assert isinstance(plan, BatchPlan)
        resident = InMemoryLoader(
            ImageStore(images, torch.from_numpy(targets)),
            plan,
            Batching(EpochSampler("shuffled", count, count, 0), batch),
            seed=0,
        )
        config = RunConfig(data=data.model_copy(update={"storage": "loader"}), loader=LoaderConfig(batch_size=batch))
        tier = build_loaders(sources, config, CPU, lambda message, done, total: None).train
        transform = make_transform(component, component.name)
        few = min(count, 256)

        def by_torchvision(transform: Any = transform, few: int = few) -> int:
            batch_of = torch.stack([transform(image) for image in images[:few]])
            return len(batch_of.float().div_(255))

        seconds = interleaved(
            {
                "batched": epoch_by_epoch(resident, 1000),
                "torchvision": by_torchvision,
                "tier": epoch_by_epoch(tier, 1),
            },
            rounds,
        )
        rates = {name: 1 / statistics.median(values) for name, values in seconds.items()}
        arguments = ", ".join(f"{key}={value}" for key, value in operation.items() if key != "name")
        print(
            f"  {f'{component.name}({arguments})':<86.86}{rates['batched']:>9,.0f}{rates['torchvision']:>9,.0f}"
            f"{ratio(seconds['torchvision'], seconds['batched']):>7.1f}x"
            f"{ratio(seconds['tier'], seconds['batched']):>7.1f}x",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds, after a warm-up")
    parser.add_argument("--operations", type=int, metavar="PIXELS", help="only the batched transforms, at this size")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.operations:
        batched_operations(arguments.operations, arguments.rounds)
        return
    cifar_shaped(arguments.rounds)
    plain_batches(arguments.rounds)
    batched_operations(32, arguments.rounds)


if __name__ == "__main__":
    main()
