from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component, open_and_build, run_config
from test_batch_steps import assert_same_counts, assert_same_distribution
from torchvision.transforms import v2

from torchdeck.engine.data.datasets.splits import ArrayDataset, Split
from torchdeck.engine.data.transforms.mixing import Mix, check_mixing, class_shares, draw_mixes, make_mixes
from torchdeck.engine.data.transforms.pipeline import check_transforms
from torchdeck.engine.errors import ConfigError

WHERE = "data.train_transforms"
BOTH = component("RandomChoice", transforms=[{"name": "MixUp", "alpha": 0.2}, {"name": "CutMix"}], p=[1.0, 3.0])


def drawn(count: int, *specs: Any, size: tuple[int, int] = (24, 40)) -> list[list[Mix]]:
    steps = make_mixes(specs, WHERE)
    return [draw_mixes(steps, 0, 0, batch, size) for batch in range(count)]


def batch(count: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((count, 3, 24, 40), generator=generator), torch.arange(count) % 5


def test_a_blend_equals_torchvisions_mixup_of_the_same_share() -> None:
    inputs, targets = batch()
    transform = v2.MixUp(num_classes=5)
    params = {"lam": 0.3, "labels": targets, "batch_size": len(targets)}
    mix = Mix(0.3)
    assert torch.equal(mix.of_inputs(inputs), transform.transform(inputs, params))
    assert torch.equal(mix.of_targets(class_shares(targets, 5)), transform.transform(targets, params))


@pytest.mark.parametrize("box", [(3, 2, 30, 9), (0, 0, 40, 24), (5, 5, 5, 9)])
def test_a_box_equals_torchvisions_cutmix_of_the_same_box(box: tuple[int, int, int, int]) -> None:
    inputs, targets = batch()
    transform = v2.CutMix(num_classes=5)
    params = {"box": box, "lam_adjusted": 0.8, "labels": targets, "batch_size": len(targets)}
    mix = Mix(0.8, box)
    before = inputs.clone()
    assert torch.equal(mix.of_inputs(inputs), transform.transform(inputs, params))
    assert torch.equal(mix.of_targets(class_shares(targets, 5)), transform.transform(targets, params))
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_of_mixup_are_distributed_as_torchvisions(alpha: float) -> None:
    torch.manual_seed(0)
    transform = v2.MixUp(alpha=alpha, num_classes=5)
    theirs = [transform.make_params([])["lam"] for _ in range(3000)]
    assert_same_distribution([mix.share for (mix,) in drawn(6000, component("MixUp", alpha=alpha))], theirs)


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_boxes_of_cutmix_are_distributed_as_torchvisions(alpha: float) -> None:
    torch.manual_seed(0)
    image = torch.zeros((1, 3, 24, 40))
    transform = v2.CutMix(alpha=alpha, num_classes=5)
    theirs = [transform.make_params([image]) for _ in range(3000)]
    ours = [mix for (mix,) in drawn(6000, component("CutMix", alpha=alpha))]
    assert_same_distribution([mix.share for mix in ours], [params["lam_adjusted"] for params in theirs])
    for side in range(4):
        assert_same_distribution(
            [mix.box[side] for mix in ours if mix.box], [params["box"][side] for params in theirs]
        )


def test_one_of_both_is_chosen_by_weight_and_happens_with_its_probability() -> None:
    sometimes = component("RandomApply", transforms=[BOTH.model_dump()], p=0.6)
    mixes = drawn(4000, sometimes)
    kinds = [2 if not mix else int(mix[0].box is not None) for mix in mixes]
    expected = np.random.default_rng(0).choice(3, 4000, p=[0.15, 0.45, 0.4])
    assert_same_counts(kinds, expected, 3)
    with_nothing = component("RandomChoice", transforms=[{"name": "Identity"}, {"name": "MixUp"}])
    assert {len(mix) for mix in drawn(50, with_nothing)} == {0, 1}


def test_every_tier_mixes_alike_wherever_an_epoch_is_entered() -> None:
    def batches(start: int, **loader: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
        storage = loader.pop("storage", "auto")
        config = run_config(
            dataset="digits",
            validation=0.9,
            storage=storage,
            loader={"batch_size": 16, **loader},
            train_transforms=[component("RandomInvert", p=0.0), BOTH],
        )
        return list(open_and_build(config)[1].train.batches(1, start))

    whole = batches(0)
    assert all(targets.shape == (len(inputs), 10) for inputs, targets in whole)
    assert all(torch.allclose(targets.sum(1), torch.ones(len(targets))) for _, targets in whole)
    assert any(((targets > 0).sum(1) == 2).any() for _, targets in whole)
    for other in (batches(3), batches(3, storage="loader")):
        assert len(other) == len(whole) - 3
        for (inputs, targets), (expected, shares) in zip(other, whole[3:], strict=True):
            assert torch.equal(inputs, expected) and torch.equal(targets, shares)


@pytest.mark.parametrize(
    ("specs", "where", "message"),
    [
        (
            [component("MixUp")],
            "data.eval_transforms",
            "MixUp mixes samples and their targets.*only at the end of data.train_transforms",
        ),
        ([component("CutMix"), component("RandomInvert")], WHERE, "RandomInvert comes after CutMix.*move CutMix"),
        (
            [component("RandomApply", transforms=[{"name": "MixUp"}, {"name": "RandomInvert"}])],
            WHERE,
            r"transforms\[1\]: RandomInvert can't be combined with MixUp",
        ),
        (
            [component("RandomOrder", transforms=[{"name": "MixUp"}])],
            WHERE,
            "RandomOrder can't be combined with MixUp",
        ),
        ([component("MixUp", alpha=0)], WHERE, "alpha = 0: must be above 0"),
        ([component("MixUp", num_classes=10)], WHERE, "MixUp has no argument 'num_classes'"),
        ([component("CutMix", alpha="much")], WHERE, "alpha = 'much': must be a number"),
    ],
)
def test_a_mix_in_the_wrong_place_is_refused(specs: list[Any], where: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_transforms(specs, where)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.zeros(4, dtype=np.float32)}, "MixUp mixes classes, but the data set's targets are"),
        ({"targets": None}, "targets are not one class per sample"),
        ({"is_image": False}, "MixUp mixes images, but this data set has none"),
        ({"collate": lambda samples: samples}, "mixes images"),
    ],
)
def test_data_that_can_not_be_mixed_are_refused_before_the_run(changes: dict[str, Any], message: str) -> None:
    dataset = ArrayDataset(np.zeros((4, 5, 5), dtype=np.uint8), np.zeros(4, dtype=np.int64))
    split = Split(dataset, None, np.zeros(4, dtype=np.int64), "train")
    mixes = [component("RandomInvert"), component("MixUp")]
    check_mixing(mixes, split)
    check_mixing(mixes[:1], replace(split, **changes))
    with pytest.raises(ConfigError, match=message):
        check_mixing(mixes, replace(split, **changes))
