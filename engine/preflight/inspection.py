"""Inspect the model of a draft for the draft's data, or for the shape in the catalog if the data are missing."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import RunConfig
from ..data.datasets.catalog import find_dataset
from ..data.loading.loaders import example_inputs
from ..errors import ConfigError, DataError
from ..inputs import Inputs, sample_shape_of
from ..models.module_tree import ModelReport, inspect_model
from ..models.weights import WeightsPreview
from ..models.weights_preview import preview_config_weights
from ..progress import Progress, unreported
from ..shapes import Shape
from .draft_data import open_draft
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


def inspect_draft(config: RunConfig, progress: Progress = unreported) -> Inspection:
    """Module tree of the config's model for its data, or for the shape in the catalog if the data are missing.

    Args:
        config: the draft.
        progress: called while the data are opened.

    Raises:
        TorchdeckError: the model can't be built, or neither the data nor the catalog define a shape.
    """
    seen = _what_the_model_sees(config, progress)
    report = inspect_model(config.model, seen.num_classes, seen.shape, seen.example)
    return Inspection(report, seen.shape, seen.num_classes, seen.assumption)


def draft_memory(config: RunConfig, progress: Progress = unreported) -> MemoryEstimate:
    """What a training step of the draft takes, by estimate.

    Args:
        config: the draft.
        progress: called while the data are opened.

    Raises:
        TorchdeckError: the model can't be built, or its memory can't be estimated.
    """
    seen = _what_the_model_sees(config, progress)
    return estimate_memory(config, seen.num_classes, seen.shape, seen.example)


def largest_draft_batch(config: RunConfig) -> MemoryEstimate | None:
    """The largest batch of the draft that fits by estimate, at most its whole training split; None when none does.

    Raises:
        TorchdeckError: the model can't be built, or its memory can't be estimated.
    """
    seen = _what_the_model_sees(config)
    return largest_batch(config, seen.num_classes, seen.shape, seen.example, limit=seen.samples)


def draft_weights(config: RunConfig) -> WeightsPreview:
    """What of the draft's weights file fits its model, for the draft's data. Nothing is loaded.

    Raises:
        TorchdeckError: the model can't be built, or the file can't be read safely.
    """
    seen = _what_the_model_sees(config)
    return preview_config_weights(config.model, seen.num_classes, seen.shape)


def draft_groups(config: RunConfig) -> WeightGroups:
    """Parameter groups of the draft's optimizer.

    Raises:
        TorchdeckError: the model can't be built, or the optimizer has a setting that is wrong.
    """
    seen = _what_the_model_sees(config)
    return weight_groups(config, seen.num_classes, seen.shape, seen.example)


@dataclass(frozen=True)
class _Seen:
    """What a model is built for.

    Attributes:
        example: a sample; None where the data are missing.
        shape: its shape.
        num_classes: number of the model's outputs.
        samples: number of samples in the training split; 0 where the data are missing.
        assumption: what was assumed in place of missing data.
    """

    example: Inputs | None
    shape: Shape
    num_classes: int
    samples: int = 0
    assumption: str = ""


def _what_the_model_sees(config: RunConfig, progress: Progress = unreported) -> _Seen:
    try:
        sources = open_draft(config, finds_bad_files=True, progress=progress)
        example = example_inputs(sources, config)
        return _Seen(example, sample_shape_of(example), len(sources.classes), len(sources.train))
    except (ConfigError, DataError) as error:
        entry = find_dataset(config.data.dataset)
        if entry is None or entry.shape is None or entry.classes is None:
            raise
        said = str(error).splitlines()[0]
        assumption = f"the data are missing ({said}); shown for the shape in the catalog"
        return _Seen(None, entry.shape, entry.classes, assumption=assumption)
