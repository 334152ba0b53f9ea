"""Each batched transform against torchvision's own: the same pixels given the same parameters, and the same draws."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from torchdeck.engine.data.batched import distortion
from torchdeck.engine.data.batched.affine import AffineParameters
from torchdeck.engine.data.batched.auto_augment import OPERATIONS, Turn, run_turns
from torchdeck.engine.data.batched.batch_steps import BatchStep, Jitter
from torchdeck.engine.data.batched.boxes import Boxes
from torchdeck.engine.data.batched.distortion import Perspectives
from torchdeck.engine.data.batched.noise import NoiseStep
from torchdeck.engine.data.batched.photometric import Distortions
from torchdeck.engine.data.batched.step_specs import make_step
from torchdeck.engine.data.random_keys import SampleKeys, sample_keys

BILINEAR = v2.InterpolationMode.BILINEAR
COUNT = 60
DRAWS = 20_000
# Vector units with 16-bit products: there torchvision resizes uint8 images in fixed point.
HAS_FIXED_POINT = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def photographs(count: int, channels: int, height: int, width: int) -> Tensor:
    """Smooth images with all levels, some of one color only."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randint(0, 256, (count, channels, 5, 6), dtype=torch.uint8, generator=generator)
    images = functional.resize(coarse, [height, width])
    images[0], images[1], images[2] = 0, 255, 128
    return images


def step_of(name: str, is_float: bool = False, **arguments: Any) -> BatchStep:
    return make_step(component(name, **arguments), 4, is_float)


def keys(count: int) -> SampleKeys:
    return sample_keys(0, 0, torch.arange(count))


def number(values: Tensor, n: int) -> float:
    return float(values[n])


def of_resized_crop(image: Tensor, drawn: Boxes, n: int) -> Tensor:
    box = [int(side[n]) for side in (drawn.top, drawn.left, drawn.height, drawn.width)]
    return functional.resized_crop(image, *box, size=[16, 20])


def of_erasing(image: Tensor, drawn: Boxes, n: int) -> Tensor:
    box = [int(side[n]) for side in (drawn.top, drawn.left, drawn.height, drawn.width)]
    return functional.erase(image, *box, v=torch.tensor([0.25])[:, None, None])


def of_blur(image: Tensor, drawn: Tensor, n: int) -> Tensor:
    return functional.gaussian_blur(image, [5, 3], [number(drawn, n)])


def of_rotation(**arguments: Any) -> Callable[[Tensor, Tensor, int], Tensor]:
    return lambda image, drawn, n: functional.rotate(image, number(drawn, n), **arguments)


def of_affine(**arguments: Any) -> Callable[[Tensor, AffineParameters, int], Tensor]:
    def apply(image: Tensor, drawn: AffineParameters, n: int) -> Tensor:
        translate = [int(drawn.translate_x[n]), int(drawn.translate_y[n])]
        shear = [number(drawn.shear_x, n), number(drawn.shear_y, n)]
        return functional.affine(image, number(drawn.angle, n), translate, number(drawn.scale, n), shear, **arguments)

    return apply


def of_jitter(image: Tensor, drawn: Jitter, n: int) -> Tensor:
    adjust = [
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    ]
    for property_ in drawn.order[n].tolist():
        image = adjust[property_](image, number(drawn.factors[:, property_], n))
    return image


def of_crop(image: Tensor, drawn: tuple[Tensor, Tensor], n: int) -> Tensor:
    return functional.crop(functional.pad(image, [2, 3]), int(drawn[0][n]), int(drawn[1][n]), 20, 18)


def of_perspective(image: Tensor, drawn: Perspectives, n: int) -> Tensor:
    if not drawn.happens[n]:
        return image
    coefficients = drawn.coefficients[n].tolist()
    return functional.perspective(image, None, None, BILINEAR, fill=0, coefficients=coefficients)


def of_elastic(image: Tensor, drawn: Tensor, n: int) -> Tensor:
    return functional.elastic(image, drawn[n : n + 1], fill=0)


def of_noise(image: Tensor, drawn: SampleKeys, n: int) -> Tensor:
    noise = NoiseStep(4, 0.02, 0.2, True).noise(drawn.of(slice(n, n + 1)), tuple(image.shape))[0]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch, "randn_like", lambda *_, **__: noise)
        return functional.gaussian_noise(image, mean=0.02, sigma=0.2)


def of_distort(image: Tensor, drawn: Distortions, n: int) -> Tensor:
    names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
    happens = drawn.happens[n].tolist()
    params: dict[str, Any] = {
        name: number(drawn.factors[:, k], n) if happens[k] else None for k, name in enumerate(names)
    }
    params["contrast_before"] = bool(drawn.contrast_first[n])
    params["channel_permutation"] = drawn.order[n] if happens[4] else None
    return v2.RandomPhotometricDistort().transform(image, params)


