"""Draws of the batched perspective, elastic, noise, photometric, AugMix and container steps against torchvision's."""

from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component
from test_batch_steps import assert_same_counts, assert_same_distribution, by_torchvision, keys, photographs, step_of
from torch import Tensor
from torchvision.transforms import v2

from torchdeck.engine.data.batched.auto_augment import OPERATIONS
from torchdeck.engine.data.batched.batch_plan import BatchPlan, plan_batches
from torchdeck.engine.data.batched.noise import NoiseStep
from torchdeck.engine.data.loading.in_memory_loader import transform_images

DRAWS = 8000


def test_perspectives_are_distributed_as_torchvisions() -> None:
    ours = step_of("RandomPerspective", p=0.3).draw(keys(DRAWS), (DRAWS, 3, 24, 31))
    theirs = np.array([drawn["coefficients"] for drawn in by_torchvision(v2.RandomPerspective(), (3, 24, 31), 2000)])
    for coefficient in range(8):
        # Many corners stay: what is 0 up to rounding must not be told apart.
        mine, others = ours.coefficients[:, coefficient].double().numpy(), theirs[:, coefficient]
        assert_same_distribution(mine.round(5), others.round(5))
    assert abs(ours.happens.double().mean().item() - 0.3) < 0.03


def test_displacements_are_distributed_as_torchvisions() -> None:
    ours = step_of("ElasticTransform", alpha=[50.0, 20.0], sigma=[1.5, 2.0]).draw(keys(1500), (1500, 3, 20, 28))
    transform = v2.ElasticTransform(alpha=[50.0, 20.0], sigma=[1.5, 2.0])
    theirs = torch.cat([drawn["displacement"] for drawn in by_torchvision(transform, (3, 20, 28), 1500)])
    for row, column, axis in ((0, 0, 0), (10, 14, 0), (10, 14, 1), (19, 3, 1)):
        assert_same_distribution(ours[:, row, column, axis], theirs[:, row, column, axis])
    ours_step, theirs_step = (values[:, 10, 15, 0] - values[:, 10, 14, 0] for values in (ours, theirs))
    assert_same_distribution(ours_step, theirs_step)


def test_noise_is_normal_and_each_samples_own() -> None:
    noise = NoiseStep(0, 0.0, 1.0, True).noise(keys(400), (3, 8, 7))
    assert_same_distribution(noise.flatten(), torch.randn(60_000, generator=torch.Generator().manual_seed(0)))
    neighbors = ((noise[:-1], noise[1:]), (noise[:, :-1], noise[:, 1:]), (noise[..., :-1], noise[..., 1:]))
    for one, other in neighbors:
        assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 4 / one.numel() ** 0.5


def test_levels_of_noise_occur_as_often_as_torchvisions() -> None:
    gray = torch.full((200, 3, 16, 15), 128, dtype=torch.uint8)
    ours = step_of("GaussianNoise", mean=0.01, sigma=0.03).apply(gray, keys(200))
    torch.manual_seed(0)
    theirs = v2.GaussianNoise(mean=0.01, sigma=0.03)(gray)
    assert_same_counts(ours.flatten(), theirs.flatten(), 256)


def test_channel_orders_are_uniform() -> None:
    drawn = step_of("RandomChannelPermutation").draw(keys(DRAWS), (DRAWS, 3, 4, 4))
    base = torch.tensor([9, 3, 1])
    generator = torch.Generator().manual_seed(0)
    orders = torch.stack([torch.randperm(3, generator=generator) for _ in range(DRAWS)])
    assert_same_counts((drawn * base).sum(1), (orders * base).sum(1), 27)


def test_photometric_distortions_are_distributed_as_torchvisions() -> None:
    ours = step_of("RandomPhotometricDistort", p=0.4).draw(keys(DRAWS), (DRAWS, 3, 8, 8))
    theirs = by_torchvision(v2.RandomPhotometricDistort(p=0.4), (3, 8, 8), 3000)
    names = ["brightness_factor", "contrast_factor", "saturation_factor", "hue_factor", "channel_permutation"]
    for number, name in enumerate(names):
        seen = [drawn[name] for drawn in theirs if drawn[name] is not None]
        assert abs(ours.happens[:, number].double().mean().item() - len(seen) / len(theirs)) < 0.04
        if number < 4:
            assert_same_distribution(ours.factors[:, number], seen)
    assert abs(ours.contrast_first.double().mean().item() - 0.5) < 0.03


