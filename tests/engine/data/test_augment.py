"""The batched crops and flips against torchvision's own, and against their distributions."""

from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component
from torchvision.transforms import v2
from torchvision.transforms.functional import to_tensor
from torchvision.transforms.v2 import functional

from torchdeck.engine.data.batched.augment import Moves, WindowStore, draw_moves, padded_size, window_store_bytes
from torchdeck.engine.data.batched.batch_plan import BatchPlan, plan_batches
from torchdeck.engine.data.loading.in_memory_loader import transform_images
from torchdeck.engine.data.random_keys import sample_keys
from torchdeck.engine.errors import ConfigError


def planned(*specs: Any) -> BatchPlan:
    plan = plan_batches(specs)
    assert isinstance(plan, BatchPlan)
    return plan


def random_images(count: int, channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def by_torchvision(image: torch.Tensor, plan: BatchPlan, moves: Moves, n: int) -> torch.Tensor:
    """One sample through torchvision's functional forms, in the pipeline's order, with given parameters."""

    def flipped(pixels: torch.Tensor, flips: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        pixels = functional.horizontal_flip(pixels) if flips[0][n] else pixels
        return functional.vertical_flip(pixels) if flips[1][n] else pixels

    image = flipped(image, moves.flips_before)
    if plan.crop is not None:
        size = padded_size(plan, *image.shape[1:])
        image = functional.pad(image, list(size.padding), fill=plan.crop.fill, padding_mode=plan.crop.padding_mode)
        image = functional.crop(image, int(moves.top[n]), int(moves.left[n]), *plan.crop.size)
    return flipped(image, moves.flips_after)


H, V = component("RandomHorizontalFlip"), component("RandomVerticalFlip")


@pytest.mark.parametrize(
    "specs",
    [
        [component("RandomCrop", size=12, padding=3)],
        [H],
        [V],
        [H, V],
        [H, component("RandomCrop", size=12, padding=3)],
        [component("RandomCrop", size=12, padding=3), H],
        [H, V, component("RandomCrop", size=[7, 9], padding=[2, 3]), H, V],
        [component("RandomCrop", size=10, padding=[1, 2, 3, 4]), H, V],
        [component("RandomCrop", size=8)],
        [component("RandomCrop", size=12, padding=4, padding_mode="reflect"), H],
        [component("RandomCrop", size=12, padding=4, padding_mode="symmetric"), V],
        [V, component("RandomCrop", size=12, padding=4, padding_mode="edge")],
        [component("RandomCrop", size=12, padding=2, fill=[10, 20, 30])],
        [component("RandomCrop", size=20, pad_if_needed=True, fill=7), H],
    ],
    ids=lambda specs: "+".join(spec.name for spec in specs),
)
def test_pixels_equal_torchvisions_given_the_same_parameters(specs: list[Any]) -> None:
    images = random_images(40, 3, 12, 14)
    plan = planned(*specs)
    store = WindowStore(images, plan)
    samples = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    moves = draw_moves(plan, store.size, sample_keys(0, 0, samples))
    expected = torch.stack([by_torchvision(images[sample], plan, moves, n) for n, sample in enumerate(samples)])
    assert torch.equal(store.gather(samples, moves), expected)


def test_offsets_are_distributed_as_torchvision_draws_them() -> None:
    plan = planned(component("RandomCrop", size=32, padding=4))
    size = padded_size(plan, 32, 32)
    moves = draw_moves(plan, size, sample_keys(0, 0, torch.arange(20_000)))
    ours = np.bincount((moves.top * 9 + moves.left).numpy(), minlength=81)
    torch.manual_seed(0)
    transform, image = v2.RandomCrop(32, padding=4), torch.zeros(1, 32, 32)
    drawn = [transform.make_params([image]) for _ in range(20_000)]
    theirs = np.bincount([params["top"] * 9 + params["left"] for params in drawn], minlength=81)
    statistic = ((ours - theirs) ** 2 / (ours + theirs)).sum()
    assert abs(statistic - 80) < 4 * np.sqrt(160)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_flips_happen_with_their_probability(probability: float) -> None:
    plan = planned(component("RandomHorizontalFlip", p=probability))
    moves = draw_moves(plan, padded_size(plan, 4, 4), sample_keys(0, 0, torch.arange(20_000)))
    share = moves.flips_before[0].double().mean().item()
    assert abs(share - probability) <= 4 * (probability * (1 - probability) / 20_000) ** 0.5


def test_each_sample_has_its_own_parameters_in_every_epoch() -> None:
    plan = planned(component("RandomCrop", size=32, padding=4), H)
    images = random_images(1, 3, 32, 32).expand(64, -1, -1, -1)
    epochs = [transform_images(images, plan, 0, epoch, torch.arange(64)) for epoch in (0, 1)]
    different = {tuple(pixels.flatten().tolist()) for pixels in epochs[0]}
    assert len(different) > 40
    assert sum(torch.equal(one, other) for one, other in zip(*epochs, strict=True)) < 8


def test_normalizing_equals_torchvisions() -> None:
    mean, std = [0.49, 0.48, 0.44], [0.247, 0.243, 0.26]
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(2, 3, 1, 1)
    plan = planned(component("Normalize", mean=mean, std=std))
    expected = functional.normalize(functional.to_dtype(images, torch.float32, scale=True), mean, std)
    assert torch.allclose(transform_images(images, plan, 0, 0, torch.arange(2)), expected, rtol=0, atol=1e-6)


def test_without_normalize_pixels_are_exactly_those_of_to_tensor() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    expected = to_tensor(images[0, 0].numpy())[None]
    assert torch.equal(transform_images(images, planned(), 0, 0, torch.arange(1)), expected)


def test_the_memory_estimate_is_what_is_held() -> None:
    images = random_images(30, 3, 12, 14)
    for plan in (planned(H), planned(component("RandomCrop", size=12, padding=2)), planned(V)):
        assert window_store_bytes(plan, tuple(images.shape)) == WindowStore(images, plan).nbytes


def test_a_crop_larger_than_its_image_is_refused_with_a_remedy() -> None:
    with pytest.raises(ConfigError, match=r"RandomCrop\(size=\[40, 40\]\) is larger than the 34×34 image.*padding"):
        WindowStore(random_images(2, 1, 32, 32), planned(component("RandomCrop", size=40, padding=1)))


def test_means_of_another_number_of_channels_are_refused() -> None:
    plan = planned(component("Normalize", mean=[0.5] * 3, std=[0.5] * 3))
    with pytest.raises(ConfigError, match="mean has 3 values, but the images have 1 channels"):
        transform_images(random_images(2, 1, 8, 8), plan, 0, 0, torch.arange(2))
