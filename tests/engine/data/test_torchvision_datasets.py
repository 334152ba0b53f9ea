"""torchvision's data sets: the table against the installed torchvision, and opening them from real files."""

import importlib.util
import inspect
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component, no_progress, open_and_build, run_config, write_images
from torchvision import datasets

from torchdeck.engine.data.datasets.catalog import find_dataset, list_datasets
from torchdeck.engine.data.datasets.images.folder import FolderDataset
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.datasets.torchvision.changes import catalog_changes
from torchdeck.engine.data.datasets.torchvision.opening import accepted_arguments, open_torchvision
from torchdeck.engine.data.datasets.torchvision.row import TorchvisionRow
from torchdeck.engine.data.datasets.torchvision.table import ROWS, find_row
from torchdeck.engine.data.loading.bad_files import find_bad_files, open_usable
from torchdeck.engine.data.loading.encoded import EncodedLoader
from torchdeck.engine.data.transforms.pipeline import to_tensor
from torchdeck.engine.errors import ConfigError, DataError
from torchdeck.engine.machine.installation import install_command

# What torchvision has besides classification of single images: boxes, masks, captions, video, pairs, optical flow.
_OTHER_TASKS = {
    "CREStereo", "CarlaStereo", "Cityscapes", "CocoCaptions", "CocoDetection", "DatasetFolder", "ETH3DStereo",
    "FallingThingsStereo", "Flickr30k", "Flickr8k", "FlyingChairs", "FlyingThings3D", "HD1K", "HMDB51", "InStereo2k",
    "Kinetics", "Kitti", "Kitti2012Stereo", "Kitti2015Stereo", "KittiFlow", "LFWPairs", "Middlebury2014Stereo",
    "MovingMNIST", "PhotoTour", "SBDataset", "SBU", "SceneFlowStereo", "Sintel", "SintelStereo", "UCF101",
    "VOCDetection", "VOCSegmentation", "VisionDataset", "WIDERFace",
}  # fmt: skip


def source_of(name: str) -> str:
    """The constructor's source with that of its base classes in torchvision."""
    classes = getattr(datasets, name).__mro__
    return "\n".join(inspect.getsource(cls) for cls in classes if cls.__module__.startswith("torchvision.datasets"))


def test_every_classification_data_set_of_torchvision_is_in_the_catalog() -> None:
    known = {name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))}
    listed = {entry.name for entry in list_datasets() if entry.source in ("torchvision", "folder")}
    assert known - _OTHER_TASKS - {"LSUNClass"} == listed
    assert len(listed) == 37


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_fits_the_installed_torchvision(row: TorchvisionRow) -> None:
    taken = accepted_arguments(getattr(datasets, row.name))
    module = inspect.getsource(inspect.getmodule(getattr(datasets, row.name)))  # type: ignore[arg-type]
    for settings in row.parts.values():
        for name, value in settings.items():
            assert name in taken
            assert not isinstance(value, str) or f'"{value}"' in module
    assert "train" in row.parts
    attribute = row.labels.partition(":")[0]
    assert not attribute or re.search(rf"self\.{attribute}\b", source_of(row.name))
    if images := row.images.partition(":")[0]:
        source = source_of(row.name)
        assert re.search(rf"self\.{images}\b", source)
        # Nothing else is done to a file than opening it and making it RGB.
        assert re.search(r"self\._?loader\(|\.convert\(\"RGB\"\)|img_align_celeba", source)
        assert row.labels and not row.layout
    assert not row.layout or re.search(r"self\.data\b", source_of(row.name))
    downloads = "download" in taken and row.name not in ("StanfordCars", "LFWPeople")
    assert (row.obtain == "download") == downloads


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_data_that_are_not_there_say_what_to_do(row: TorchvisionRow, tmp_path: Path) -> None:
    if row.obtain == "embedded" or row.name in ("FashionMNIST",):
        pytest.skip("is there without being fetched")
    with pytest.raises(ConfigError) as error:
        open_sources(run_config(dataset=row.name, root=str(tmp_path)).data, 0)
    message = str(error.value)
    assert row.name in message
    missing = [package for package in row.needs if importlib.util.find_spec(package) is None]
    if missing:
        assert message.endswith(install_command(*missing))
        return
    assert str(tmp_path) in message
    assert "data.download = true" in message or f"put {row.files}" in message


def rendered_sst2(root: Path) -> None:
    for part, count in (("train", 6), ("valid", 3), ("test", 4)):
        for seed, label in enumerate(("negative", "positive")):
            write_images(root / "rendered-sst2" / part / label, count + seed, seed=seed)


def test_parts_labels_and_classes_are_read_without_decoding(tmp_path: Path) -> None:
    rendered_sst2(tmp_path)
    for file in (tmp_path / "rendered-sst2/test").rglob("*.png"):
        file.write_bytes(b"no image")
    sources = open_sources(run_config(dataset="RenderedSST2", root=str(tmp_path)).data, 0)
    assert [len(split) for split in (sources.train, sources.validation)] == [13, 7]
    assert sources.test is not None and len(sources.test) == 9
    assert sources.test.targets is not None and sources.test.targets.tolist() == [0] * 4 + [1] * 5
    assert sources.classes == ["negative", "positive"]
    assert sources.notes == []


