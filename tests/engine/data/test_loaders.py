"""Batches of both tiers: right, the same whatever was asked for before, and the same however they are made."""

import random
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import (
    CPU,
    Batches,
    component,
    digits,
    needs_fashion_mnist,
    no_progress,
    open_and_build,
    run_config,
    same,
)
from torch import Tensor

from torchdeck.engine.data.datasets.splits import ArrayDataset
from torchdeck.engine.data.loading.batch_loader import BatchLoader
from torchdeck.engine.data.loading.in_memory_loader import InMemoryLoader
from torchdeck.engine.data.loading.loaders import evaluation_loader, sample_shape
from torchdeck.engine.data.loading.workers import WorkerLoader
from torchdeck.engine.errors import ConfigError, UserCodeError

AUGMENTED = [
    component("RandomCrop", size=8, padding=1),
    component("RandomHorizontalFlip"),
    component("Normalize", mean=[0.3], std=[0.4]),
]
JITTERED = [component("RandomRotation", degrees=20, expand=True), component("Resize", size=[8, 8])]
STEPPED = [
    component("RandomCrop", size=8, padding=1),
    component("RandomResizedCrop", size=8),
    component("RandomAffine", degrees=20, interpolation="bilinear"),
    component("ColorJitter", brightness=0.5, contrast=0.5),
    component("TrivialAugmentWide"),
    component("GaussianBlur", kernel_size=3),
    component("Normalize", mean=[0.3], std=[0.4]),
    component("RandomErasing", p=0.8),
]


def stacked(batches: Batches) -> tuple[Tensor, Tensor]:
    return torch.cat([inputs for inputs, _ in batches]), torch.cat([targets for _, targets in batches])


PIPELINES = [([], InMemoryLoader), (AUGMENTED, InMemoryLoader), (STEPPED, InMemoryLoader), (JITTERED, WorkerLoader)]


@pytest.mark.parametrize(("transforms", "tier"), PIPELINES)
def test_a_batch_is_what_the_protocol_says(transforms: list[Any], tier: type) -> None:
    loader = digits(train_transforms=transforms)
    assert isinstance(loader, tier)
    assert (loader.num_samples, loader.batch_size, loader.num_batches) == (1438, 64, 23)
    batches = list(loader.batches(0))
    assert [len(targets) for _, targets in batches] == [64] * 22 + [30]
    for inputs, targets in batches:
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert inputs.shape == (len(targets), 1, 8, 8)
        assert inputs.is_contiguous()


def of_tier(tier: type, transforms: list[Any], **loader: Any) -> BatchLoader:
    """23 batches of the digits; of fewer and smaller ones where each sample is made by itself, which takes a while."""
    if tier is WorkerLoader:
        return digits(train_transforms=transforms, validation=0.9, loader={"batch_size": 8, **loader})
    return digits(train_transforms=transforms, loader=loader)


@pytest.mark.parametrize(("transforms", "tier"), PIPELINES)
def test_starting_anywhere_gives_the_same_batches_as_running_through(transforms: list[Any], tier: type) -> None:
    loader = of_tier(tier, transforms)
    assert isinstance(loader, tier) and loader.num_batches == 23
    through = list(loader.batches(3))
    for start in (0, 1, 7, 22, 23):
        assert same(list(loader.batches(3, start)), through[start:])
    assert same(list(of_tier(tier, transforms).batches(3, 5)), through[5:])


@pytest.mark.parametrize(("transforms", "tier"), PIPELINES)
def test_batch_size_changes_no_bit_of_a_sample(transforms: list[Any], tier: type) -> None:
    expected = stacked(list(of_tier(tier, transforms).batches(1)))
    for batch_size in (1, 33, 500, 5000):
        loader = of_tier(tier, transforms, batch_size=batch_size)
        inputs, targets = stacked(list(loader.batches(1)))
        assert torch.equal(inputs, expected[0]) and torch.equal(targets, expected[1])


