"""Reading one sample of a split: an image, or whatever else the user's data set gives."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import DataError, TorchdeckError
from ...inputs import tensors_of
from ...user_code import raise_user_error
from .images.folder import FolderDataset
from .splits import ArrayDataset, LabeledDataset, SampleDataset, Split
from .targets import is_same_target

_CHANNELS = (1, 3, 4)


def read_sample(split: Split, position: int) -> tuple[Any, Any]:
    """One sample of a split as its data set gives it: a pair of input and target.

    Raises:
        DataError: it can't be read, or is not a pair; names its file or index.
        UserCodeError: the user's data set failed; names the index and the lines of the user's file.
    """
    index = split.dataset_index(position)
    try:
        sample = split.dataset[index]
    except TorchdeckError:
        raise
    except Exception as error:
        if is_own(split.dataset):
            raise DataError(f"{sample_name(split, position)}: {type(error).__name__}: {error}") from error
        raise_user_error(error, sample_name(split, position))
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise DataError(f"{sample_name(split, position)} is {type(sample).__name__}; expected a pair (input, target)")
    if split.targets_are_listed:
        _require_listed_target(split, position, sample[1])
    return sample[0], sample[1]


def require_same_target(split: Split, position: int, target: Any) -> None:
    """Raise DataError where a sample has another target than before, so that its split can't be read once and kept."""
    if split.targets is not None and not is_own(split.dataset) and not is_same_target(target, split.targets[position]):
        raise DataError(
            f"{sample_name(split, position)}: the data set returns different targets for the same index, so samples "
            'can\'t be read once and kept; set data.storage = "loader"'
        )


def _require_listed_target(split: Split, position: int, target: Any) -> None:
    assert split.targets is not None
    if not is_same_target(target, split.targets[position]):
        raise DataError(
            f"{sample_name(split, position)}: its target is {target}, and the data set's attribute `targets` says "
            f"{split.targets[position]}; make them agree, or remove the attribute: labels are then read sample by "
            "sample"
        )


def is_channels_first(shape: Sequence[int]) -> bool:
    """Whether an image in an array of three dimensions can only be [C, H, W]; arrays are [H, W, C] else."""
    return len(shape) == 3 and shape[0] in _CHANNELS and shape[2] not in _CHANNELS


def layout_note(image: Any) -> str:
    """What to know of how an image in an array or a tensor is taken; empty where nothing is doubtful."""
    if not isinstance(image, Tensor | np.ndarray) or image.ndim != 3:
        return ""
    shape, is_tensor = list(image.shape), isinstance(image, Tensor)
    if not is_tensor and is_channels_first(shape):
        return f"samples are NumPy arrays {shape}, taken as [channels, height, width]"
    channels = shape[0] if is_tensor else shape[2]
    if channels in _CHANNELS:
        return ""
    kind, order = (
        ("tensors", "[channels, height, width]") if is_tensor else ("NumPy arrays", "[height, width, channels]")
    )
    return f"samples are {kind} {shape}, taken as {order}: images of {channels} channels"


def is_image(value: Any) -> bool:
    """Whether an input is treated as an image: pixels that become floats between 0 and 1.

    A PIL image; bytes (uint8) in two or three dimensions; numbers in three dimensions, a tensor [C, H, W] or an
    array [H, W, C] (or [C, H, W] where it can be nothing else).
    """
    if isinstance(value, Image.Image):
        return True
    if not isinstance(value, Tensor | np.ndarray):
        return False
    if value.dtype in (torch.uint8, np.uint8):
        return value.ndim in (2, 3)
    floats = value.is_floating_point() if isinstance(value, Tensor) else value.dtype.kind == "f"
    return value.ndim == 3 and floats


def moves_with_image(target: Any) -> bool:
    """Whether a target holds torchvision's boxes, masks or key points, which transforms of the image move along."""
    # torchvision takes a second to import; a target that holds its tensors has imported it.
    module = sys.modules.get("torchvision.tv_tensors")
    return module is not None and any(isinstance(part, module.TVTensor) for part in tensors_of(target))


def as_tensors(value: Any) -> Any:
    """An input that is not an image, with its arrays, numbers and lists of numbers as tensors; float64 as float32."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.float64 else value
    if isinstance(value, np.ndarray):
        # A copy: arrays of data sets in memory are often read-only, which torch can't express.
        return as_tensors(torch.from_numpy(value.copy())) if value.dtype.kind in "biufc" else value
    if isinstance(value, bool | int | float | np.generic):
        return as_tensors(torch.tensor(value.item() if isinstance(value, np.generic) else value))
    if isinstance(value, Mapping):
        return {key: as_tensors(item) for key, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, bool | int | float) for item in value):
        return torch.tensor(value)
    if isinstance(value, tuple | list):
        return tuple(as_tensors(item) for item in value)
    return value


def is_own(dataset: SampleDataset) -> bool:
    """Whether a data set is one of torchdeck's own or torchvision's, whose reading runs no code of the user's."""
    return isinstance(dataset, ArrayDataset | FolderDataset | LabeledDataset)


def sample_name(split: Split, position: int) -> str:
    """How a message calls a sample: its file, else its index."""
    index = split.dataset_index(position)
    dataset: Any = split.dataset
    if isinstance(dataset, FolderDataset):
        return str(dataset.root / dataset.files[index])
    return f"sample {index} of the {split.name} data"
