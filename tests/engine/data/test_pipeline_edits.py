"""Train transforms without what is random, and measured statistics in Normalize."""

import numpy as np
import pytest
import torch
from data_cases import component

from torchdeck.engine.data.exploration.pipeline_edits import for_evaluation, is_random, with_normalize
from torchdeck.engine.data.exploration.transform_catalog import list_transforms
from torchdeck.engine.data.transforms.pipeline import make_transform
from torchdeck.engine.errors import ConfigError

NORMALIZE = component("Normalize", mean=[0.5], std=[0.2])


def test_what_is_random_is_left_out_and_named() -> None:
    specs = [
        component("RandomHorizontalFlip"),
        component("ColorJitter", hue=0.1),
        component("Resize", size=8),
        NORMALIZE,
    ]
    kept, words = for_evaluation(specs, None)
    assert kept == specs[2:]
    assert words == "dropped (random): RandomHorizontalFlip, ColorJitter"


def test_a_random_crop_becomes_the_crop_of_the_center() -> None:
    kept, words = for_evaluation([component("RandomResizedCrop", size=224), NORMALIZE], None)
    assert kept == [component("Resize", size=256), component("CenterCrop", size=224), NORMALIZE]
    assert words == "replaced: RandomResizedCrop by Resize and CenterCrop"
    kept, _ = for_evaluation([component("RandomCrop", size=28)], (32, 32))
    assert kept == [component("CenterCrop", size=28)]


def test_a_crop_of_the_images_own_size_needs_no_counterpart() -> None:
    assert for_evaluation([component("RandomCrop", size=32, padding=4)], (32, 32))[0] == []
    assert for_evaluation([component("RandomCrop", size=[32, 32], padding=4)], (32, 32))[0] == []


def test_containers_keep_what_is_not_random_and_mixes_are_left_out() -> None:
    choice = component("RandomChoice", transforms=[{"name": "MixUp"}, {"name": "CutMix"}])
    compose = component(
        "Compose", transforms=[{"name": "RandomRotation", "degrees": 9}, {"name": "Pad", "padding": 1}]
    )
    now_and_then = component("RandomApply", transforms=[{"name": "Grayscale"}])
    kept, words = for_evaluation([compose, now_and_then, NORMALIZE, choice], None)
    assert kept == [component("Pad", padding=1), NORMALIZE]
    assert words == "dropped (random): RandomRotation, RandomApply, RandomChoice"


def test_nothing_random_is_copied_as_it_is() -> None:
    assert for_evaluation([NORMALIZE], None) == ([NORMALIZE], "copied unchanged: nothing is random")


def test_a_wrong_pipeline_is_not_copied() -> None:
    with pytest.raises(ConfigError, match="needs the argument 'size'"):
        for_evaluation([component("RandomCrop")], None)


# Arguments for those that need some.
_ARGUMENTS = {
    "CenterCrop": {"size": 6},
    "ElasticTransform": {},
    "GaussianBlur": {"kernel_size": 3},
    "LinearTransformation": None,
    "Normalize": {"mean": [0.5] * 3, "std": [0.5] * 3},
    "Pad": {"padding": 1},
    "RandomAffine": {"degrees": 30},
    "RandomCrop": {"size": 6},
    "RandomPosterize": {"bits": 2},
    "RandomResize": {"min_size": 4, "max_size": 12},
    "RandomResizedCrop": {"size": 8},
    "RandomRotation": {"degrees": 90},
    "RandomShortestSize": {"min_size": [4, 6, 8]},
    "RandomSolarize": {"threshold": 100},
    "RandomAdjustSharpness": {"sharpness_factor": 3},
    "ColorJitter": {"brightness": 0.9},
    "JPEG": {"quality": [1, 90]},
    "Resize": {"size": 4},
    "ScaleJitter": {"target_size": [40, 40]},
    "Grayscale": {},
}


@pytest.mark.parametrize("name", [entry.name for entry in list_transforms()])
def test_what_is_called_random_is_random_and_nothing_else(name: str) -> None:
    arguments = _ARGUMENTS.get(name, {})
    if arguments is None or name in ("MixUp", "CutMix"):
        pytest.skip("takes a matrix, or whole batches")
    try:
        transform = make_transform(component(name, **arguments), "t")
    except ConfigError:
        pytest.skip("a container, or it needs a function")
    pixels = torch.from_numpy(np.random.default_rng(0).integers(50, 200, (3, 48, 48), dtype=np.uint8))
    image = pixels.float() / 255 if name in ("Normalize", "GaussianNoise") else pixels
    outcomes = set()
    for seed in range(12):
        torch.manual_seed(seed)
        try:
            outcome = transform(image)
        except (ValueError, TypeError):
            pytest.skip("needs boxes, points or masks beside the image")
        outcomes.add((np.shape(outcome), np.asarray(outcome).tobytes()))
    assert (len(outcomes) > 1) == is_random(name)


def test_measured_statistics_replace_those_of_normalize() -> None:
    specs = [component("RandomHorizontalFlip"), component("Normalize", mean=[0.5], std=[0.2], inplace=True)]
    changed = with_normalize(specs, [0.286041], [0.353024])
    assert changed == [specs[0], component("Normalize", mean=[0.286], std=[0.353], inplace=True)]


def test_without_a_normalize_one_comes_before_what_mixes_batches() -> None:
    changed = with_normalize([component("RandomHorizontalFlip"), component("MixUp")], [0.1, 0.2, 0.3], [0.4, 0.5, 0.0])
    assert [spec.name for spec in changed] == ["RandomHorizontalFlip", "Normalize", "MixUp"]
    assert changed[1].arguments == {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 1.0]}
