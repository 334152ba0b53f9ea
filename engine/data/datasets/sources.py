"""From `[data]` of a config to the splits of a data set, opened but not decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config import DataConfig
from ...errors import ConfigError, DataError, did_you_mean
from ...progress import Progress, unreported
from ...user_code import is_user_spec
from ...user_path import user_path
from .array_files import holds_arrays, open_arrays
from .catalog import find_dataset, list_datasets
from .digits import read_digits
from .fingerprint import fingerprint_splits
from .images.folder import FolderDataset, find_classes, first_colored, open_folder
from .images.folder_listing import LeftOut, class_folders
from .samples import is_image, is_own, layout_note, read_sample
from .splits import DatasetParts, SampleDataset, Split, class_names, random_split, stratified_split
from .targets import Targets, kind_of, num_outputs, read_targets, untaught_classes
from .torchvision.table import find_row

# These are read without torchvision's decoding, or found in more places than torchvision looks.
_READ_HERE = frozenset({"MNIST", "FashionMNIST", "CIFAR10", "CIFAR100"})

_TRAIN_FOLDERS = ("train", "training")
_VALIDATION_FOLDERS = ("val", "valid", "validation")
_TEST_FOLDERS = ("test", "testing")


@dataclass(frozen=True)
class DataSources:
    """A data set ready to be read.

    Attributes:
        train: training split.
        validation: split for evaluations during training.
        test: split for the final evaluation; the validation split if `data.validation` is "test" and the data set
            has no validation split of its own; None where there is no test split.
        classes: names by class index; where targets are numbers, the names of those.
        notes: remarks for the user about how the data were found.
    """

    train: Split
    validation: Split
    test: Split | None
    classes: list[str]
    notes: list[str]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of samples, labels and split. Reads every pixel of an array data set, once."""
        return fingerprint_splits([self.train, self.validation], self.classes)


def open_sources(config: DataConfig, seed: int, progress: Progress = unreported) -> DataSources:
    """Find and open a data set, and split it.

    Args:
        config: the `[data]` section.
        seed: decides which samples a validation share takes.
        progress: called while a folder is listed or files are downloaded: with a message, files or kilobytes done,
            and in all (0 where that is not known).

    Raises:
        ConfigError: an unknown name, a data set that isn't there, a split that it doesn't have.
        DataError: files that can't be used.
        UserCodeError: the user's own factory failed.
    """
    opened = open_parts(config, progress)
    train = _whole(opened.train, "train", opened, progress)
    classes = _classes(train.targets, opened.classes, config.dataset)
    _check_targets(train.targets, classes, config.dataset)
    opened.notes.extend(untaught_classes(train.targets, opened.classes, classes))
    if kind_of(train.targets) == "classes" and train.targets is not None and not np.ptp(train.targets):
        only = classes[int(train.targets[0])]
        opened.notes.append(f"all training samples are of one class, {only}: there is nothing to learn")
    validation, test = (
        None if part is None else _like(train, _whole(part, name, opened, progress), classes, config.dataset)
        for part, name in ((opened.validation, "validation"), (opened.test, "test"))
    )
    if config.validation == "test":
        measured = validation if validation is not None else test
        if measured is None:
            raise ConfigError(
                f'data.validation = "test": {config.dataset} has no test split; '
                "hold out a fraction of the training split instead, such as data.validation = 0.2"
            )
        return DataSources(train, measured, test, classes, opened.notes)
    kept, held_out = _split(train, float(config.validation), seed)
    if not len(held_out):
        raise ConfigError(
            f"data.validation = {config.validation:g}: no class of {config.dataset} has two samples, so none can be "
            "held out for validation"
        )
    return DataSources(_part(train, kept, "train"), _part(train, held_out, "validation"), test, classes, opened.notes)


