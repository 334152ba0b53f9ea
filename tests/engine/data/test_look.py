"""What is told of a data set and of its samples."""

from pathlib import Path

import numpy as np
import pytest
import torch
from data_cases import component, no_progress, run_config, write_images
from PIL import Image

from torchdeck.engine.data.datasets.opened import opened_sources
from torchdeck.engine.data.exploration.balance import describe_balance
from torchdeck.engine.data.exploration.findings import describe_sizes
from torchdeck.engine.data.exploration.image_bytes import middle_slice
from torchdeck.engine.data.exploration.look import look, look_at_samples, measure
from torchdeck.engine.errors import DataError


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([5, 5, 5], "Balanced: 5 per class."),
        ([100, 105, 101], "Nearly balanced: 100 to 105 per class."),
        ([100, 120, 100], "Slightly imbalanced, 1.2 : 1 between b (120) and a (100)."),
        ([10, 90, 10], "Imbalanced, 9.0 : 1 between b (90) and a (10); always predicting b is 82% correct."),
        ([5, 0, 5], "Balanced: 5 per class. 1 class has no training sample: b."),
        ([0, 7, 0], "All training samples are of one class, b: there is nothing to learn."),
        ([], "unknown"),
    ],
)
def test_balance_in_words(counts: list[int], words: str) -> None:
    assert words in describe_balance(counts, ["a", "b", "c"][: len(counts)])


def test_a_small_data_set_is_measured_whole_at_the_first_look() -> None:
    found = look(run_config(dataset="digits", validation=0.2), is_fresh=False, progress=no_progress)
    assert (found.train_size, found.validation_size, found.test_size) == (1438, 359, None)
    assert sum(found.class_counts) == 1438
    assert found.pixels.is_whole
    assert found.pixels.measured == 1438
    assert sum(found.pixels.histogram[0]) == 1438 * 64


