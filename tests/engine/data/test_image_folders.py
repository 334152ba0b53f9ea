"""Batches of a folder of images, decoded once or one by one."""

from pathlib import Path
from typing import Any

import pytest
from data_cases import CPU, component, open_and_build, run_config, same, write_images
from PIL import Image

from torchdeck.engine.data.datasets.images.folder import find_classes, open_folder
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.loading.in_memory_loader import InMemoryLoader
from torchdeck.engine.data.loading.loaders import build_loaders, sample_shape
from torchdeck.engine.errors import DataError


def folder_config(root: Path, *transforms: Any, **data: Any) -> Any:
    return run_config(
        dataset=str(root),
        validation=0.25,
        train_transforms=list(transforms),
        eval_transforms=list(transforms),
        loader={"batch_size": 4},
        **data,
    )


def test_a_folder_of_one_size_is_resident(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 8)
    data = open_and_build(folder_config(tmp_path))[1]
    assert isinstance(data.train, InMemoryLoader)
    assert data.input_shape == (3, 10, 12)


def test_a_folder_of_mixed_sizes_is_decoded_once_after_resize_and_crop(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 4, size=(12, 10))
    write_images(tmp_path / "b", 4, size=(20, 31), seed=1)
    transforms = [
        component("Resize", size=9),
        component("CenterCrop", size=8),
        component("RandomHorizontalFlip", p=0.0),
    ]
    resident = open_and_build(folder_config(tmp_path, *transforms))[1]
    assert isinstance(resident.train, InMemoryLoader)
    one_by_one = open_and_build(folder_config(tmp_path, *transforms, storage="loader"))[1]
    assert same(list(resident.train.batches(0)), list(one_by_one.train.batches(0)))


def test_mixed_sizes_without_a_resize_say_which_transform_to_add(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 4, size=(12, 10))
    write_images(tmp_path / "b", 4, size=(20, 31), seed=1)
    data = open_and_build(folder_config(tmp_path))[1]
    assert "images differ in size: samples go through a DataLoader" in data.notes
    with pytest.raises(DataError, match=r"images differ in shape: .*3×\d+×\d+.*CenterCrop.*data.train_transforms"):
        list(data.train.batches(0))


@pytest.mark.parametrize("storage", ["auto", "loader"])
@pytest.mark.parametrize("damage", ["truncated", "text"])
def test_a_damaged_image_is_named(tmp_path: Path, storage: str, damage: str) -> None:
    write_images(tmp_path / "a", 8, size=(64, 64), suffix="jpg")
    bad = tmp_path / "a" / "5.jpg"
    bad.write_bytes(bad.read_bytes()[:600] if damage == "truncated" else b"not an image")
    with pytest.raises(DataError, match=r"a/5\.jpg: can't be decoded"):
        data = open_and_build(folder_config(tmp_path, storage=storage))[1]
        for loader in (data.train, data.validation):
            list(loader.batches(0))


def test_gray_folders_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    write_images(tmp_path / "gray" / "a", 4, mode="L")
    write_images(tmp_path / "mixed" / "a", 4, mode="RGBA")
    Image.new("P", (12, 10)).save(tmp_path / "mixed" / "a" / "palette.png")
    for name, channels in (("gray", 1), ("mixed", 3)):
        config = folder_config(tmp_path / name)
        assert sample_shape(open_sources(config.data, 0), config)[0] == channels


def test_decoding_reports_its_progress(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 8)
    config = folder_config(tmp_path)
    seen: list[tuple[str, int, int]] = []
    build_loaders(
        open_sources(config.data, 0), config, CPU, lambda message, done, total: seen.append((message, done, total))
    )
    assert ("decoding train", 6, 6) in seen and ("decoding validation", 2, 2) in seen


def test_class_folders_that_look_the_same_are_named(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for name in (composed, decomposed):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name / "1.png")
    with pytest.raises(DataError, match=r"look the same.*'cafe\\u0301' and 'caf\\xe9'"):
        find_classes(tmp_path)
    (tmp_path / composed / "1.png").unlink()
    (tmp_path / composed).rmdir()
    with pytest.raises(DataError, match=r"no class.*spelled differently in Unicode: 'caf\\xe9', not 'cafe\\u0301'"):
        open_folder(tmp_path, [composed])