def _split(train: Split, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if kind_of(train.targets) == "classes":
        assert train.targets is not None
        return stratified_split(train.targets.astype(np.int64), share, seed)
    return random_split(len(train), share, seed)


def _part(whole: Split, indices: NDArray[np.int64], name: str) -> Split:
    targets = None if whole.targets is None else whole.targets[indices]
    return replace(whole, indices=indices, targets=targets, name=name)


def open_parts(config: DataConfig, progress: Progress = unreported) -> DatasetParts:
    """The parts of a data set before anything is held out; fetched first where `data.download` asks for it.

    Raises:
        ConfigError, DataError, UserCodeError: as `open_sources`.
    """
    if not config.download:
        return _open(config, progress)
    from .torchvision.transfers import transfers

    with transfers(progress):
        return _open(config, progress)


def _open(config: DataConfig, progress: Progress) -> DatasetParts:
    entry = find_dataset(config.dataset)
    if entry is None and is_user_spec(config.dataset):
        from .user_dataset import open_user_dataset

        return open_user_dataset(config)
    row = None if entry is None else find_row(entry.name)
    if row is not None and row.name not in _READ_HERE:
        from .torchvision.opening import open_torchvision

        return open_torchvision(row, user_path(config.root), config.download, config.arguments)
    if config.arguments:
        argument = next(iter(config.arguments))
        raise ConfigError(f"data.arguments.{argument}: {config.dataset} takes no arguments")
    if entry is None:
        folder = user_path(config.dataset)
        if holds_arrays(folder):
            return open_arrays(folder)
        if folder.is_dir():
            return _open_image_folder(folder, config.exif, progress)
        names = [known.name for known in list_datasets()]
        raise ConfigError(
            f"data.dataset = '{config.dataset}': unknown data set, and no such folder"
            f"{did_you_mean(config.dataset, names)} (a folder of images or arrays, an .npz file and "
            "path/to/file.py:factory are allowed, too)"
        )
    root = user_path(config.root)
    if entry.source == "embedded":
        return DatasetParts(read_digits(), None, None, [str(digit) for digit in range(10)])
    if entry.source == "folder":
        if not root.is_dir():
            raise ConfigError(
                f"data.root = '{config.root}': no such folder; put your images there as "
                "train/<class>/*.jpg and val/<class>/*.jpg, or as <class>/*.jpg with a fraction as data.validation"
            )
        return _open_image_folder(root, config.exif, progress)
    from .published import open_published

    train, test, classes, notes = open_published(entry.name, root, config.download)
    return DatasetParts(train, None, test, classes, notes)


def _open_image_folder(root: Path, turns: bool, progress: Progress) -> DatasetParts:
    notes: list[str] = []
    train = _first_folder(root, _TRAIN_FOLDERS)
    if train is None:
        classes = find_classes(root)
        return DatasetParts(open_folder(root, classes, None, turns, progress, notes), None, None, classes, notes)
    classes = find_classes(train)
    dataset = open_folder(train, classes, None, turns, progress, notes)
    validation, test = _first_folder(root, _VALIDATION_FOLDERS), _first_folder(root, _TEST_FOLDERS)
    unused = sorted(
        set(class_folders(root, LeftOut())) - {folder.name for folder in (train, validation, test) if folder}
    )
    if unused:
        notes.append(f"left out of {root}: folders that are not splits: {', '.join(unused)}")

    def other(folder: Path | None) -> FolderDataset | None:
        if folder is None:
            return None
        opened = open_folder(folder, classes, dataset.mode, turns, progress, notes)
        if dataset.mode == "L" and (colored := first_colored(folder, opened.files, progress)):
            notes.append(
                f"every training image is gray, so the images of {folder} are read as gray too, though some have "
                f"color, such as {colored}"
            )
        return opened

    return DatasetParts(dataset, other(validation), other(test), classes, notes)


def _first_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _whole(dataset: SampleDataset, name: str, opened: DatasetParts, progress: Progress) -> Split:
    """All of an opened part, with its targets."""

    def note(text: str) -> None:
        if text not in opened.notes:
            opened.notes.append(text)

    found = read_targets(dataset, note, is_own=is_own(dataset), progress=progress)
    split = Split(dataset, None, found.targets, name, collate=opened.collate, targets_are_listed=found.are_listed)
    if is_own(dataset):
        return split
    first = read_sample(split, 0)[0]
    if not is_image(first):
        return replace(split, is_image=False)
    if layout := layout_note(first):
        note(layout)
    return split


def _like(train: Split, other: Split, classes: list[str], where: str) -> Split:
    """Another part of the data set. Raises DataError when its targets are not like those of the training part."""
    _check_targets(other.targets, classes, where)
    kinds = kind_of(train.targets), kind_of(other.targets)
    shapes = [None if part.targets is None else part.targets.shape[1:] for part in (train, other)]
    if kinds[0] != kinds[1] or shapes[0] != shapes[1]:
        raise DataError(f"{where}: the {other.name} targets differ in kind from the training targets")
    return other


def _classes(targets: Targets | None, names: list[str] | None, where: str) -> list[str]:
    """Names of the model's outputs: of the classes, or of the numbers."""
    if targets is None:
        if names is None:
            raise DataError(
                f"{where}: its targets are not numbers, so the number of model outputs is unknown; give the data "
                "set an attribute `classes`, a list with one name per output"
            )
        return class_names(np.zeros(0, dtype=np.int64), names)
    if kind_of(targets) == "classes":
        return class_names(targets.astype(np.int64), names)
    count = num_outputs(targets, [])
    if names is not None and len(names) == count:
        return [str(name) for name in names]
    return ["value"] if targets.ndim == 1 else [f"value {number}" for number in range(count)]


def _check_targets(targets: Targets | None, classes: list[str], where: str) -> None:
    if targets is None:
        return
    if kind_of(targets) == "values":
        unknown = np.flatnonzero(~np.isfinite(targets.reshape(len(targets), -1)).all(axis=1))
        if len(unknown):
            raise DataError(f"{where}: the target of sample {unknown[0]} is {targets[unknown[0]]}; must be finite")
        return
    wrong = np.flatnonzero((targets < 0) | (targets >= len(classes)))
    if len(wrong):
        raise DataError(
            f"{where}: sample {wrong[0]} has class index {targets[wrong[0]]}, but there are {len(classes)} classes "
            f"(0 to {len(classes) - 1})"
        )
