import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component
from PIL import Image
from torchvision import transforms as v1

from torchdeck.engine.data.exploration.transform_catalog import list_transforms
from torchdeck.engine.data.transforms.pipeline import SamplePipeline, check_transforms
from torchdeck.engine.errors import ConfigError, UserCodeError

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (component("RandomCropp", size=3), "no transform 'RandomCropp'; did you mean 'RandomCrop'?"),
        (component("RandomCrop", size=3, pading=1), "RandomCrop has no argument 'pading'; did you mean 'padding'?"),
        (component("RandomCrop"), "RandomCrop needs the argument 'size' (Union[int, Sequence[int]])"),
        (component("ToTensor", size=3), "ToTensor has no argument 'size'; it has none"),
        (component("RandomHorizontalFlip", p="often"), "p = 'often': must be a number"),
        (component("RandomHorizontalFlip", p=1.5), "value in the interval [0.0, 1.0]"),
        (component("RandomCrop", size="big"), "size = 'big': must be a whole number, or a list of them"),
        (component("RandomCrop", size=0), "size = 0: must be at least 1"),
        (component("RandomCrop", size=8, padding=1, padding_mode="mirror"), "mirror"),
        (component("Normalize", mean=0.5, std=[0.5]), "mean = 0.5: must be a list of numbers, one per channel"),
        (component("Normalize", mean=[0.5], std=[0.0]), "every standard deviation must be above 0"),
        (component("Resize", size=8, interpolation="bilinar"), "did you mean 'bilinear'?"),
        (component("AutoAugment", policy="imagnet"), "did you mean 'imagenet'?"),
        (component("ToDtype", dtype="float23"), "did you mean 'float32'?"),
        (component("FiveCrop", size=3), "it makes several images from one sample"),
        (component("RandomApply", transforms=[]), "must be a list of transforms"),
        (component("RandomApply", transforms=[{"size": 3}]), "must be a table with a name"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(spec: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_transforms([component("Identity"), spec], "data.train_transforms")
    assert message in str(error.value)
    assert str(error.value).startswith("data.train_transforms[1]")


def test_an_error_inside_a_container_names_the_inner_place() -> None:
    spec = component("RandomApply", transforms=[{"name": "ColorJitter", "hues": 0.1}], p=0.5)
    with pytest.raises(ConfigError, match=r"data.x\[0\].transforms\[0\]: ColorJitter has no argument 'hues'"):
        check_transforms([spec], "data.x")


def test_no_transforms_means_to_tensor() -> None:
    assert torch.equal(SamplePipeline([])(PHOTO), v1.ToTensor()(PHOTO))


@pytest.mark.parametrize("scaling", [component("ToTensor"), component("ToDtype", dtype="float32", scale=True)])
def test_explicit_scaling_changes_nothing(scaling: Any) -> None:
    normalize = component("Normalize", mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4])
    expected = v1.Compose([v1.ToTensor(), v1.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4])])(PHOTO)
    assert torch.equal(SamplePipeline([normalize])(PHOTO), expected)
    assert torch.equal(SamplePipeline([component("ToImage"), scaling, normalize])(PHOTO), expected)


def test_unscaled_floats_are_left_alone_where_they_were_asked_for() -> None:
    pixels = SamplePipeline([component("ToDtype", dtype="float32")])(PHOTO)
    assert pixels.max() > 200


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        (PHOTO.convert("L"), (1, 40, 50)),
        (PHOTO.convert("P"), (3, 40, 50)),
        (PHOTO.convert("RGBA"), (3, 40, 50)),
        (PHOTO.convert("1"), (1, 40, 50)),
        (np.zeros((40, 50), np.uint8), (1, 40, 50)),
        (np.zeros((40, 50, 3), np.uint8), (3, 40, 50)),
        (torch.zeros(2, 40, 50), (2, 40, 50)),
    ],
)
def test_every_form_of_image_becomes_a_float_tensor(image: Any, shape: tuple[int, ...]) -> None:
    pixels = SamplePipeline([])(image)
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.float32, shape)


def test_three_means_are_refused_on_gray_images() -> None:
    pipeline = SamplePipeline([component("Normalize", mean=[0.5] * 3, std=[0.5] * 3)], "data.eval_transforms")
    with pytest.raises(
        ConfigError, match=r"data.eval_transforms\[0\].*mean has 3 values, but the image has 1 channel$"
    ):
        pipeline(PHOTO.convert("L"))


def test_a_crop_larger_than_the_image_is_refused_with_both_sizes() -> None:
    with pytest.raises(ConfigError, match=r"RandomCrop\(size=64\) can't be applied to 3×40×50: .*\(64, 64\)"):
        SamplePipeline([component("RandomCrop", size=64)])(PHOTO)


@pytest.mark.parametrize(
    "spec",
    [
        component("ColorJitter", brightness=0.4, hue=0.1),
        component("RandomResizedCrop", size=24),
        component("TrivialAugmentWide"),
        component("RandAugment", interpolation="bilinear"),
        component("AutoAugment", policy="cifar10"),
        component("GaussianBlur", kernel_size=3),
        component("RandomErasing"),
        component("RandomApply", transforms=[{"name": "RandomRotation", "degrees": 10}], p=0.5),
        component(
            "RandomChoice", transforms=[{"name": "RandomInvert"}, {"name": "Grayscale", "num_output_channels": 3}]
        ),
    ],
    ids=lambda spec: spec.name,
)
def test_torchvisions_transforms_work_by_name(spec: Any) -> None:
    pixels = SamplePipeline([spec])(PHOTO)
    assert pixels.dtype == torch.float32 and pixels.shape[0] == 3


def test_a_pipeline_pickles_as_its_specification() -> None:
    pipeline = SamplePipeline([component("CenterCrop", size=8)], "data.eval_transforms")
    copied = pickle.loads(pickle.dumps(pipeline))
    assert torch.equal(copied(PHOTO), pipeline(PHOTO))


def test_a_transform_from_the_users_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def inverted(top=255):\n    return lambda image: top - image\n")
    spec = component(f"{tmp_path}/mine.py:inverted")
    assert torch.allclose(SamplePipeline([spec])(PHOTO), 1 - v1.ToTensor()(PHOTO))
    with pytest.raises(ConfigError, match="topp"):
        check_transforms([component(f"{tmp_path}/mine.py:inverted", topp=1)], "data.train_transforms")


def test_a_failing_transform_of_the_users_shows_the_users_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def broken():\n    return lambda image: image.nothing\n")
    with pytest.raises(UserCodeError, match=r"mine\.py"):
        SamplePipeline([component(f"{tmp_path}/mine.py:broken")])(PHOTO)


def test_the_catalog_lists_parameters_and_what_is_batched() -> None:
    entries = {entry.name: entry for entry in list_transforms()}
    assert entries["RandomHorizontalFlip"].parameters == [("p", "0.5", "float")]
    assert entries["RandomCrop"].parameters[0] == ("size", "required", "Union[int, Sequence[int]]")
    assert entries["RandomCrop"].batched and entries["ColorJitter"].batched and not entries["JPEG"].batched
    assert entries["ColorJitter"].summary.startswith("Randomly change the brightness")
    assert entries["MixUp"].parameters == [("alpha", "1.0", "float")] and entries["MixUp"].batched
    assert not {"FiveCrop", "Lambda", "Transform"} & set(entries)