@pytest.mark.parametrize(("transforms", "tier"), PIPELINES)
def test_epochs_and_seeds_differ(transforms: list[Any], tier: type) -> None:
    first = stacked(list(of_tier(tier, transforms).batches(0)))
    next_epoch = stacked(list(of_tier(tier, transforms).batches(1)))
    assert not torch.equal(first[1], next_epoch[1])
    assert torch.equal(first[1].sort().values, next_epoch[1].sort().values)
    other_seed = stacked(list(of_tier(tier, transforms, shuffle=False).batches(1)))
    assert not torch.equal(other_seed[0], next_epoch[0])


@pytest.mark.parametrize(("transforms", "tier"), PIPELINES)
def test_making_batches_moves_no_global_generator(transforms: list[Any], tier: type) -> None:
    def states() -> list[Any]:
        return [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]

    loader = digits(train_transforms=transforms)
    before = states()
    for _ in islice(loader.batches(0), 3):
        assert states() == before
    assert states() == before


def test_drop_last_leaves_out_the_rest() -> None:
    for transforms in ([], JITTERED):
        loader = digits(train_transforms=transforms, loader={"drop_last": True})
        assert loader.num_batches == 22
        assert [len(targets) for _, targets in loader.batches(0)] == [64] * 22


def test_an_epoch_without_a_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loader.drop_last = true leaves no batch.*1438 samples"):
        digits(loader={"drop_last": True, "batch_size": 2000})


def test_without_shuffle_samples_come_in_order() -> None:
    config = run_config(dataset="digits", validation=0.2, loader={"shuffle": False})
    sources, data = open_and_build(config)
    assert np.array_equal(stacked(list(data.train.batches(4)))[1].numpy(), sources.train.targets)


def test_each_sample_keeps_its_label() -> None:
    for storage in ("memory", "loader"):
        config = run_config(dataset="digits", validation=0.2, storage=storage)
        sources, data = open_and_build(config)
        assert isinstance(sources.train.dataset, ArrayDataset)
        labels = {
            image.tobytes(): int(target)
            for image, target in zip(sources.train.dataset.images, sources.train.dataset.targets, strict=True)
        }
        for inputs, targets in data.train.batches(0):
            pixels = (inputs * 255).round().to(torch.uint8).numpy()
            assert [labels[image.tobytes()] for image in pixels] == targets.tolist()


def test_both_tiers_give_the_same_pixels_without_randomness() -> None:
    eval_transforms = [component("Pad", padding=2), component("Resize", size=[9, 7])]
    tiers = [
        stacked(list(digits(storage=storage, train_transforms=eval_transforms, loader={"shuffle": False}).batches(0)))
        for storage in ("memory", "loader")
    ]
    assert torch.equal(tiers[0][0], tiers[1][0])


def test_validation_is_sequential_and_takes_the_eval_transforms() -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=AUGMENTED, loader={"eval_batch_size": 100})
    sources, data = open_and_build(config)
    inputs, targets = stacked(list(data.validation.batches(0)))
    assert np.array_equal(targets.numpy(), sources.validation.targets)
    assert (inputs.min().item(), inputs.max().item()) == (0.0, 1.0)
    assert data.validation.batch_size == 100
    assert same(list(data.validation.batches(0)), list(data.validation.batches(5)))
    again = evaluation_loader(sources.validation, config, CPU, no_progress)
    assert same(list(again.batches(0)), list(data.validation.batches(0)))


def test_the_slow_tier_is_taken_with_a_reason() -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=JITTERED)
    data = open_and_build(config)[1]
    assert data.notes == ["RandomRotation with expand has no batched form: samples go through a DataLoader"]
    assert data.storage == "DataLoader; validation: 23 kB in memory"


def test_a_storage_that_can_not_be_had_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r'data.storage = "memory": RandomRotation with expand has no batched form; use "auto"'
    ):
        digits(train_transforms=JITTERED, storage="memory")


def test_transforms_that_do_not_fit_are_refused_before_training() -> None:
    with pytest.raises(ConfigError, match=r"data.train_transforms\[0\]: RandomCrop\(size=20\) can't be applied"):
        digits(train_transforms=[component("RandomCrop", size=20)])
    with pytest.raises(ConfigError, match=r"data.eval_transforms\[0\]: Normalize.*mean has 3 values"):
        digits(eval_transforms=[component("Normalize", mean=[0.5] * 3, std=[0.5] * 3)])