def test_batches_of_files_are_those_of_torchvision(tmp_path: Path) -> None:
    rendered_sst2(tmp_path)
    config = run_config(dataset="RenderedSST2", root=str(tmp_path), loader={"shuffle": False})
    _, data = open_and_build(config)
    assert data.storage.endswith("in memory")
    inputs, targets = next(iter(data.train.batches(0)))
    dataset = datasets.RenderedSST2(str(tmp_path))
    assert targets.tolist() == [label for _, label in dataset]  # type: ignore[attr-defined]
    first = np.asarray(dataset[0][0])
    assert np.array_equal((inputs[0] * 255).round().byte().permute(1, 2, 0).numpy(), first)


def food_101(root: Path) -> None:
    for name in ("apple pie", "soup"):
        write_images(root / "food-101/images" / name, 8, size=(24, 20), suffix="jpg")
    names = {name: [f"{name}/{number}" for number in range(8)] for name in ("apple pie", "soup")}
    for part, chosen in (("train", slice(0, 6)), ("test", slice(6, 8))):
        meta = root / "food-101/meta"
        meta.mkdir(exist_ok=True)
        (meta / f"{part}.json").write_text(json.dumps({name: files[chosen] for name, files in names.items()}))


def oxford_pets(root: Path) -> None:
    write_images(root / "oxford-iiit-pet/images", 8, size=(24, 20), suffix="jpg")
    notes = root / "oxford-iiit-pet/annotations"
    (notes / "trimaps").mkdir(parents=True)
    lines = [f"{number} {number % 2 + 1} 1 1" for number in range(8)]
    (notes / "trainval.txt").write_text("\n".join(lines[:6]))
    (notes / "test.txt").write_text("\n".join(lines[6:]))


def eurosat(root: Path) -> None:
    for label in ("Forest", "River"):
        write_images(root / "eurosat/2750" / label, 4)


FILE_SETS = {
    "RenderedSST2": rendered_sst2,
    "Food101": food_101,
    "OxfordIIITPet": oxford_pets,
    "EuroSAT": eurosat,
}


@pytest.mark.parametrize("name", FILE_SETS)
def test_files_are_read_as_torchvision_reads_them_and_damaged_ones_are_found(name: str, tmp_path: Path) -> None:
    FILE_SETS[name](tmp_path)
    config = run_config(dataset=name, root=str(tmp_path), validation=0.25, cache=str(tmp_path / "cache"))
    sources = open_sources(config.data, 0)
    row = find_row(name)
    assert row is not None
    dataset = getattr(datasets, name)(str(tmp_path), **row.parts["train"])
    opened = sources.train.dataset
    assert isinstance(opened, FolderDataset) and len(opened) == len(dataset)
    for index in range(len(dataset)):
        image, label = dataset[index]
        assert torch.equal(to_tensor(opened[index][0]), to_tensor(image)) and opened[index][1] == label
    assert find_bad_files([sources.train], tmp_path / "cache", no_progress) == []
    damaged = tmp_path / opened.files[1]
    damaged.write_bytes(damaged.read_bytes()[:80])
    (bad,) = find_bad_files([sources.train], tmp_path / "other", no_progress)
    assert bad.path == str(damaged)
    skipping = config.model_copy(update={"data": config.data.model_copy(update={"bad_files": "skip"})})
    kept, left_out = open_usable(skipping, no_progress)
    assert len(kept.train) + len(kept.validation) == len(dataset) - 1 and left_out == [bad]


def test_files_of_a_published_set_are_decoded_in_every_epoch_by_threads(tmp_path: Path) -> None:
    food_101(tmp_path)
    crop = [component("RandomResizedCrop", size=16)]
    tiers = {}
    for storage in ("encoded", "auto"):
        config = run_config(dataset="Food101", root=str(tmp_path), storage=storage, train_transforms=crop)
        config = config.model_copy(update={"data": config.data.model_copy(update={"eval_transforms": []})})
        _, data = open_and_build(config)
        tiers[storage] = data.train
        inputs, _ = next(iter(data.train.batches(0)))
        assert inputs.shape[1:] == (3, 16, 16)
    assert isinstance(tiers["encoded"], EncodedLoader)


def test_a_torchvision_that_lists_its_files_no_more_is_read_file_by_file(tmp_path: Path) -> None:
    food_101(tmp_path)
    row = find_row("Food101")
    assert row is not None
    parts = open_torchvision(replace(row, images="_gone"), tmp_path, False, {})
    assert not isinstance(parts.train, FolderDataset) and len(parts.train) == 12
    assert parts.notes[0].startswith("the installed torchvision has no list of Food101's image files")


