"""List the models that a config can name. Imports no torch, so that the list is available immediately."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .libraries.timm_catalog import TIMM_PREFIX, timm_modules, timm_sizes
from .libraries.torchvision_table import TORCHVISION_MODELS

ModelSource = Literal["built-in", "torchvision", "timm", "user"]

_BUILTIN = {
    "mlp": "multilayer perceptron on the flattened sample, 512-512 by default: hidden, dropout, activation",
    "cnn": "convolutional stages with pooling between them: channels, convolutions, dropout",
    "resnet": "residual network for images of about 32×32, ResNet-20 by default: depth, width",
    "airbench": "airbench94's network for images of about 32×32, initialized from the data: channels, scale",
    "cnn1d": "convolutional network for signals [C, L]: channels, convolutions, kernel, dropout",
    "cnn3d": "convolutional network for volumes and video [C, D, H, W]: channels, convolutions, kernel, dropout",
    "embedding_bag": "text classifier on token ids, averaged word vectors: vocabulary, dimensions, hidden, dropout",
}


@dataclass(frozen=True)
class ModelEntry:
    """A model that a config can name.

    Attributes:
        name: name in the config.
        source: who wrote it.
        params: parameters as published, for timm as torchdeck counts them; None where they depend on the data.
        gflops: billions of floating-point operations to classify one image of `image_size`; a multiply-add counts as
            two, as everywhere in torchdeck (torchvision publishes half of this number). None where not known.
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
    """The built-in models, then torchvision's classification models and those of timm, if it is installed, by name."""
    builtin = [ModelEntry(name, "built-in", None, None, None, text) for name, text in _BUILTIN.items()]
    published = [
        ModelEntry(name, "torchvision", params, round(2 * multiply_adds, 3), accuracy, description, image_size)
        for name, params, multiply_adds, accuracy, image_size, description in TORCHVISION_MODELS
    ]
    return builtin + published + _timm()


def search_models(entries: Sequence[ModelEntry], words: str) -> list[ModelEntry]:
    """The entries whose name, source or description has every word; those whose name begins with the first lead.

    Args:
        entries: where to look, in the order that ties keep.
        words: separated by spaces; `*` and `?` in a word stand for any characters, for one. Case does not count.
    """
    wanted = [re.compile(_pattern(word)) for word in words.lower().split()]
    if not wanted:
        return list(entries)
    found = [
        entry
        for entry in entries
        if all(each.search(f"{entry.name} {entry.source} {entry.description}".lower()) is not None for each in wanted)
    ]
    return sorted(found, key=lambda entry: _relevance(entry.name.lower(), wanted[0]))


def _pattern(word: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in word)


def _relevance(name: str, first: re.Pattern[str]) -> int:
    """Sort key of a match, lower first: the whole name, its start, anywhere in it, only in the description."""
    own = name.removeprefix(TIMM_PREFIX)
    if first.fullmatch(own) or first.fullmatch(name):
        return 0
    if first.match(own) or first.match(name):
        return 1
    return 2 if first.search(name) else 3


def _timm() -> list[ModelEntry]:
    sizes = timm_sizes()
    entries = []
    for name, module in timm_modules().items():
        size = sizes.get(name)
        entries.append(
            ModelEntry(
                f"{TIMM_PREFIX}{name}",
                "timm",
                size.params if size else None,
                size.gflops if size else None,
                None,
                f"timm.models.{module}",
                size.image_size if size else None,
            )
        )
    return entries
