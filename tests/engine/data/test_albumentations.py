"""Transforms of albumentations: per sample, keyed like everything random, checked before the run."""

import re
from typing import Any

import pytest
import torch
from data_cases import component, open_and_build, run_config

from torchdeck.engine.data.loading.workers import WorkerLoader
from torchdeck.engine.data.transforms.albumentations_steps import list_albumentations
from torchdeck.engine.data.transforms.pipeline import check_transforms
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.machine.installation import install_command

pytest.importorskip("albumentations")

NOISY = [
    component("albumentations.GaussNoise", std_range=[0.1, 0.3], p=1.0),
    component("albumentations.HorizontalFlip"),
    component("Normalize", mean=[0.3], std=[0.4]),
]


def loader(transforms: list[Any], **options: Any) -> Any:
    config = run_config(dataset="digits", validation=0.2, train_transforms=transforms, loader=options)
    return open_and_build(config)[1].train


def test_samples_are_the_same_wherever_an_epoch_is_entered_and_however_batches_are_cut() -> None:
    train = loader(NOISY, batch_size=200)
    assert isinstance(train, WorkerLoader)
    through = list(train.batches(1))
    again = list(loader(NOISY, batch_size=200).batches(1, 5))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(again, through[5:], strict=True))
    small = torch.cat([inputs for inputs, _ in loader(NOISY, batch_size=64).batches(1)])
    assert torch.equal(torch.cat([inputs for inputs, _ in through]), small)
    assert not torch.equal(through[0][0], next(loader(NOISY, batch_size=200).batches(2))[0])


def test_every_sample_draws_its_own() -> None:
    flips = [component("albumentations.HorizontalFlip")]
    plain = torch.cat([inputs for inputs, _ in loader([], shuffle=False).batches(0)])
    drawn = torch.cat([inputs for inputs, _ in loader(flips, shuffle=False).batches(0)])
    is_flipped = (drawn == plain.flip(-1)).flatten(1).all(1) & ~(plain == plain.flip(-1)).flatten(1).all(1)
    assert ((drawn == plain).flatten(1).all(1) | is_flipped).all()
    assert abs(is_flipped.float().mean() - 0.5) < 4 * 0.5 / len(plain) ** 0.5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (component("albumentations.GausNoise"), r"no transform 'GausNoise' of images; did you mean 'GaussNoise'\?"),
        (component("albumentations.GaussNoise", sdt_range=[0, 1]), "unknown argument 'sdt_range'"),
        (component("albumentations.RandomCrop", height=-3, width=5), r"height Input should be greater than"),
        (component("albumentations.Compose"), "no transform 'Compose'"),
    ],
)
def test_what_is_wrong_is_said_before_the_run(spec: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"data.train_transforms\[0\]: .*{message}"):
        check_transforms([spec], "data.train_transforms")


def test_transforms_of_images_alone_are_listed_with_their_parameters() -> None:
    entries = {entry.name: entry for entry in list_albumentations()}
    assert len(entries) > 80
    crop = entries["albumentations.RandomCrop"]
    assert crop.summary == "Crop a random part of the input"
    assert crop.parameters[:2] == [("height", "required", "int"), ("width", "required", "int")]
    assert not crop.batched
    assert not {"albumentations.MaskDropout", "albumentations.CoarseDropout3D"} & entries.keys()
    check_transforms([component("albumentations.CLAHE")], "data.train_transforms")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert list_albumentations() == []
    with pytest.raises(ConfigError, match=re.escape(f"albumentations: {install_command(extra='albumentations')}")):
        check_transforms([component("albumentations.GaussNoise")], "data.train_transforms")
