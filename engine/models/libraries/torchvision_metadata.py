"""Metadata of the installed torchvision's classification models, and the committed table generated from it.

`python -m torchdeck.engine.models.libraries.torchvision_metadata` writes `torchvision_table.py` again after an
update of torchvision.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import NamedTuple

import torchvision


class PublishedModel(NamedTuple):
    """A classification model as its library publishes it.

    Attributes:
        name: name for the library's `get_model`.
        params: parameters of the model that its default weights fit.
        multiply_adds: billions of multiply-adds for one image of `image_size`.
        accuracy: top-1 accuracy of the default weights on ImageNet-1K's validation images, in percent.
        image_size: height and width at which `multiply_adds` and `accuracy` were measured.
        description: title of the paper that describes it.
    """

    name: str
    params: int
    multiply_adds: float
    accuracy: float
    image_size: int
    description: str


def published_models() -> list[PublishedModel]:
    """All classification models of the installed torchvision, by name."""
    models = []
    for name in torchvision.models.list_models(module=torchvision.models):
        weights = torchvision.models.get_model_weights(name).DEFAULT
        meta = weights.meta
        models.append(
            PublishedModel(
                name,
                meta["num_params"],
                meta["_ops"],
                meta["_metrics"]["ImageNet-1K"]["acc@1"],
                weights.transforms.keywords["crop_size"],
                _description(name),
            )
        )
    return models


def _description(name: str) -> str:
    """The title of the paper that the builder's docstring links to."""
    documentation = " ".join((inspect.getdoc(torchvision.models.get_model_builder(name)) or "").split())
    link = re.search(r"`+([^`]+?)\s*<https?:", documentation)
    return link.group(1).removeprefix("the ") if link else ""


def table_source(models: list[PublishedModel]) -> str:
    """The text of `torchvision_table.py`."""
    rows = "".join(f"    {tuple(model)!r},\n" for model in models).replace("'", '"')
    return (
        '"""torchvision\'s classification models. Written by `torchvision_metadata.py` beside it.\n\n'
        "Columns: name, parameters, multiply-adds in billions, top-1 accuracy in percent, image size, description.\n"
        '"""\n\n'
        "# ruff: noqa: E501\n# fmt: off\n"
        "TORCHVISION_MODELS: tuple[tuple[str, int, float, float, int, str], ...] = (\n"
        f"{rows})\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("torchvision_table.py").write_text(table_source(published_models()), encoding="utf-8")
