from typing import Any

import pytest
from data_cases import component

from torchdeck.engine.data.batched.batch_plan import BatchPlan, Unbatched, fixed_size, plan_batches

NORMALIZE = component("Normalize", mean=[0.5], std=[0.5])


def test_the_usual_pipeline_is_batched() -> None:
    plan = plan_batches(
        [
            component("RandomHorizontalFlip"),
            component("RandomCrop", size=32, padding=4),
            component("ToTensor"),
            NORMALIZE,
        ]
    )
    assert isinstance(plan, BatchPlan)
    assert plan.moves and not plan.has_steps and plan.flips_horizontally
    assert (plan.mean, plan.std) == ((0.5,), (0.5,))


def test_deterministic_transforms_before_the_random_ones_are_done_once() -> None:
    plan = plan_batches(
        [component("Resize", size=256), component("CenterCrop", size=224), component("RandomVerticalFlip")]
    )
    assert isinstance(plan, BatchPlan)
    assert [spec.name for spec in plan.baked] == ["Resize", "CenterCrop"]
    assert fixed_size(plan)


@pytest.mark.parametrize(
    ("specs", "pixel_steps", "float_steps"),
    [
        ([component("RandomHorizontalFlip"), component("ColorJitter", hue=0.1)], ["JitterStep"], []),
        ([component("ColorJitter", hue=0.1), component("RandomHorizontalFlip")], ["JitterStep", "ChosenStep"], []),
        ([NORMALIZE, component("RandomErasing")], [], ["ErasingStep"]),
        ([component("RandomHorizontalFlip"), component("Resize", size=8)], ["FixedStep"], []),
        ([component("ToTensor"), component("Resize", size=8), NORMALIZE], [], ["FixedStep", "FixedStep"]),
        ([component("RandomErasing"), component("ToTensor"), NORMALIZE, NORMALIZE], ["ErasingStep"], ["FixedStep"]),
        ([component("ToTensor"), component("ColorJitter", hue=0.1), NORMALIZE], [], ["JitterStep", "FixedStep"]),
        ([component("RandomCrop", size=8), component("RandomCrop", size=4)], ["CropStep"], []),
        ([NORMALIZE, component("RandomCrop", size=8, padding=1)], [], ["CropStep"]),
        ([component("ToTensor"), component("RandomCrop", size=8, padding=1, fill=0.5)], [], ["CropStep"]),
        ([component("RandomHorizontalFlip"), component("RandomCrop", size=8, padding=[1, 0, 0, 0])], ["CropStep"], []),
    ],
)
def test_each_step_is_done_to_the_pixels_it_would_meet_one_by_one(
    specs: list[Any], pixel_steps: list[str], float_steps: list[str]
) -> None:
    plan = plan_batches(specs)
    assert isinstance(plan, BatchPlan)
    assert [type(step).__name__ for step in plan.pixel_steps] == pixel_steps
    assert [type(step).__name__ for step in plan.float_steps] == float_steps
    assert plan.has_steps


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (component("JPEG", quality=50), "JPEG has no batched form"),
        (component("RandomApply", transforms=[{"name": "JPEG", "quality": 50}]), "RandomApply of JPEG has no batched"),
        (component("RandomChoice", transforms=[{"name": "RandomCrop", "size": 4}]), "RandomChoice of RandomCrop has"),
        (component("ElasticTransform", interpolation="bicubic"), "ElasticTransform with bicubic interpolation"),
        (component("my.py:make"), "my.py:make has no batched form"),
        (component("ToDtype", dtype="float32"), "ToDtype to anything but float32 between 0 and 1"),
        (component("RandomResizedCrop", size=8, interpolation="bicubic"), "with bicubic interpolation"),
        (component("RandomResizedCrop", size=8, antialias=False), "RandomResizedCrop without antialias"),
        (component("RandomErasing", value="random"), 'RandomErasing with value = "random"'),
        (component("RandomRotation", degrees=10, expand=True), "RandomRotation with expand"),
        (component("RandomRotation", degrees=[90, 90]), "RandomRotation by one angle"),
        (component("RandomAffine", degrees=10, interpolation="bicubic"), "RandomAffine with bicubic interpolation"),
    ],
)
def test_what_has_no_batched_form_says_so(spec: Any, reason: str) -> None:
    plan = plan_batches([component("RandomHorizontalFlip"), spec])
    assert isinstance(plan, Unbatched)
    assert reason in plan.reason


def test_automatic_augmentation_of_floats_has_no_batched_form() -> None:
    plan = plan_batches([component("ToTensor"), component("TrivialAugmentWide")])
    assert plan == Unbatched("TrivialAugmentWide after scaling has no batched form")


@pytest.mark.parametrize(
    ("baked", "is_fixed"),
    [
        ([component("Resize", size=[8, 8])], True),
        ([component("Resize", size=8)], False),
        ([component("CenterCrop", size=8), component("Pad", padding=1)], True),
        ([component("Grayscale")], False),
        ([component("Resize", size=[8, 8]), component("Grayscale")], True),
    ],
)
def test_whether_sizes_become_equal(baked: list[Any], is_fixed: bool) -> None:
    plan = plan_batches(baked)
    assert isinstance(plan, BatchPlan)
    assert fixed_size(plan) is is_fixed
