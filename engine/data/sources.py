"""From `[data]` of a config to the splits of a data set, opened but not decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.config import DataConfig
from engine.data.array_files import holds_arrays, open_arrays
from engine.data.catalog import find_dataset, list_datasets
from engine.data.digits import read_digits
from engine.data.fingerprint import fingerprint_splits
from engine.data.folder import find_classes, open_folder
from engine.data.splits import DatasetParts, SampleDataset, Split, class_names, stratified_split
from engine.data.torchvision_table import find_row
from engine.errors import ConfigError, DataError, did_you_mean
from engine.user_code import is_user_spec

# These are read without torchvision's decoding, or found in more places than torchvision looks.
_READ_HERE = frozenset({"MNIST", "FashionMNIST", "CIFAR10", "CIFAR100"})

_TRAIN_FOLDERS = ("train", "training")
_VALIDATION_FOLDERS = ("val", "valid", "validation")
_TEST_FOLDERS = ("test", "testing")


@dataclass(frozen=True)
class DataSources:
    """A data set ready to be read.

    Attributes:
        train: what the model learns from.
        validation: what it is measured on during training.
        test: what is kept for the end; the validation split itself where `data.validation` is "test" and the data set
            has no validation split of its own; None where there is no test split.
        classes: names by class index.
        notes: what the user should know about how the data were found.
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


def open_sources(config: DataConfig, seed: int) -> DataSources:
    """Find and open a data set, and split it.

    Args:
        config: the `[data]` section.
        seed: decides which samples a validation share takes.

    Raises:
        ConfigError: an unknown name, a data set that isn't there, a split that it doesn't have.
        DataError: files that can't be used.
        UserCodeError: the user's own factory failed.
    """
    opened = _open(config)
    train_targets = _targets_of(opened.train, opened.notes)
    classes = class_names(train_targets, opened.classes)
    _check_targets(train_targets, classes, config.dataset)
    test = None if opened.test is None else _whole(opened.test, "test", opened.notes, classes, config.dataset)
    if config.validation == "test":
        if opened.validation is not None:
            validation = _whole(opened.validation, "validation", opened.notes, classes, config.dataset)
        elif test is not None:
            validation = test
        else:
            raise ConfigError(
                f'data.validation = "test": {config.dataset} has no test split; '
                "hold out a share of the training split instead, such as data.validation = 0.2"
            )
        return DataSources(Split(opened.train, None, train_targets, "train"), validation, test, classes, opened.notes)
    share = float(config.validation)
    train_indices, validation_indices = stratified_split(train_targets, share, seed)
    if not len(validation_indices):
        raise ConfigError(
            f"data.validation = {share:g}: no class of {config.dataset} has two samples, so none can be held out"
        )
    return DataSources(
        Split(opened.train, train_indices, train_targets[train_indices], "train"),
        Split(opened.train, validation_indices, train_targets[validation_indices], "validation"),
        test,
        classes,
        opened.notes,
    )


def _open(config: DataConfig) -> DatasetParts:
    entry = find_dataset(config.dataset)
    if entry is None and is_user_spec(config.dataset):
        from engine.data.user_dataset import open_user_dataset

        return open_user_dataset(config)
    row = None if entry is None else find_row(entry.name)
    if row is not None and row.name not in _READ_HERE:
        from engine.data.torchvision_datasets import open_torchvision

        return open_torchvision(row, Path(config.root).expanduser(), config.download, config.arguments)
    if config.arguments:
        argument = next(iter(config.arguments))
        raise ConfigError(f"data.arguments.{argument}: {config.dataset} takes no arguments")
    if entry is None:
        folder = Path(config.dataset).expanduser()
        if holds_arrays(folder):
            return open_arrays(folder)
        if folder.is_dir():
            return _open_image_folder(folder, config.exif)
        names = [known.name for known in list_datasets()]
        raise ConfigError(
            f"data.dataset = '{config.dataset}': no data set of this name, no such folder"
            f"{did_you_mean(config.dataset, names)} (a folder of images or arrays, an .npz file and "
            "path/to/file.py:factory are taken too)"
        )
    root = Path(config.root).expanduser()
    if entry.source == "embedded":
        return DatasetParts(read_digits(), None, None, [str(digit) for digit in range(10)])
    if entry.source == "folder":
        if not root.is_dir():
            raise ConfigError(
                f"data.root = '{config.root}': no such folder; put your images there as "
                "train/<class>/*.jpg and val/<class>/*.jpg, or as <class>/*.jpg with a share as data.validation"
            )
        return _open_image_folder(root, config.exif)
    from engine.data.published import open_published

    train, test, classes, notes = open_published(entry.name, root, config.download)
    return DatasetParts(train, None, test, classes, notes)


def _open_image_folder(root: Path, turns: bool) -> DatasetParts:
    train = _first_folder(root, _TRAIN_FOLDERS)
    if train is None:
        classes = find_classes(root)
        return DatasetParts(open_folder(root, classes, turns=turns), None, None, classes)
    classes = find_classes(train)
    dataset = open_folder(train, classes, turns=turns)
    validation = _first_folder(root, _VALIDATION_FOLDERS)
    test = _first_folder(root, _TEST_FOLDERS)
    return DatasetParts(
        dataset,
        None if validation is None else open_folder(validation, classes, dataset.mode, turns),
        None if test is None else open_folder(test, classes, dataset.mode, turns),
        classes,
    )


def _first_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _whole(dataset: SampleDataset, name: str, notes: list[str], classes: list[str], where: str) -> Split:
    targets = _targets_of(dataset, notes)
    _check_targets(targets, classes, where)
    return Split(dataset, None, targets, name)


def _targets_of(dataset: SampleDataset, notes: list[str]) -> NDArray[np.int64]:
    """The class index of every sample: the data set's own list of them, else by reading every sample."""
    if not len(dataset):
        raise DataError("the data set has no samples")
    targets = getattr(dataset, "targets", None)
    if targets is not None and len(targets) == len(dataset):
        return np.asarray(targets, dtype=np.int64)
    note = "labels were read sample by sample: an attribute `targets` on the data set would make opening it instant"
    if note not in notes:
        notes.append(note)
    labels = []
    for index in range(len(dataset)):
        sample = dataset[index]
        if not isinstance(sample, tuple | list) or len(sample) != 2:
            raise DataError(f"sample {index}: is {type(sample).__name__}; expected a pair (image, class index)")
        labels.append(int(sample[1]))
    return np.asarray(labels, dtype=np.int64)


def _check_targets(targets: NDArray[np.int64], classes: list[str], where: str) -> None:
    wrong = np.flatnonzero((targets < 0) | (targets >= len(classes)))
    if len(wrong):
        raise DataError(
            f"{where}: sample {wrong[0]} has class index {targets[wrong[0]]}, and there are {len(classes)} classes "
            f"(0 to {len(classes) - 1})"
        )
