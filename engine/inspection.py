"""The model of a draft, inspected for the draft's data, or for what the catalogue says of data not there yet."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import RunConfig
from engine.data.catalog import find_dataset
from engine.data.loaders import sample_shape
from engine.data.sources import open_sources
from engine.errors import ConfigError, DataError
from engine.models.tree import ModelReport, inspect_model


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
    try:
        sources = open_sources(config.data, config.seed)
        shape, num_classes, assumption = sample_shape(sources, config), len(sources.classes), ""
    except (ConfigError, DataError) as error:
        entry = find_dataset(config.data.dataset)
        if entry is None or entry.shape is None or entry.classes is None:
            raise
        shape, num_classes = entry.shape, entry.classes
        assumption = f"the data are not there ({str(error).splitlines()[0]}); shown for the catalogue's shape"
    report = inspect_model(config.model, num_classes, shape)
    return Inspection(report, shape, num_classes, assumption)
