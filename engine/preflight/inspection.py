"""Inspect the model of a draft for the draft's data, or for the shape in the catalog if the data are missing."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import RunConfig
from ..data.datasets.catalog import find_dataset
from ..data.loading.bad_files import open_usable
from ..data.loading.loaders import example_inputs
from ..errors import ConfigError, DataError
from ..inputs import Inputs, sample_shape_of
from ..models.module_tree import ModelReport, inspect_model
from ..models.weights import WeightsPreview
from ..models.weights_preview import preview_config_weights
from ..progress import unreported
from ..shapes import Shape
from .memory_estimate import MemoryEstimate, estimate_memory, largest_batch
from .weight_groups import WeightGroups, weight_groups


@dataclass(frozen=True)
class Inspection:
    """A model as the draft of a run would build it, without its weights.

    Attributes:
        report: the tree.
        input_shape: shape of the input sample; (C, H, W) for images.
        num_classes: size of its last layer.
        assumption: note that the data are missing and the catalog's shape was used; empty otherwise.
    """

    report: ModelReport
    input_shape: Shape
    num_classes: int
    assumption: str = ""


def inspect_draft(config: RunConfig) -> Inspection:
    """Module tree of the config's model for its data, or for the shape in the catalog if the data are missing.

    Raises:
        TorchdeckError: the model can't be built, or neither the data nor the catalog define a shape.
    """
    example, shape, num_classes, assumption = _data_example(config)
    report = inspect_model(config.model, num_classes, shape, example)
    return Inspection(report, shape, num_classes, assumption)


def draft_memory(config: RunConfig) -> MemoryEstimate:
    """What a training step of the draft takes, by estimate.

    Raises:
        TorchdeckError: the model can't be built, or its memory can't be estimated.
    """
    example, shape, num_classes, _ = _data_example(config)
    return estimate_memory(config, num_classes, shape, example)


def largest_draft_batch(config: RunConfig) -> MemoryEstimate | None:
    """The largest batch of the draft that fits by estimate, at most its whole training split; None when none does.

    Raises:
        TorchdeckError: the model can't be built, or its memory can't be estimated.
    """
    example, shape, num_classes, assumption = _data_example(config)
    limit = 0 if assumption else len(open_usable(config, unreported)[0].train)
    return largest_batch(config, num_classes, shape, example, limit=limit)


def draft_weights(config: RunConfig) -> WeightsPreview:
    """What of the draft's weights file fits its model, for the draft's data. Nothing is loaded.

    Raises:
        TorchdeckError: the model can't be built, or the file can't be read safely.
    """
    _, shape, num_classes, _ = _data_example(config)
    return preview_config_weights(config.model, num_classes, shape)


def draft_groups(config: RunConfig) -> WeightGroups:
    """Parameter groups of the draft's optimizer.

    Raises:
        TorchdeckError: the model can't be built, or the optimizer has a setting that is wrong.
    """
    example, shape, num_classes, _ = _data_example(config)
    return weight_groups(config, num_classes, shape, example)


def _data_example(config: RunConfig) -> tuple[Inputs | None, Shape, int, str]:
    """A sample where the data are there, its shape, number of classes, and what was assumed where they are not."""
    try:
        sources, _ = open_usable(config, unreported)
        example = example_inputs(sources, config)
        return example, sample_shape_of(example), len(sources.classes), ""
    except (ConfigError, DataError) as error:
        entry = find_dataset(config.data.dataset)
        if entry is None or entry.shape is None or entry.classes is None:
            raise
        said = str(error).splitlines()[0]
        return None, entry.shape, entry.classes, f"the data are missing ({said}); shown for the shape in the catalog"