def test_a_damaged_file_of_a_published_set_is_named_as_data(tmp_path: Path) -> None:
    rendered_sst2(tmp_path)
    (tmp_path / "rendered-sst2/train/positive/2.png").write_bytes(b"no image")
    config = run_config(dataset="RenderedSST2", root=str(tmp_path), loader={"shuffle": False})
    with pytest.raises(DataError, match=r"rendered-sst2/train/positive/2.png: can't be decoded"):
        open_and_build(config)


def test_a_set_without_a_test_split_takes_a_stratified_share(tmp_path: Path) -> None:
    for label in ("Forest", "River"):
        write_images(tmp_path / "eurosat/2750" / label, 10)
    data = run_config(dataset="EuroSAT", root=str(tmp_path), validation=0.2).data
    sources = open_sources(data, 0)
    assert (len(sources.train), len(sources.validation), sources.test) == (16, 4, None)
    assert sources.classes == ["Forest", "River"]
    with pytest.raises(ConfigError, match="EuroSAT has no test split; hold out a fraction"):
        open_sources(data.model_copy(update={"validation": "test"}), 0)


def test_folders_of_tools_within_a_published_set_are_left_out(tmp_path: Path) -> None:
    for folder in (".ipynb_checkpoints", "Forest", "Forest/@eaDir", "River"):
        write_images(tmp_path / "eurosat/2750" / folder, 5)
    sources = open_sources(run_config(dataset="EuroSAT", root=str(tmp_path), validation=0.2).data, 0)
    assert sources.classes == ["Forest", "River"] and len(sources.train) + len(sources.validation) == 10
    assert sources.train.targets is not None and sources.train.targets.tolist() == [0] * 4 + [1] * 4
    assert sources.notes == [f"left out of {tmp_path}: 10 images in hidden folders and folders of tools"]


def test_arguments_of_the_constructor_are_taken_and_checked() -> None:
    size = {"size": 12, "image_size": [3, 8, 9], "num_classes": 4}
    sources = open_sources(run_config(dataset="FakeData", arguments=size).data, 0)
    assert len(sources.train) == 12
    assert np.asarray(sources.train.dataset[0][0]).shape == (8, 9, 3)
    with pytest.raises(ConfigError, match=r"data.arguments.sise: unknown argument of FakeData; did you mean 'size'\?"):
        open_sources(run_config(dataset="FakeData", arguments={"sise": 3}).data, 0)
    with pytest.raises(ConfigError, match=r"data.arguments.split: selects the split of DTD"):
        open_sources(run_config(dataset="DTD", arguments={"split": "test"}).data, 0)
    with pytest.raises(ConfigError, match=r"Imagenette: data.arguments: .*'100px'"):
        open_sources(run_config(dataset="Imagenette", arguments={"size": "100px"}).data, 0)


@pytest.mark.parametrize("name", ["ImageNet", "StanfordCars", "LFWPeople", "FER2013", "LSUN"])
def test_what_can_not_be_downloaded_says_which_files_to_put_where(name: str, tmp_path: Path) -> None:
    row = find_row(name)
    assert row is not None
    with pytest.raises(ConfigError) as error:
        open_sources(run_config(dataset=name, root=str(tmp_path), download=True).data, 0)
    assert str(error.value) == (f"data.download = true: {name} can't be downloaded; put {row.files} into {tmp_path}")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    row = find_row("SVHN")
    assert row is not None
    with pytest.raises(ConfigError, match=re.escape(f"SVHN needs scipy: {install_command('scipy')}")):
        open_torchvision(row, tmp_path, False, {})


def test_a_failed_download_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.eurosat.download_and_extract_archive", refused)
    config = run_config(dataset="EuroSAT", root=str(tmp_path / "new"), download=True)
    with pytest.raises(
        DataError, match=r"EuroSAT: can't be downloaded to .*no network; .*torchvision.datasets.EuroSAT"
    ):
        open_sources(config.data, 0)


def test_packages_and_notes_are_in_the_catalog() -> None:
    entry = find_dataset("PCAM")
    assert entry is not None
    assert entry.note == "needs the packages h5py, gdown"


def test_what_a_release_of_torchvision_changed_is_told_in_plain_words() -> None:
    assert catalog_changes() == []
    row = find_row("SVHN")
    assert row is not None
    others = [other for other in ROWS if other.name not in ("SVHN", "DTD")]
    changed = [
        replace(row, name="SVHM"),
        replace(row, labels="marks", images="files", parts={"train": {"split": "training"}, "test": {"fold": 1}}),
    ]
    assert catalog_changes([*others, *changed]) == [
        "SVHM was removed",
        "SVHN no longer has split 'training', its train split",
        "SVHN no longer accepts the argument 'fold', which selected its test split",
        "SVHN no longer has the attribute 'marks': its labels can't be read alone",
        "SVHN no longer has the attribute 'files': its files can't be checked",
        "DTD is new: use it as path/to/file.py:factory until the catalog has it",
    ]
