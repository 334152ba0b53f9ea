"""The user's own arrays as a data set: one `.npz` file, or a folder of `.npy` files.

Arrays are called `images` and `labels`, or `train_images`, `train_labels`, `val_images`, … (MedMNIST's names), or
`x_train`, `y_train`, `x_test`, `y_test` (Keras's). Images are uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], labels
integers [N] or [N, 1], the class indices, or else values to predict: floats [N], or [N, K] of any number. Pickled
objects are not opened: they would run code.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from ...errors import ConfigError, DataError
from .images.files import open_binary
from .samples import is_channels_first
from .splits import ArrayDataset, DatasetParts

_PARTS = {
    "train": (("images", "labels"), ("train_images", "train_labels"), ("x_train", "y_train")),
    "validation": (("val_images", "val_labels"), ("validation_images", "validation_labels"), ("x_val", "y_val")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
}
_CHANNELS = (1, 3, 4)

Load = Callable[[str], NDArray[Any]]


def holds_arrays(path: Path) -> bool:
    """Whether a path is a `.npz` file, or a folder with `.npy` files of the names that are read."""
    if path.suffix in (".npz", ".npy"):
        return path.is_file()
    return any((path / f"{images}.npy").is_file() for images, _ in _PARTS["train"])


def open_arrays(path: Path) -> DatasetParts:
    """Open arrays; those of a folder stay on disk until they are read.

    Raises:
        ConfigError: a lone `.npy` file, which has no labels.
        DataError: arrays that are missing, damaged, or of another shape or type than expected.
    """
    if path.is_dir():
        folder = {file.stem: file for file in path.glob("*.npy") if file.is_file()}
        return _parts(path, folder, lambda name: np.load(folder[name], mmap_mode="r", allow_pickle=False))
    if path.suffix == ".npy":
        raise ConfigError(
            f"data.dataset = '{path}': one .npy file has no labels; name its folder, with the images as images.npy "
            "and the labels as labels.npy"
        )
    try:
        # Opened here: numpy leaves the file open where the archive is damaged.
        with open_binary(path) as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, NpzFile):
                raise ValueError("the file is a single array; expected an archive of arrays")
            with arrays:
                return _parts(path, dict.fromkeys(arrays.files), lambda name: arrays[name])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: can't be opened as .npz: {error}") from error


def _parts(path: Path, names: Mapping[str, Any], load: Load) -> DatasetParts:
    opened: dict[str, ArrayDataset | None] = {}
    for part, spellings in _PARTS.items():
        pair = next(((images, labels) for images, labels in spellings if images in names), None)
        opened[part] = None if pair is None else _open_pair(path, pair, names, load)
    train = opened["train"]
    if train is None:
        raise DataError(
            f"{path}: has {', '.join(sorted(names)) or 'no arrays'}; expected images and labels, or train_images, "
            "train_labels, test_images, test_labels"
        )
    return DatasetParts(train, opened["validation"], opened["test"], None)


def _open_pair(path: Path, pair: tuple[str, str], names: Mapping[str, Any], load: Load) -> ArrayDataset:
    for name in pair:
        if name not in names:
            raise DataError(f"{path}: has {pair[0]} but no {name}")
    arrays = []
    for name in pair:
        try:
            arrays.append(load(name))
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: {name} can't be read: {error}") from error
    images, labels = _images(arrays[0], f"{path}: {pair[0]}"), _labels(arrays[1], f"{path}: {pair[1]}")
    if len(images) != len(labels):
        raise DataError(f"{path}: {pair[0]} has {len(images)} samples and {pair[1]} has {len(labels)}")
    return ArrayDataset(images, labels)


def _images(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise DataError(f"{where} is {array.dtype}; expected uint8 pixels from 0 to 255")
    if array.ndim == 4 and is_channels_first(array.shape[1:]):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 3 and not (array.ndim == 4 and array.shape[3] in _CHANNELS):
        raise DataError(f"{where} is {list(array.shape)}; expected [N, H, W], [N, H, W, C] or [N, C, H, W]")
    return array


def _labels(array: NDArray[Any], where: str) -> NDArray[np.int64] | NDArray[np.float32]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        raise DataError(
            f"{where} is {array.dtype} {list(array.shape)}; expected class indices, integers [N], or values: "
            "floats [N] or numbers [N, K], as for labels"
        )
    # A whole number per sample is a class; several are labels, each there or not.
    if array.ndim == 1 and array.dtype.kind in "biu":
        return array.astype(np.int64)
    return array.astype(np.float32)
