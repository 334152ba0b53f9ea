"""Which models can be named in a config. Imports no torch, so that the list is there at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.models.torchvision_table import TORCHVISION_MODELS

ModelSource = Literal["built-in", "torchvision", "user"]

_BUILTIN = {
    "mlp": "multilayer perceptron on the flattened sample, 512-512 by default: hidden, dropout, activation",
    "cnn": "convolutional stages with pooling between them: channels, convolutions, dropout",
    "resnet": "residual network for images of about 32×32, ResNet-20 by default: depth, width",
}


@dataclass(frozen=True)
class ModelEntry:
    """A model that a config can name.

    Attributes:
        name: what the config calls it.
        source: who wrote it.
        params: parameters as published; None where they depend on the data.
        gflops: billions of floating-point operations to classify one image of `image_size`; a multiply-add counts as
            two, as everywhere in torchdeck (torchvision publishes half of this number). None where not published.
        accuracy: top-1 accuracy of its published weights on ImageNet-1K, in percent; None where there are none.
        description: one line.
        image_size: height and width its published figures hold for; None where it takes any.
    """

    name: str
    source: ModelSource
    params: int | None
    gflops: float | None
    accuracy: float | None
    description: str
    image_size: int | None = None


def list_models() -> list[ModelEntry]:
    """The built-in models, then torchvision's classification models by name."""
    builtin = [ModelEntry(name, "built-in", None, None, None, text) for name, text in _BUILTIN.items()]
    published = [
        ModelEntry(name, "torchvision", params, round(2 * multiply_adds, 3), accuracy, description, image_size)
        for name, params, multiply_adds, accuracy, image_size, description in TORCHVISION_MODELS
    ]
    return builtin + published
