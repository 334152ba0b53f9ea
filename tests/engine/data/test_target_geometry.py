"""A box, a mask or a key point that a transform would leave behind is refused, with what to return instead."""

from pathlib import Path
from typing import Any

import pytest
from data_cases import component, no_progress, open_and_build, run_config

from torchdeck.engine.build import prepare
from torchdeck.engine.config import Component, RunConfig
from torchdeck.engine.data.exploration.look import look_at_samples
from torchdeck.engine.errors import ConfigError

CODE = """
import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors

class Data:
    {classes}

    def __len__(self):
        return 12

    def __getitem__(self, index):
        image = torch.zeros(3, 20, 24, dtype=torch.uint8)
        left, top = 2 + index % 5, 3 + index % 7
        box = [left, top, left + 8, top + 6]
        return image, {target}

{collate}

def make():
    return Data()
"""
COLLATE = """
    @staticmethod
    def collate_fn(samples):
        return torch.stack([image for image, _ in samples]), torch.zeros(len(samples), 4)
"""
FLIP = [component("RandomHorizontalFlip")]
KEPT = {
    "boxes": "tv_tensors.BoundingBoxes([box], format='XYXY', canvas_size=(20, 24))",
    "labels": "[1]",
}


def config_of(tmp_path: Path, target: str, transforms: list[Component], **data: Any) -> RunConfig:
    collate = COLLATE if not target.startswith(("box", "[index", "index", "labels")) else ""
    classes = 'classes = ["left", "top", "right", "bottom"]'
    (tmp_path / "data.py").write_text(
        CODE.replace("{target}", target).replace("{collate}", collate).replace("{classes}", classes)
    )
    return run_config(dataset=f"{tmp_path}/data.py:make", validation=0.25, train_transforms=transforms, **data)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("[box, box]", "BoundingBoxes"),
        ("np.array([box])", "BoundingBoxes"),
        ("{'boxes': [box], 'labels': [1]}", "BoundingBoxes"),
        ("{'boxes': torch.tensor([box]), 'labels': [1]}", "BoundingBoxes"),
        ("{'bbox': box}", "BoundingBoxes"),
        ("{'boxes': [] if index < 2 else [box]}", "BoundingBoxes"),
        ("[{'bbox': box, 'id': 3}, {'bbox': box, 'id': 4}]", "BoundingBoxes"),
        ("([box], [1])", "BoundingBoxes"),
        ("box", "BoundingBoxes"),
        ("{'keypoints': [[[1, 2, 1], [3, 4, 1]]]}", "KeyPoints"),
        ("torch.ones(5, 2)", "KeyPoints"),
        ("{'segmentation': [[[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 6]]]}", "Mask"),
        ("{'polygons': [[[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 6]]]}", "KeyPoints"),
        ("np.zeros((20, 24))", "Mask"),
        ("torch.zeros(2, 20, 24)", "Mask"),
        ("Image.new('L', (24, 20))", "Mask"),
        ("{'mask': image[0] > 0}", "Mask"),
        (f"{{'boxes': {KEPT['boxes']}, 'masks': image[:1] > 0}}", "Mask"),
    ],
)
def test_plain_geometry_beside_a_flip_is_refused(target: str, named: str, tmp_path: Path) -> None:
    config = config_of(tmp_path, target, FLIP)
    with pytest.raises(ConfigError, match=rf"RandomHorizontalFlip moves the image.*sample .*tv_tensors\.{named}\("):
        open_and_build(config)
    with pytest.raises(ConfigError, match="RandomHorizontalFlip"):
        prepare(config, no_progress)
    assert "would stay put" in look_at_samples(config, epoch=0, count=2).error
    open_and_build(
        config_of(tmp_path, target, [component("ColorJitter", hue=0.1), component("GaussianBlur", kernel_size=3)])
    )


@pytest.mark.parametrize(
    "transforms",
    [
        [component("Resize", size=[8, 8])],
        [component("RandomApply", transforms=[{"name": "RandomRotation", "degrees": 9}])],
        [component("Compose", transforms=[{"name": "RandomCrop", "size": 8}])],
        [component("RandAugment")],
        [component("albumentations.HorizontalFlip")],
    ],
)
def test_whatever_moves_pixels_counts(transforms: list[Component], tmp_path: Path) -> None:
    for where in ("train", "eval"):
        config = config_of(tmp_path, "[box]", transforms if where == "train" else [])
        if where == "eval":
            data = config.data.model_copy(update={"eval_transforms": transforms})
            config = config.model_copy(update={"data": data})
        with pytest.raises(ConfigError, match=rf"data\.{where}_transforms: .* moves the image"):
            open_and_build(config)


@pytest.mark.parametrize(
    "target",
    [
        KEPT["boxes"],
        f"{{'boxes': {KEPT['boxes']}, 'labels': [1], 'area': 3.0, 'name': 'x', 'iscrowd': torch.zeros(1)}}",
        "{'tokens': [1, 2, 3, 4]}",
        "list(range(2 + index))",
        "[index % 2, 1, 0, 1]",
        "[index / 7, -2.0, 5.0, 1.0]",
        "index % 4",
    ],
)
def test_what_moves_along_or_says_nothing_of_places_is_accepted(target: str, tmp_path: Path) -> None:
    open_and_build(config_of(tmp_path, target, FLIP))


def test_a_transform_of_the_user_s_own_may_move_both(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def both():\n    return lambda image: image\n")
    open_and_build(config_of(tmp_path, "[box]", [component(f"{tmp_path}/mine.py:both")]))


def test_numbers_that_may_be_coordinates_are_said(tmp_path: Path) -> None:
    config = config_of(tmp_path, "[index / 7, -2.0, 5.0]", FLIP)
    assert (
        "3 numbers per sample, and RandomHorizontalFlip moves only the pixels" in open_and_build(config)[1].notes[-1]
    )
