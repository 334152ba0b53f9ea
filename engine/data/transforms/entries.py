"""Catalog entries of transforms: summary and parameters of each class, as text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass

# In documentation: `text <address>`_, and :class:`name` or ``name``.
_MARKUP = re.compile(r"`([^`<]+?)\s*<[^>]*>`_+|(?::\w+:)?`{1,2}~?([^`]+)`{1,2}")


def transform_entry(
    name: str, cls: type, parameters: Iterable[inspect.Parameter], *, batched: bool = False
) -> TransformEntry:
    """The entry of a class.

    Args:
        name: name in a pipeline.
        cls: the class, whose documentation begins with a summary.
        parameters: constructor parameters that a pipeline can set.
        batched: whether it is applied to whole batches.
    """
    return TransformEntry(name, _summary(cls), [_as_text(parameter) for parameter in parameters], batched)


def annotation_text(parameter: inspect.Parameter) -> str:
    """A parameter's type as its library writes it; empty where it has none."""
    if parameter.annotation is parameter.empty:
        return ""
    return inspect.formatannotation(parameter.annotation).replace("collections.abc.", "").replace("'", "")


def _as_text(parameter: inspect.Parameter) -> tuple[str, str, str]:
    default = "required" if parameter.default is parameter.empty else str(parameter.default)
    return parameter.name, default, annotation_text(parameter)


def _summary(cls: type) -> str:
    text = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
    return _MARKUP.sub(lambda found: found[1] or found[2], text).split(". ")[0].rstrip(".")


@dataclass(frozen=True)
class TransformEntry:
    """A transform of the catalog.

    Attributes:
        name: its class in torchvision.transforms.v2, or albumentations.CLASS.
        summary: the first sentence of its documentation.
        parameters: (name, default or "required", type) as text.
        batched: whether torchdeck applies it to whole batches; others make samples go through a DataLoader.
    """

    name: str
    summary: str
    parameters: list[tuple[str, str, str]]
    batched: bool
