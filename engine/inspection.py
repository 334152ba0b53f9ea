"""The model of a draft, inspected for the draft's data, or for what the catalogue says of data not there yet."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import RunConfig
from engine.data.catalog import find_dataset
from engine.data.loaders import sample_shape
from engine.data.sources import open_sources
from engine.errors import ConfigError, DataError
from engine.models.tree import ModelReport, inspect_model
from engine.models.weights import WeightsPreview
from engine.models.weights_preview import preview_config_weights


@dataclass(frozen=True)
class Inspection:
    """A model as the draft of a run would build it, without its weights.

    Attributes:
        report: the tree.
        input_shape: (C, H, W) that went in.
        num_classes: size of its last layer.
        assumption: said when the data are not there and the catalogue's shape was taken; empty otherwise.
    """

    report: ModelReport
    input_shape: tuple[int, ...]
    num_classes: int
    assumption: str = ""


def inspect_draft(config: RunConfig) -> Inspection:
    """The tree of the config's model for the config's data, or for what the catalogue says of data not there yet.

    Raises:
        TorchdeckError: the model can't be built, or neither the data nor the catalogue tell a shape.
    """
    shape, num_classes, assumption = _data_shape(config)
    report = inspect_model(config.model, num_classes, shape)
    return Inspection(report, shape, num_classes, assumption)


def draft_weights(config: RunConfig) -> WeightsPreview:
    """What of the draft's weights file fits its model, for the draft's data. Nothing is loaded.

    Raises:
        TorchdeckError: the model can't be built, or the file can't be read safely.
    """
    shape, num_classes, _ = _data_shape(config)
    return preview_config_weights(config.model, num_classes, shape)


def _data_shape(config: RunConfig) -> tuple[tuple[int, ...], int, str]:
    """Shape of a sample, number of classes, and what was assumed where the data are not there."""
    try:
        sources = open_sources(config.data, config.seed)
        return sample_shape(sources, config), len(sources.classes), ""
    except (ConfigError, DataError) as error:
        entry = find_dataset(config.data.dataset)
        if entry is None or entry.shape is None or entry.classes is None:
            raise
        said = str(error).splitlines()[0]
        return entry.shape, entry.classes, f"the data are not there ({said}); shown for the catalogue's shape"