def of_chosen(transform: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, int], Tensor]:
    return lambda image, drawn, n: transform(image) if drawn[n] else image


JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
AFFINE: dict[str, Any] = {"degrees": 40, "translate": [0.2, 0.1], "scale": [0.7, 1.3], "shear": [-9, 9, -5, 5]}

CASES: list[tuple[str, dict[str, Any], Callable[..., Tensor]]] = [
    ("RandomResizedCrop", {"size": [16, 20]}, of_resized_crop),
    ("RandomErasing", {"p": 0.7, "value": 0.25}, of_erasing),
    ("GaussianBlur", {"kernel_size": [5, 3]}, of_blur),
    ("RandomRotation", {"degrees": 180}, of_rotation(fill=0)),
    (
        "RandomRotation",
        {"degrees": 40, "fill": None, "interpolation": "bilinear"},
        of_rotation(interpolation=BILINEAR),
    ),
    ("RandomRotation", {"degrees": 40, "center": [3, 5], "fill": 1}, of_rotation(center=[3, 5], fill=1)),
    ("RandomAffine", AFFINE, of_affine(fill=0)),
    ("RandomAffine", AFFINE | {"interpolation": "bilinear"}, of_affine(interpolation=BILINEAR, fill=0)),
    ("RandomAffine", AFFINE | {"fill": 1, "center": [3, 5]}, of_affine(fill=1, center=[3, 5])),
    ("ColorJitter", JITTER, of_jitter),
    ("RandomCrop", {"size": [20, 18], "padding": [2, 3]}, of_crop),
    ("RandomPerspective", {"p": 0.8}, of_perspective),
    ("ElasticTransform", {"alpha": 30.0, "sigma": [2.0, 2.5]}, of_elastic),
    ("GaussianNoise", {"mean": 0.02, "sigma": 0.2}, of_noise),
    ("RandomChannelPermutation", {}, lambda image, drawn, n: functional.permute_channels(image, drawn[n])),
    ("RandomPhotometricDistort", {}, of_distort),
    ("RandomHorizontalFlip", {}, of_chosen(functional.horizontal_flip)),
    ("RandomVerticalFlip", {}, of_chosen(functional.vertical_flip)),
    ("RandomGrayscale", {"p": 0.5}, of_chosen(lambda image: functional.rgb_to_grayscale(image, image.shape[0]))),
    ("RandomInvert", {}, of_chosen(functional.invert)),
    ("RandomPosterize", {"bits": 3}, of_chosen(lambda image: functional.posterize(image, 3))),
    ("RandomSolarize", {"threshold": 0.5}, of_chosen(lambda image: functional.solarize(image, 0.5))),
    ("RandomAutocontrast", {}, of_chosen(functional.autocontrast)),
    ("RandomEqualize", {}, of_chosen(functional.equalize)),
    (
        "RandomAdjustSharpness",
        {"sharpness_factor": 1.7},
        of_chosen(lambda image: functional.adjust_sharpness(image, 1.7)),
    ),
]