def test_shapes_after_the_transforms_are_reported() -> None:
    config = run_config(
        dataset="digits",
        validation=0.2,
        train_transforms=[component("RandomCrop", size=6)],
        eval_transforms=[component("Grayscale", num_output_channels=3)],
    )
    sources, data = open_and_build(config)
    assert data.input_shape == sample_shape(sources, config) == (3, 8, 8)
    assert data.notes == ["after their transforms, training samples are 1×6×6 and validation samples 3×8×8"]
    assert data.fingerprint == sources.fingerprint


@needs_fashion_mnist
def test_plain_fashion_mnist_equals_the_bare_tensor() -> None:
    config = run_config(dataset="FashionMNIST", loader={"shuffle": False, "batch_size": 1000})
    sources, data = open_and_build(config)
    assert isinstance(sources.train.dataset, ArrayDataset)
    images = torch.from_numpy(sources.train.dataset.images.copy())[:, None]
    for number, (inputs, _) in enumerate(islice(data.train.batches(0), 5)):
        assert torch.equal(inputs, images[number * 1000 :][:1000].float().div_(255))


USER_FILE = """
import numpy as np

class Noise:
    classes = ["a", "b"]
    targets = [0, 1] * 20
    def __init__(self, bad=-1, dtype="uint8", random=False):
        self.bad, self.dtype, self.random = bad, dtype, random
    def __len__(self):
        return 40
    def __getitem__(self, index):
        if index == self.bad:
            raise ValueError("no such picture")
        generator = np.random.default_rng(None if self.random else index)
        return generator.integers(0, 256, (6, 6, 3)).astype(self.dtype), self.targets[index]
"""


@pytest.fixture
def user_file(tmp_path: Path) -> str:
    (tmp_path / "noise.py").write_text(USER_FILE)
    return f"{tmp_path / 'noise.py'}:Noise"


def user_loader(user_file: str, *, num_workers: int = 0, storage: str = "auto", **arguments: Any) -> Any:
    config = run_config(
        dataset=user_file,
        validation=0.2,
        storage=storage,
        arguments=arguments,
        loader={"num_workers": num_workers, "batch_size": 8},
    )
    return open_and_build(config)[1]


def test_a_users_data_set_is_decoded_once(user_file: str) -> None:
    data = user_loader(user_file)
    assert isinstance(data.train, InMemoryLoader)
    assert same(list(data.train.batches(0)), list(user_loader(user_file, storage="loader").train.batches(0)))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"random": True}, "the data set returns different images or targets for the same index"),
        ({"dtype": "float32"}, "samples are float32 and not uint8"),
    ],
)
def test_a_users_data_set_that_can_not_be_resident_says_why(
    user_file: str, arguments: dict[str, Any], reason: str
) -> None:
    data = user_loader(user_file, **arguments)
    assert isinstance(data.train, WorkerLoader)
    assert f"{reason}: samples go through a DataLoader" in data.notes


@pytest.mark.parametrize(("storage", "num_workers"), [("auto", 0), ("loader", 0), ("loader", 1)])
def test_a_failing_sample_is_named_with_the_users_line(user_file: str, storage: str, num_workers: int) -> None:
    with pytest.raises(UserCodeError) as error:
        data = user_loader(user_file, bad=27, storage=storage, num_workers=num_workers)
        for loader in (data.train, data.validation):
            list(loader.batches(0))
    assert "sample 27 of the" in str(error.value)
    assert "ValueError: no such picture" in str(error.value)
    assert "noise.py" in str(error.value)
    assert "torch/utils" not in str(error.value)


def test_a_data_set_that_does_not_pickle_says_so(tmp_path: Path) -> None:
    (tmp_path / "local.py").write_text(USER_FILE + "\ndef make():\n    class Local(Noise): pass\n    return Local()\n")
    config = run_config(
        dataset=f"{tmp_path}/local.py:make", validation=0.2, storage="loader", loader={"num_workers": 1}
    )
    data = open_and_build(config)[1]
    with pytest.raises(ConfigError, match=r"loader.num_workers = 1: .* can't be sent to worker processes"):
        list(data.train.batches(0))
