import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import CPU, component, no_progress, open_and_build, run_config, write_images
from torch import Tensor
from torchvision.transforms.v2 import functional

from torchdeck.engine.config import DataConfig, RunConfig
from torchdeck.engine.data.batched.batch_plan import BatchPlan, plan_batches
from torchdeck.engine.data.batched.boxes import crop_box, crop_boxes, crop_tries
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset, LabeledDataset, Split
from torchdeck.engine.data.exploration.preview import preview
from torchdeck.engine.data.loading import disk_cache
from torchdeck.engine.data.loading.disk_cache import cache_file, mapped_split
from torchdeck.engine.data.loading.encoded import find_head
from torchdeck.engine.data.loading.storage import DecodedSplit, Room, read_image
from torchdeck.engine.data.loading.tiers import choose_tier
from torchdeck.engine.data.random_keys import sample_keys
from torchdeck.engine.errors import ConfigError, DataError

NORMALIZE = component("Normalize", mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4])
FIXED = [
    component("Resize", size=[16, 18]),
    component("RandomCrop", size=14, padding=2),
    component("RandomHorizontalFlip"),
    component("ColorJitter", brightness=0.4, hue=0.1),
    NORMALIZE,
]
RESIZED_CROP = [component("RandomResizedCrop", size=[12, 14]), component("RandomHorizontalFlip"), NORMALIZE]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEG files and a PNG of two classes, in several sizes."""
    root = tmp_path_factory.mktemp("photographs")
    for seed, (kind, size, suffix) in enumerate(
        [("a", (30, 20), "jpg"), ("b", (24, 40), "jpeg"), ("b/more", (50, 31), "jpg"), ("b/png", (17, 19), "png")]
    ):
        write_images(root / kind, 6, size=size, seed=seed, suffix=suffix)
    return root


def config_of(root: Path, tmp_path: Path, transforms: list[Any], **data: Any) -> RunConfig:
    loader = {"batch_size": 5, **data.pop("loader", {})}
    return run_config(
        dataset=str(root),
        validation=0.2,
        cache=str(tmp_path / "cache"),
        train_transforms=transforms,
        eval_transforms=[component("Resize", size=[12, 14]), NORMALIZE],
        loader=loader,
        **data,
    )


def train_batches(config: RunConfig, epoch: int = 1, start: int = 0) -> list[tuple[Tensor, Tensor]]:
    return list(open_and_build(config)[1].train.batches(epoch, start))


def assert_equal_batches(ours: list[tuple[Tensor, Tensor]], theirs: list[tuple[Tensor, Tensor]]) -> None:
    assert len(ours) == len(theirs)
    for (inputs, targets), (expected, labels) in zip(ours, theirs, strict=True):
        assert torch.equal(inputs, expected) and torch.equal(targets, labels)


@pytest.mark.parametrize("sampler", ["shuffled", "sequential", "balanced"])
@pytest.mark.parametrize("transforms", [FIXED, [FIXED[0]]], ids=["random", "plain"])
def test_every_tier_gives_the_same_batches(
    photographs: Path, tmp_path: Path, sampler: str, transforms: list[Any]
) -> None:
    loader = {"sampler": sampler}
    expected = train_batches(config_of(photographs, tmp_path, transforms, storage="memory", loader=loader))
    for tier in ("mmap", "encoded"):
        config = config_of(photographs, tmp_path, transforms, storage=tier, loader=loader)
        assert_equal_batches(train_batches(config), expected)
        assert_equal_batches(train_batches(config, start=2), expected[2:])


def test_files_of_many_sizes_are_cropped_as_torchvision_does_and_then_batched(
    photographs: Path, tmp_path: Path
) -> None:
    config = config_of(photographs, tmp_path, RESIZED_CROP[:1], loader={"sampler": "sequential"})
    sources, data = open_and_build(config)
    assert data.storage.startswith("files, decoded in every epoch by ")
    assert data.reason == "images differ in size before their random crop, so they can't be decoded once"
    batches = list(data.train.batches(3))
    inputs = torch.cat([inputs for inputs, _ in batches])
    keys = sample_keys(0, 3, torch.arange(len(sources.train)))
    for position in range(len(sources.train)):
        image, label = read_image(sources.train, position)
        box = crop_boxes(keys, 0, (image.shape[1], image.shape[2]), (0.08, 1.0), (3 / 4, 4 / 3))
        where = [int(side[position]) for side in (box.top, box.left, box.height, box.width)]
        expected = functional.resized_crop(image, *where, size=[12, 14]).float().div_(255)
        assert torch.equal(inputs[position], expected)
        assert int(torch.cat([targets for _, targets in batches])[position]) == label


def test_a_preview_shows_what_the_files_become(photographs: Path, tmp_path: Path) -> None:
    config = config_of(photographs, tmp_path, RESIZED_CROP[:2], loader={"sampler": "sequential"})
    sources, data = open_and_build(config)
    inputs = torch.cat([inputs for inputs, _ in data.train.batches(2)])
    for sample in preview(sources, config.data, 0, 2, [0, 7, 11], train=True):
        assert np.array_equal(sample.shown, (inputs[sample.index] * 255).round().byte().movedim(0, -1).numpy())


@pytest.mark.parametrize("num_workers", [1, 3])
def test_neither_threads_nor_where_an_epoch_is_entered_change_a_batch(
    photographs: Path, tmp_path: Path, num_workers: int
) -> None:
    whole = train_batches(config_of(photographs, tmp_path, RESIZED_CROP))
    config = config_of(photographs, tmp_path, RESIZED_CROP, loader={"num_workers": num_workers})
    assert_equal_batches(train_batches(config, start=1), whole[1:])
    batches = open_and_build(config)[1].train.batches(1)
    next(batches)
    batches.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(32, 48), (7, 200), (200, 7), (1, 1)])
def test_one_images_box_is_that_of_the_whole_batchs(size: tuple[int, int]) -> None:
    keys = sample_keys(4, 2, torch.arange(300))
    scale, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
    boxes = crop_boxes(keys, 6, size, scale, ratio)
    tries = crop_tries(keys, 6, scale, ratio).tolist()
    ours = [crop_box(tries[n], size, ratio) for n in range(300)]
    theirs = zip(*(side.tolist() for side in (boxes.top, boxes.left, boxes.height, boxes.width)), strict=True)
    assert ours == list(theirs)


def test_a_file_that_does_not_decode_is_named(photographs: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(photographs, tmp_path / "copy"))
    config = config_of(root, tmp_path, RESIZED_CROP)
    train = open_sources(config.data, config.seed).train
    path = root / train.dataset.files[train.dataset_index(5)]  # type: ignore[attr-defined]
    path.write_bytes(path.read_bytes()[:300])
    data = open_and_build(config)[1]
    with pytest.raises(DataError, match=path.name):
        list(data.train.batches(0))


def test_sizes_that_never_become_equal_are_explained(photographs: Path, tmp_path: Path) -> None:
    for transforms in ([], [component("RandomHorizontalFlip"), RESIZED_CROP[0]]):
        config = config_of(photographs, tmp_path, transforms, storage="encoded")
        with pytest.raises(
            ConfigError, match=r'"encoded": images differ in size, and the first transform is not a Resize.*use "auto"'
        ):
            open_and_build(config)
    digits = run_config(dataset="digits", validation=0.2, storage="encoded")
    with pytest.raises(ConfigError, match="are not a folder of image files"):
        open_and_build(digits)


def test_a_head_ends_where_images_are_of_one_size() -> None:
    plan = plan_batches([component("RGB"), *RESIZED_CROP])
    assert isinstance(plan, BatchPlan)
    head = find_head(plan, has_one_size=False)
    assert not isinstance(head, str)
    assert [spec.name for spec in head.baked] == ["RGB"] and head.crop is not None
    assert [type(step).__name__ for step in head.rest.pixel_steps] == ["ChosenStep"]
    assert find_head(plan, has_one_size=True) == head
    flipped_first = plan_batches([RESIZED_CROP[1], RESIZED_CROP[0]])
    assert isinstance(flipped_first, BatchPlan)
    whole = find_head(flipped_first, has_one_size=True)
    assert not isinstance(whole, str) and whole.crop is None and whole.rest == flipped_first


class Images:
    """A data set of the user's kind: images in memory that may change behind its back."""

    def __init__(self) -> None:
        self.images = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.images[index], 0