# Products are added in another order than torchvision's, which moves a level that lies between two by at most one; a
# pixel looked up exactly between two may come from either.
NEARLY = {
    "RandomPerspective",
    "ElasticTransform",
    "RandomPhotometricDistort",
    "GaussianBlur",
    "ColorJitter",
    "RandomRotation",
    "RandomAffine",
    "RandomAdjustSharpness",
}


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize(("name", "arguments", "one"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_levels_equal_torchvisions_given_the_same_parameters(
    name: str, arguments: dict[str, Any], one: Callable[..., Tensor], channels: int
) -> None:
    images = photographs(COUNT, channels, 24, 22)
    step = step_of(name, **arguments)
    drawn = step.draw(keys(COUNT), tuple(images.shape))
    ours = step.apply(images, drawn)
    theirs = torch.stack([one(image, drawn, n) for n, image in enumerate(images)])
    assert ours.dtype == torch.uint8 and ours.shape == theirs.shape
    different = (ours != theirs).double().mean().item()
    if name in NEARLY or (name == "RandomResizedCrop" and not HAS_FIXED_POINT):
        assert different < 4e-3
    else:
        assert different == 0
    assert torch.equal(ours[3:], images[3:]) == (
        name in ("RandomGrayscale", "RandomChannelPermutation") and channels == 1
    )


@pytest.mark.parametrize(("name", "arguments", "one"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_floats_equal_torchvisions_given_the_same_parameters(
    name: str, arguments: dict[str, Any], one: Callable[..., Tensor]
) -> None:
    images = photographs(COUNT, 3, 24, 22).float() / 255
    step = step_of(name, is_float=True, **arguments)
    drawn = step.draw(keys(COUNT), tuple(images.shape))
    ours = step.apply(images, drawn)
    theirs = torch.stack([one(image, drawn, n) for n, image in enumerate(images)])
    assert ours.dtype == torch.float32 and ours.shape == theirs.shape
    different = ((ours - theirs).abs() > 1e-4).double().mean().item()
    assert different < 2e-3


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("transform", [v2.TrivialAugmentWide(), v2.RandAugment()], ids=["trivial", "rand"])
def test_operations_of_automatic_augmentation_equal_torchvisions(operation: str, transform: Any) -> None:
    images = photographs(31, 3, 24, 22)
    magnitudes_of, signed = transform._AUGMENTATION_SPACE.get(operation, (lambda *_: None, False))
    magnitudes = magnitudes_of(31, 24, 22)
    magnitude = torch.zeros(31, dtype=torch.float64) if magnitudes is None else magnitudes.double()
    for sign in (1, -1) if signed else (1,):
        turn = Turn(torch.full((31,), OPERATIONS.index(operation)), sign * magnitude)
        ours = run_turns(images, [turn], "nearest", None)
        theirs = torch.stack(
            [
                transform._apply_image_or_video_transform(
                    image, operation, sign * float(magnitude[n]), transform.interpolation, {"others": None}
                )
                for n, image in enumerate(images)
            ]
        )
        assert (ours != theirs).double().mean() < 4e-3


def assert_same_distribution(ours: Any, theirs: Any) -> None:
    """Two samples' Kolmogorov-Smirnov distance, at a level of about 1e-4."""
    ours, theirs = np.sort(np.asarray(ours, dtype=float)), np.sort(np.asarray(theirs, dtype=float))
    values = np.concatenate([ours, theirs])
    one = np.searchsorted(ours, values, side="right") / len(ours)
    other = np.searchsorted(theirs, values, side="right") / len(theirs)
    limit = 2.23 * ((len(ours) + len(theirs)) / (len(ours) * len(theirs))) ** 0.5
    assert np.abs(one - other).max() < limit


def assert_same_counts(ours: Any, theirs: Any, kinds: int) -> None:
    """Two samples' chi-square statistic of counts, within four standard deviations."""
    one, other = (np.bincount(np.asarray(sample), minlength=kinds) for sample in (ours, theirs))
    seen = one + other > 0
    statistic = ((one - other)[seen] ** 2 / (one + other)[seen]).sum()
    freedom = seen.sum() - 1
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5 + 4


def by_torchvision(transform: Any, shape: tuple[int, ...], count: int) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    image = torch.zeros(shape)
    return [transform.make_params([image]) for _ in range(count)]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 24, 80)])
def test_crop_boxes_are_distributed_as_torchvisions(shape: tuple[int, ...]) -> None:
    step = step_of("RandomResizedCrop", size=8)
    ours = step.draw(keys(DRAWS), (DRAWS, *shape))
    theirs = by_torchvision(v2.RandomResizedCrop(8), shape, 4000)
    for side in ("top", "left", "height", "width"):
        assert_same_distribution(getattr(ours, side), [drawn[side] for drawn in theirs])
    assert (ours.top + ours.height).max() <= shape[1] and (ours.left + ours.width).max() <= shape[2]


@pytest.mark.parametrize("ratio", [[5.0, 6.0], [0.1, 0.12]])
def test_a_box_that_never_fits_is_the_middle_as_in_torchvision(ratio: list[float]) -> None:
    step = step_of("RandomResizedCrop", size=8, scale=[1.0, 1.0], ratio=ratio)
    ours = step.draw(keys(5), (5, 3, 30, 40))
    theirs = by_torchvision(v2.RandomResizedCrop(8, scale=(1.0, 1.0), ratio=tuple(ratio)), (3, 30, 40), 1)[0]
    for side in ("top", "left", "height", "width"):
        assert getattr(ours, side).tolist() == [theirs[side]] * 5


def test_erased_boxes_are_distributed_as_torchvisions() -> None:
    ours = step_of("RandomErasing", p=1.0).draw(keys(DRAWS), (DRAWS, 3, 32, 28))
    theirs = by_torchvision(v2.RandomErasing(p=1.0), (3, 32, 28), 4000)
    for side, letter in (("top", "i"), ("left", "j"), ("height", "h"), ("width", "w")):
        assert_same_distribution(getattr(ours, side), [drawn[letter] for drawn in theirs])
    half = step_of("RandomErasing", p=0.5).draw(keys(DRAWS), (DRAWS, 3, 32, 28))
    assert abs((half.height > 0).double().mean().item() - 0.5) < 0.02


def test_affine_parameters_are_distributed_as_torchvisions() -> None:
    ours = step_of("RandomAffine", **AFFINE).draw(keys(DRAWS), (DRAWS, 3, 24, 40))
    theirs = by_torchvision(v2.RandomAffine(**AFFINE), (3, 24, 40), 4000)
    for mine, values in (
        (ours.angle, [drawn["angle"] for drawn in theirs]),
        (ours.translate_x, [drawn["translate"][0] for drawn in theirs]),
        (ours.translate_y, [drawn["translate"][1] for drawn in theirs]),
        (ours.scale, [drawn["scale"] for drawn in theirs]),
        (ours.shear_x, [drawn["shear"][0] for drawn in theirs]),
        (ours.shear_y, [drawn["shear"][1] for drawn in theirs]),
    ):
        assert_same_distribution(mine, values)


def test_blur_and_rotation_are_distributed_as_torchvisions() -> None:
    sigma = step_of("GaussianBlur", kernel_size=3).draw(keys(DRAWS), (DRAWS, 1, 8, 8))
    theirs = by_torchvision(v2.GaussianBlur(3), (1, 8, 8), 4000)
    assert_same_distribution(sigma, [drawn["sigma"][0] for drawn in theirs])
    angle = step_of("RandomRotation", degrees=[-10, 35]).draw(keys(DRAWS), (DRAWS, 1, 8, 8))
    theirs = by_torchvision(v2.RandomRotation([-10, 35]), (1, 8, 8), 4000)
    assert_same_distribution(angle, [drawn["angle"] for drawn in theirs])


def test_jitter_is_distributed_as_torchvisions_in_every_order() -> None:
    ours = step_of("ColorJitter", **JITTER).draw(keys(DRAWS), (DRAWS, 3, 8, 8))
    theirs = by_torchvision(v2.ColorJitter(**JITTER), (3, 8, 8), 4000)
    base = torch.tensor([64, 16, 4, 1])
    orders = torch.stack([drawn["fn_idx"] for drawn in theirs])
    picked = torch.arange(0, DRAWS, 5)
    assert_same_counts((ours.order[picked] * base).sum(1), (orders * base).sum(1), 256)
    assert len((ours.order * base).sum(1).unique()) == 24
    for number_, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        assert_same_distribution(ours.factors[:, number_], [drawn[f"{name}_factor"] for drawn in theirs])


@pytest.mark.parametrize("name", ["TrivialAugmentWide", "RandAugment", "AutoAugment"])
def test_automatic_augmentation_is_distributed_as_torchvisions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = getattr(v2, name)()
    seen: list[list[tuple[str, float]]] = []
    monkeypatch.setattr(
        transform,
        "_apply_image_or_video_transform",
        lambda image, operation, magnitude, **_: seen[-1].append((operation, magnitude)) or image,
    )
    torch.manual_seed(0)
    image = torch.zeros((3, 32, 28), dtype=torch.uint8)
    for _ in range(4000):
        seen.append([])
        transform(image)
    turns = step_of(name).draw(keys(4000), (4000, 3, 32, 28))
    ours: list[tuple[int, float]] = [
        (operation, magnitude)
        for turn in turns
        for operation, magnitude in zip(turn.operation.tolist(), turn.magnitude.tolist(), strict=True)
        if operation
    ]
    theirs = [
        (OPERATIONS.index(operation), magnitude)
        for sample in seen
        for operation, magnitude in sample
        if operation != "Identity"
    ]
    assert abs(len(ours) - len(theirs)) < 4 * (len(turns) * 4000) ** 0.5
    assert_same_counts([operation for operation, _ in ours], [operation for operation, _ in theirs], len(OPERATIONS))
    for operation in {operation for operation, _ in theirs}:
        assert_same_distribution(
            [magnitude for other, magnitude in ours if other == operation],
            [magnitude for other, magnitude in theirs if other == operation],
        )


def test_parameters_depend_on_the_sample_and_not_on_its_neighbors() -> None:
    step = step_of("RandomResizedCrop", size=8)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    every = step.draw(keys(50), (50, 3, 32, 32))
    some = step.draw(sample_keys(0, 0, order[:7]), (7, 3, 32, 32))
    assert torch.equal(some.top, every.top[order[:7]]) and torch.equal(some.width, every.width[order[:7]])
    other_epoch = step.draw(sample_keys(0, 1, torch.arange(50)), (50, 3, 32, 32))
    assert not torch.equal(other_epoch.width, every.width)


def test_a_perspective_that_no_image_can_have_leaves_the_image_as_it_is() -> None:
    # Three of the moved corners lie on one line, as happens on images of a few pixels.
    corners = torch.tensor([[0.0, 0.0], [7.0, 0.0], [7.0, 7.0], [0.0, 7.0]])
    moved = torch.stack([corners, torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 7.0]])])
    found = distortion._coefficients(corners.double(), moved)
    assert found.isfinite().all()
    assert torch.allclose(found[0], torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0]), atol=1e-6)