@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_aug_mix_is_distributed_as_torchvisions(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = v2.AugMix(alpha=alpha)
    seen: list[tuple[str, float]] = []
    shares: list[Tensor] = []
    monkeypatch.setattr(
        transform,
        "_apply_image_or_video_transform",
        lambda image, operation, magnitude, **_: seen.append((operation, magnitude)) or image,
    )
    dirichlet = transform._sample_dirichlet
    monkeypatch.setattr(transform, "_sample_dirichlet", lambda values: shares.append(dirichlet(values)) or shares[-1])
    torch.manual_seed(0)
    image = torch.zeros((3, 32, 28), dtype=torch.uint8)
    for _ in range(1500):
        transform(image)
    ours = step_of("AugMix", alpha=alpha).draw(keys(1500), (1500, 3, 32, 28))
    assert_same_distribution(ours.shares[:, 0], [pair[0, 0] for pair in shares[::2]])
    rest = 1 - ours.shares[:, 0]
    assert_same_distribution((ours.shares[:, 2] / rest)[rest > 1e-3], [weights[0, 1] for weights in shares[1::2]])
    drawn = [
        (operation, magnitude)
        for chain in ours.turns
        for turn in chain
        for operation, magnitude in zip(turn.operation.tolist(), turn.magnitude.tolist(), strict=True)
        if operation
    ]
    assert abs(len(drawn) / 1500 - len(seen) / 1500) < 0.2
    names = [OPERATIONS.index(operation) for operation, _ in seen]
    assert_same_counts([operation for operation, _ in drawn], names, len(OPERATIONS))
    for operation in set(names):
        assert_same_distribution(
            [magnitude for other, magnitude in drawn if other == operation],
            [magnitude for other, magnitude in seen if OPERATIONS.index(other) == operation],
        )


@pytest.mark.parametrize("depth", [-1, 2])
def test_aug_mix_equals_torchvisions_given_the_same_draws(depth: int) -> None:
    images = photographs(30, 3, 24, 22)
    step = step_of("AugMix", chain_depth=depth, severity=5)
    drawn = step.draw(keys(30), tuple(images.shape))
    ours = step.apply(images, drawn)
    transform = v2.AugMix()
    for n, image in enumerate(images):
        mixed = drawn.shares[n, 0] * image
        for chain, turns in enumerate(drawn.turns, start=1):
            augmented = image
            for turn in turns:
                operation, magnitude = OPERATIONS[int(turn.operation[n])], float(turn.magnitude[n])
                augmented = transform._apply_image_or_video_transform(
                    augmented, operation, magnitude, transform.interpolation, {"others": None}
                )
            mixed.add_(drawn.shares[n, chain] * augmented)
        different = (ours[n].int() - mixed.to(torch.uint8).int()).abs()
        assert different.max() <= 2 and (different > 0).double().mean() < 0.02


INVERT = {"name": "RandomInvert", "p": 1.0}
FLIP = {"name": "RandomHorizontalFlip", "p": 1.0}
SOLARIZE = {"name": "RandomSolarize", "threshold": 128, "p": 1.0}


def transformed(images: Tensor, *specs: Any) -> Tensor:
    plan = plan_batches(specs)
    assert isinstance(plan, BatchPlan), plan
    return transform_images(images, plan, 0, 1, torch.arange(len(images)))


def kinds_of(images: Tensor, outcomes: list[Tensor]) -> list[int]:
    """Which of some possible outcomes each image is."""
    kinds = []
    for n, image in enumerate(images):
        (kind,) = [k for k, outcome in enumerate(outcomes) if torch.equal(image, outcome[n])]
        kinds.append(kind)
    return kinds


def test_each_sample_chooses_for_itself() -> None:
    images = photographs(3003, 3, 6, 5)[3:]
    plain = images.float().div_(255)
    inverted, flipped = transformed(images, component(**INVERT)), transformed(images, component(**FLIP))
    generator = np.random.default_rng(0)
    for spec, outcomes, shares in (
        (component("RandomApply", transforms=[INVERT, FLIP], p=0.3), [plain, inverted.flip(3)], [0.7, 0.3]),
        (
            component("RandomChoice", transforms=[INVERT, FLIP, {"name": "Identity"}], p=[1.0, 2.0, 5.0]),
            [inverted, flipped, plain],
            [1 / 8, 2 / 8, 5 / 8],
        ),
        (
            component("RandomOrder", transforms=[INVERT, SOLARIZE]),
            [
                transformed(images, component(**INVERT), component(**SOLARIZE)),
                transformed(images, component(**SOLARIZE), component(**INVERT)),
            ],
            [0.5, 0.5],
        ),
    ):
        kinds = kinds_of(transformed(images, spec), outcomes)
        assert_same_counts(kinds, generator.choice(len(shares), 3000, p=shares), len(shares))


def test_what_a_container_draws_for_a_sample_depends_on_no_other() -> None:
    images = photographs(40, 3, 12, 11)
    jitter = {"name": "ColorJitter", "brightness": 0.5, "hue": 0.2}
    nested = {"name": "RandomChoice", "transforms": [jitter, {"name": "GaussianNoise", "sigma": 0.1}]}
    specs = [component("Compose", transforms=[FLIP, {"name": "RandomApply", "transforms": [nested, jitter]}])]
    plan = plan_batches(specs)
    assert isinstance(plan, BatchPlan)
    whole = transform_images(images, plan, 0, 1, torch.arange(40))
    some = torch.tensor([31, 4, 17])
    assert torch.equal(transform_images(images[some], plan, 0, 1, some), whole[some])
    assert not torch.equal(transform_images(images, plan, 0, 2, torch.arange(40)), whole)


def test_compose_is_its_transforms_one_after_the_other() -> None:
    images = photographs(20, 3, 12, 11)
    normalize = {"name": "Normalize", "mean": [0.5] * 3, "std": [0.2] * 3}
    together = transformed(images, component("Compose", transforms=[INVERT, normalize]))
    assert torch.equal(together, transformed(images, component(**INVERT), component(**normalize)))