def split_of(dataset: Any) -> Split:
    return Split(dataset, None, np.zeros(len(dataset), dtype=np.int64), "train")


def test_a_cache_is_made_once_and_shared(photographs: Path, tmp_path: Path) -> None:
    split = open_sources(DataConfig(dataset=str(photographs), validation=0.2), 0).train
    decoded: list[int] = []

    def mapped(these: Split = split, baked: list[Any] = FIXED[:1]) -> Tensor:
        decoded.clear()
        return mapped_split(these, baked, tmp_path, "", lambda message, done, total: decoded.append(done)).images

    first = mapped().clone()
    assert decoded and torch.equal(first, DecodedSplit(split, tuple(FIXED[:1])).decode(no_progress).images)
    assert torch.equal(mapped(), first) and not decoded
    assert len(list(tmp_path.glob("*.npy"))) == 1
    mapped(baked=[component("Resize", size=[4, 4])])
    other = Split(split.dataset, split.indices[:-1], split.targets[:-1], "train")  # type: ignore[index]
    mapped(other)
    assert len(list(tmp_path.glob("*.npy"))) == 3
    path = cache_file(split, FIXED[:1], tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(mapped(), first) and decoded


def test_a_file_that_changed_or_another_orientation_makes_another_cache(photographs: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(photographs, tmp_path / "copy"))
    names = set()
    for step in range(3):
        if step == 1:
            (root / "a" / "0.jpg").touch()
        split = open_sources(DataConfig(dataset=str(root), validation=0.2, exif=step < 2), 0).train
        names.add(cache_file(split, FIXED[:1], tmp_path))
    assert len(names) == 3


def test_a_users_data_that_changed_are_decoded_anew(tmp_path: Path) -> None:
    dataset = Images()
    before = mapped_split(split_of(dataset), [], tmp_path, "", no_progress).images.clone()
    assert torch.equal(mapped_split(split_of(dataset), [], tmp_path, "", no_progress).images, before)
    dataset.images = 255 - dataset.images
    assert torch.equal(mapped_split(split_of(dataset), [], tmp_path, "", no_progress).images, 255 - before)


def test_no_space_is_said_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache, "free_disk", lambda _: 1000)
    with pytest.raises(DataError, match=r"no space for the 0\.00 GB of the decoded train split; set data\.cache"):
        mapped_split(split_of(Images()), [], tmp_path, "", no_progress)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"can't write the decoded train split; set data\.cache"):
        mapped_split(split_of(Images()), [], tmp_path / "file" / "cache", "", no_progress)


