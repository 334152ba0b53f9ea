"""Opens torchvision's data sets by their row of the table: every part, labels without decoding, arrays as arrays."""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from ....errors import ConfigError, DataError, did_you_mean
from ....machine.installation import install_command
from ....plurals import plural
from ..images.folder import FolderDataset
from ..images.folder_listing import is_tool_folder
from ..splits import ArrayDataset, DatasetParts, LabeledDataset, SampleDataset
from ..unpacking import own_unpacking
from .row import TorchvisionRow

_NOT_THE_USERS = frozenset({"self", "root", "download", "transform", "target_transform", "transforms"})
_DEFAULT_ATTRIBUTE = "Smiling"


def open_torchvision(row: TorchvisionRow, root: Path, download: bool, arguments: Mapping[str, Any]) -> DatasetParts:
    """Open every part of a data set below `root`, fetching it first where that was asked for.

    Args:
        row: row of the table.
        root: `data.root`.
        download: whether to fetch what is not there.
        arguments: `data.arguments`, further arguments of its constructor.

    Raises:
        ConfigError: it isn't there (says what to fetch and where to put it), a package is missing, an argument that
            it doesn't take.
        DataError: it can't be fetched.
    """
    arguments = dict(arguments)
    attribute = arguments.pop("attribute", _DEFAULT_ATTRIBUTE) if row.name == "CelebA" else None
    check_arguments(row, arguments)
    if download and row.obtain == "manual":
        raise ConfigError(f"data.download = true: {row.name} can't be downloaded; {_what_to_put(row, root)}")
    _check_packages(row)
    made = {part: _make(row, root, download, {**settings, **arguments}) for part, settings in row.parts.items()}
    parts = {part: _with_labels(row, root, dataset, attribute) for part, dataset in made.items()}
    notes = []
    if row.images and not isinstance(parts["train"], FolderDataset):
        notes.append(
            f"the installed torchvision has no list of {row.name}'s image files: they are not checked for damage, "
            "and Pillow decodes them one by one"
        )
    classes = _classes(row, made["train"], attribute)
    parts, classes = _without_tool_folders(parts, classes, notes)
    return DatasetParts(parts["train"], parts.get("validation"), parts.get("test"), classes, notes)


def _without_tool_folders(
    parts: Mapping[str, SampleDataset], classes: list[str] | None, notes: list[str]
) -> tuple[dict[str, SampleDataset], list[str] | None]:
    """The parts without the files of hidden folders and of folders of tools, which torchvision walks into.

    Args:
        parts: by name.
        classes: their names; those that are such folders themselves are left out, and the others counted anew.
        notes: takes what was left out.
    """
    tools = {index for index, name in enumerate(classes or []) if is_tool_folder(name)}
    counted = np.cumsum([index not in tools for index in range(len(classes or []))]) - 1
    kept: dict[str, SampleDataset] = {}
    for part, dataset in parts.items():
        kept[part] = dataset
        if not isinstance(dataset, FolderDataset):
            continue
        # Of a name that is not below the root, the folders say nothing: the root may lie in ~/.cache.
        folders = [() if os.path.isabs(file) else Path(file).parts[:-1] for file in dataset.files]
        in_tools = [any(map(is_tool_folder, each)) for each in folders]
        if not any(in_tools):
            continue
        targets = dataset.targets[~np.array(in_tools)]
        files = tuple(file for file, is_left_out in zip(dataset.files, in_tools, strict=True) if not is_left_out)
        kept[part] = replace(dataset, files=files, targets=counted[targets] if tools else targets)
        left_out = plural(sum(in_tools), "image")
        notes.append(f"left out of {dataset.root}: {left_out} in hidden folders and folders of tools")
    are_left = classes is not None and tools and all(isinstance(dataset, FolderDataset) for dataset in kept.values())
    return kept, [name for name in classes or [] if not is_tool_folder(name)] if are_left else classes


def accepted_arguments(constructor: type) -> set[str]:
    """Names that a constructor takes, those that it hands on to its base classes among them."""
    names: set[str] = set()
    for cls in constructor.__mro__:
        if "__init__" not in vars(cls):
            continue
        parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names


def check_arguments(row: TorchvisionRow, arguments: Mapping[str, Any]) -> None:
    """Compare `data.arguments` with the constructor. Raises ConfigError."""
    taken = accepted_arguments(getattr(datasets, row.name)) - _NOT_THE_USERS
    decides = {name for name in row.parts["train"] if len({str(part.get(name)) for part in row.parts.values()}) > 1}
    for name in arguments:
        if name in decides:
            raise ConfigError(f"data.arguments.{name}: selects the split of {row.name}; set data.validation instead")
        if name not in taken:
            raise ConfigError(
                f"data.arguments.{name}: unknown argument of {row.name}{did_you_mean(name, taken - decides)}"
            )