def folder_with_all_kinds(root: Path) -> Path:
    """Two classes with images of three modes and two sizes, one to be rotated, one torn."""
    write_images(root / "cat", 6)
    write_images(root / "dog", 3, mode="RGBA")
    write_images(root / "dog" / "old", 2, mode="P", size=(40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (12, 10)).save(root / "dog" / "turned.jpg", exif=exif)
    (root / "cat" / "torn.png").write_bytes((root / "cat" / "0.png").read_bytes()[:60])
    (root / "cat" / "text.png").write_text("no image")
    return root


def test_a_folder_is_told_by_its_headers_and_what_cant_be_read_is_listed(tmp_path: Path) -> None:
    config = run_config(dataset=str(folder_with_all_kinds(tmp_path)), validation=0.1)
    found = look(config, is_fresh=False, progress=no_progress).pixels.sizes
    assert found.rotated == 1
    assert set(found.modes) <= {"RGB", "RGBA", "P"}
    assert set(found.sizes) == {(10, 12), (12, 10), (20, 40)}
    (line, rotation) = describe_sizes(found)
    assert line.startswith("3 sizes from ")
    assert rotation == "1 are rotated by their EXIF data"
    whole = measure(config, progress=no_progress)
    unreadable = "\n".join(whole.sizes.unreadable)
    split = opened_sources(config.data, 0).train
    expected = [
        file for file in ("cat/torn.png", "cat/text.png") if file in [split.dataset.files[i] for i in split.indices]
    ]
    assert expected
    assert all(file in unreadable for file in expected)
    assert len(whole.sizes.unreadable) == len(expected)
    assert whole.measured == len(split) - len(expected)


def test_samples_that_cant_be_read_are_named_and_the_others_shown(tmp_path: Path) -> None:
    root = folder_with_all_kinds(tmp_path)
    config = run_config(dataset=str(root), validation=0.1, train_transforms=[component("Resize", size=[8, 8])])
    found = look_at_samples(config, epoch=0, count=100)
    split = opened_sources(config.data, 0).train
    assert len(found.samples) + len(found.unreadable) == len(split)
    assert found.unreadable
    assert all("can't be decoded" in line for line in found.unreadable)


def test_where_no_sample_can_be_read_the_first_says_why(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.png").write_text("nothing")
    config = run_config(dataset=str(tmp_path), validation=0.3)
    found = look_at_samples(config, epoch=0, count=4)
    assert found.samples == []
    assert "can't be decoded" in found.error
    statistics = look(config, is_fresh=False, progress=no_progress).pixels
    assert statistics.mean == ()
    assert "can be read" in statistics.trouble


def test_what_is_wrong_with_a_step_is_said_of_that_step() -> None:
    config = run_config(
        dataset="digits",
        validation=0.2,
        train_transforms=[component("RandomHorizontalFlip"), component("RandomCrop", sise=8)],
    )
    found = look_at_samples(config, epoch=0, count=4)
    assert [bool(step.error) for step in found.train_steps] == [False, True]
    assert "did you mean 'size'" in found.error
    assert found.samples == []


def test_a_pipeline_that_does_not_fit_the_images_says_so() -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=[component("RandomCrop", size=100)])
    assert "larger than the 8×8 image" in look_at_samples(config, epoch=0, count=4).error


def test_samples_of_one_class_and_other_pages() -> None:
    config = run_config(dataset="digits", validation=0.2)
    sevens = look_at_samples(config, epoch=0, count=6, class_index=7).samples
    assert {sample.target for sample in sevens} == {"7"}
    assert len({sample.index for sample in sevens}) == 6
    others = look_at_samples(config, epoch=0, count=6, page=1, class_index=7).samples
    assert not {sample.index for sample in sevens} & {sample.index for sample in others}


def test_other_draws_change_the_augmented_image_only() -> None:
    config = run_config(
        dataset="digits", validation=0.2, train_transforms=[component("RandomCrop", size=8, padding=4)]
    )
    first, second = (look_at_samples(config, epoch=epoch, count=6).samples for epoch in (0, 1))
    assert all(np.array_equal(one.raw, other.raw) for one, other in zip(first, second, strict=True))
    assert not all(np.array_equal(one.shown, other.shown) for one, other in zip(first, second, strict=True))


def test_an_opened_data_set_is_kept_until_its_folder_changes(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 4)
    write_images(tmp_path / "b", 4)
    config = run_config(dataset=str(tmp_path), validation=0.3)
    first = opened_sources(config.data, 0)
    assert opened_sources(config.data, 0) is first
    assert opened_sources(config.data.model_copy(update={"train_transforms": []}), 0) is first
    assert opened_sources(config.data, 1) is not first
    write_images(tmp_path / "c", 4)
    assert len(opened_sources(config.data, 0).classes) == 3
    assert opened_sources(config.data, 0, is_fresh=True) is not opened_sources(config.data, 0, is_fresh=True)


def test_data_that_cant_be_opened_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no folders"):
        look(run_config(dataset=str(tmp_path)), is_fresh=False, progress=no_progress)


SIGNALS = """
import numpy as np

class Signals:
    classes = ["low", "high"]
    targets = [0, 1] * 10
    def __len__(self):
        return 20
    def __getitem__(self, index):
        return np.sin(np.arange(32, dtype=np.float32) * (1 + index % 2)), index % 2

def make():
    return {"train": Signals(), "test": Signals()}
"""


def test_samples_that_are_no_images_are_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "signals.py"
    file.write_text(SIGNALS)
    config = run_config(dataset=f"{file}:make")
    found = look(config, is_fresh=False, progress=no_progress)
    assert found.pixels.mean == ()
    assert found.class_counts == [10, 10]
    samples = look_at_samples(config, epoch=0, count=4)
    assert samples.samples == []
    assert [text.target for text in samples.texts] == ["low", "high", "low", "high"]
    assert "32 float32" in samples.texts[0].raw[0]


VOLUMES = """
import torch

class Volumes:
    classes = ["front", "back"]
    def __len__(self):
        return 8
    def __getitem__(self, index):
        volume = torch.full((1, 8, 12, 12), -1000.0)
        volume[:, 4, :, 6:] = 3000.0
        return volume, index % 2

def make():
    return {"train": Volumes(), "test": Volumes()}
"""


def test_of_a_volume_the_slice_in_the_middle_is_shown_from_its_darkest_to_its_brightest(tmp_path: Path) -> None:
    file = tmp_path / "volumes.py"
    file.write_text(VOLUMES)
    (first, _) = look_at_samples(run_config(dataset=f"{file}:make"), epoch=0, count=2).texts
    assert first.raw_slice is not None
    assert first.raw_slice[..., 0].tolist() == [[0] * 6 + [255] * 6] * 12
    assert np.array_equal(first.raw_slice, first.shown_slice)


@pytest.mark.parametrize(
    "value", [torch.zeros(4, 0, 3, 3), torch.zeros(32), "words", torch.zeros(2, 3, 4, dtype=torch.complex64)]
)
def test_what_is_no_volume_has_no_slice(value: object) -> None:
    assert middle_slice(value) is None


@pytest.mark.parametrize("value", [torch.full((1, 3, 2, 2), 7.0), torch.full((3, 2, 2), torch.nan)])
def test_a_volume_of_one_value_or_of_none_that_is_finite_is_black(value: torch.Tensor) -> None:
    pixels = middle_slice(value)
    assert pixels is not None
    assert not pixels.any()