def test_a_cache_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    def cancelled(message: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mapped_split(split_of(Images()), [], tmp_path, "", cancelled)
    assert list(tmp_path.iterdir()) == []


IMAGES = np.zeros((100, 10, 10, 3), dtype=np.uint8)
ARRAY = Split(ArrayDataset(IMAGES, np.zeros(100, dtype=np.int64)), None, np.zeros(100, dtype=np.int64), "train")
SIZE = IMAGES.nbytes


@pytest.mark.parametrize(
    ("room", "tier", "words"),
    [
        (Room(0, SIZE, 0), "memory", "100 × 3×10×10 bytes = 30 kB; 30 kB of memory may be used (half of what"),
        (Room(0, SIZE - 1, SIZE), "mmap", "30 kB of the disk of"),
        (Room(0, SIZE - 1, SIZE - 1), "loader", "30 kB decoded, and 30 kB of memory may be used"),
        (Room(0, SIZE // 4, SIZE), "mmap", "8 kB of memory may be used"),
    ],
)
def test_the_choice_and_its_arithmetic_for_an_array(room: Room, tier: str, words: str) -> None:
    chosen = choose_tier(ARRAY, DataConfig(), train=True, device=CPU, room=room)
    assert (chosen.name, words in chosen.reason) == (tier, True), chosen.reason


def test_files_that_memory_could_not_keep_stay_encoded(photographs: Path) -> None:
    config = DataConfig(dataset=str(photographs), validation=0.2, train_transforms=FIXED[:1])
    split = open_sources(config, 0).train
    size = len(split) * 3 * 16 * 18
    for room, tier in (
        (Room(0, size, size), "memory"),
        (Room(0, size - 1, size), "mmap"),
        (Room(0, size // 2 - 1, size), "encoded"),
        (Room(0, size - 1, size - 1), "encoded"),
    ):
        chosen = choose_tier(split, config, train=True, device=CPU, room=room)
        assert chosen.name == tier, chosen.reason
    chosen = choose_tier(split, config, train=True, device=torch.device("cuda", 0), room=Room(size, size, size))
    assert chosen.name == "device" and "of cuda:0 may be used (40 % of what is free)" in chosen.reason


def test_mmap_can_be_asked_for_whatever_the_room(tmp_path: Path) -> None:
    config = DataConfig(storage="mmap", cache=str(tmp_path))
    chosen = choose_tier(ARRAY, config, train=True, device=CPU, room=Room(0, 10**9, 0))
    assert (chosen.name, chosen.words) == ("mmap", f"30 kB mapped from {tmp_path}")
    labeled = split_of(LabeledDataset(ARRAY.dataset, np.zeros(100, dtype=np.int64)))
    assert choose_tier(labeled, config, train=True, device=CPU, room=Room(0, 0)).name == "mmap"
