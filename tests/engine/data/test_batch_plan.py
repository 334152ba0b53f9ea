from typing import Any

import pytest
from data_cases import component

from engine.data.batch_plan import BatchPlan, Unbatched, fixed_size, plan_batches

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
    assert plan.is_random and plan.flips_horizontally
    assert (plan.mean, plan.std) == ((0.5,), (0.5,))


def test_deterministic_transforms_before_the_random_ones_are_done_once() -> None:
    plan = plan_batches(
        [component("Resize", size=256), component("CenterCrop", size=224), component("RandomVerticalFlip")]
    )
    assert isinstance(plan, BatchPlan)
    assert [spec.name for spec in plan.baked] == ["Resize", "CenterCrop"]
    assert fixed_size(plan)


@pytest.mark.parametrize(
    ("specs", "reason"),
    [
        ([component("ColorJitter", hue=0.1)], "ColorJitter has no batched form"),
        ([component("my.py:make")], "my.py:make has no batched form"),
        ([component("RandomHorizontalFlip"), component("Resize", size=8)], "Resize after a random transform"),
        ([component("ToTensor"), component("Resize", size=8)], "Resize after a random transform or after scaling"),
        ([NORMALIZE, NORMALIZE], "a second Normalize"),
        ([component("RandomCrop", size=8), component("RandomCrop", size=4)], "a second RandomCrop"),
        ([NORMALIZE, component("RandomCrop", size=8, padding=1)], "padding after Normalize"),
        ([component("ToTensor"), component("RandomCrop", size=8, padding=1, fill=9)], "with a fill after scaling"),
        (
            [component("RandomHorizontalFlip"), component("RandomCrop", size=8, padding=[1, 0, 0, 0])],
            "uneven padding after a flip",
        ),
        ([component("ToDtype", dtype="float32")], "ToDtype to anything but float32 between 0 and 1"),
    ],
)
def test_what_has_no_batched_form_says_so(specs: list[Any], reason: str) -> None:
    plan = plan_batches(specs)
    assert isinstance(plan, Unbatched)
    assert reason in plan.reason


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