def _make(row: TorchvisionRow, root: Path, download: bool, arguments: dict[str, Any]) -> Any:
    constructor = getattr(datasets, row.name)
    taken = accepted_arguments(constructor)
    if "download" in taken:
        arguments["download"] = download
    if "root" in taken:
        if download:
            root.mkdir(parents=True, exist_ok=True)
        arguments["root"] = str(root)
    try:
        with own_unpacking():
            return constructor(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{row.name}: data.arguments: {error}") from error
    except DataError:
        raise
    # torchvision raises RuntimeError where it looks, OSError where it doesn't, URLError and others when it fetches.
    except Exception as error:
        if download:
            raise DataError(
                f"{row.name}: can't be downloaded to {root}: {error}; {_what_to_put(row, root)}"
            ) from error
        raise ConfigError(f"{row.name} is incomplete in {root}: {_what_to_put(row, root)}") from error


def _what_to_put(row: TorchvisionRow, root: Path) -> str:
    if row.files:
        return f"put {row.files} into {root}"
    fetch = f"`torchdeck download {row.name} --root {root}` or data.download = true downloads it"
    return f"{fetch}, or copy it to {root} in the layout of torchvision.datasets.{row.name}"


def _check_packages(row: TorchvisionRow) -> None:
    missing = [package for package in row.needs if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f"{row.name} needs {', '.join(missing)}: {install_command(*missing)}")


def _with_labels(row: TorchvisionRow, root: Path, dataset: Any, attribute: str | None) -> SampleDataset:
    """The data set with its labels, as an array or as image files where it is that."""
    if not row.labels:
        opened: SampleDataset = dataset
        return opened
    targets = _labels(row, dataset, attribute)
    files = _files(row, root, dataset)
    if files is not None and len(files) == len(targets):
        # What torchvision's own loader does: RGB, photographs as they are stored.
        return FolderDataset(root, files, targets, "RGB", turns=False)
    if not row.layout:
        return LabeledDataset(dataset, targets)
    images = np.asarray(dataset.data)
    return ArrayDataset(
        np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if row.layout == "NCHW" else images, targets
    )


def _labels(row: TorchvisionRow, dataset: Any, attribute: str | None) -> NDArray[np.int64]:
    name, _, item = row.labels.partition(":")
    values = getattr(dataset, name)
    if item:
        values = [value[int(item)] for value in values]
    targets = np.asarray(values, dtype=np.int64)
    if attribute is not None:
        return targets[:, _attribute_column(dataset, attribute)]
    # QMNIST's labels are rows, with the class first.
    targets = targets[:, 0] if targets.ndim == 2 else targets
    # EMNIST's letters count from 1; its first class is named "N/A".
    return targets - 1 if row.name == "EMNIST" and dataset.classes[0] == "N/A" else targets


def _files(row: TorchvisionRow, root: Path, dataset: Any) -> tuple[str, ...] | None:
    """Names of the image files, relative to `root`; None where the data set keeps no list of them."""
    name, _, item = row.images.partition(":")
    values = getattr(dataset, name, None) if name else None
    if values is None:
        return None
    paths = [os.fspath(value[int(item)] if item else value) for value in values]
    if row.folder:
        return tuple(os.path.join(row.folder, path) for path in paths)
    return tuple(path.removeprefix(f"{root}{os.sep}") for path in paths)


def _attribute_column(dataset: Any, attribute: str) -> int:
    names = [name for name in dataset.attr_names if name]
    if attribute not in names:
        raise ConfigError(f"data.arguments.attribute = '{attribute}': CelebA has none{did_you_mean(attribute, names)}")
    return int(names.index(attribute))


def _classes(row: TorchvisionRow, dataset: Any, attribute: str | None) -> list[str] | None:
    """Class names, where the data set has one for every class index."""
    if attribute is not None:
        return [f"not {attribute}", attribute]
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    if not isinstance(names, list | tuple) or row.name == "LSUN":
        return None
    if row.name == "EMNIST" and names[0] == "N/A":
        names = names[1:]
    # ImageNet has several names per class; MNIST's repeat themselves: "0 - zero".
    return [(name if isinstance(name, str) else name[0]).split(" - ")[0] for name in names]
