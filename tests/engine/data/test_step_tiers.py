"""What is said of each step of a pipeline."""

from data_cases import component

from torchdeck.engine.data.exploration.step_tiers import step_tiers

CROP = component("RandomCrop", size=8)


def tiers(*specs) -> list[str]:
    return [step.tier for step in step_tiers(specs, "data.train_transforms")]


def test_steps_with_a_batched_form_say_so() -> None:
    assert tiers(component("Resize", size=[8, 8]), CROP, component("MixUp")) == [
        "once, when decoded",
        "batched",
        "on the whole batch",
    ]


def test_one_step_without_takes_the_others_along() -> None:
    found = tiers(CROP, component("JPEG", quality=[50, 90]), component("RandomHorizontalFlip"))
    assert found[1].startswith("per sample: JPEG has no batched form")
    assert found[0] == found[2] == "per sample, with the others"


def test_every_wrong_step_has_its_own_error() -> None:
    found = step_tiers([component("RandomCorp"), CROP, component("Resize", size=-1)], "data.train_transforms")
    assert [bool(step.error) for step in found] == [True, False, True]
    assert "did you mean 'RandomCrop'" in found[0].error


def test_what_mixes_batches_too_early_is_an_error() -> None:
    assert step_tiers([component("MixUp"), CROP], "data.train_transforms")[0].error
