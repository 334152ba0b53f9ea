"""What a transform's parameters take, in words instead of annotations."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...widgets.pipeline_list import Parameter

# Of parameters whose type alone says little.
_EXAMPLES = {
    "alpha": "0.2",
    "brightness": "0.2",
    "contrast": "0.2",
    "degrees": "15",
    "hue": "0.05",
    "kernel_size": "3",
    "max_size": "256",
    "mean": "[0.5]",
    "min_size": "224",
    "p": "0.5",
    "padding": "4",
    "saturation": "0.2",
    "sigma": "0.5",
    "size": "32",
    "std": "[0.25]",
    "transforms": "[{'name': 'ColorJitter', 'brightness': 0.2}]",
    "translate": "[0.1, 0.1]",
}


def parameter_words(parameters: Sequence[tuple[str, str, str]]) -> tuple[Parameter, ...]:
    """The parameters of a transform, those that need a value first.

    Args:
        parameters: name, default or "required", and annotation of each.
    """
    made = [_parameter(*each) for each in parameters]
    return tuple(sorted(made, key=lambda parameter: bool(parameter.default)))


def _parameter(name: str, default: str, annotation: str) -> Parameter:
    kind, example = _kind(annotation)
    is_needed = default == "required"
    return Parameter(name, kind, "" if is_needed else _shown_default(default), _EXAMPLES.get(name, example))


def _shown_default(default: str) -> str:
    """`InterpolationMode.BILINEAR` is written "bilinear", and what is not set "none"."""
    return default.rpartition(".")[2].lower() if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", default) else default


def _kind(annotation: str) -> tuple[str, str]:
    """What an annotation allows, and an example."""
    if choices := re.fullmatch(r"(?:Optional\[)?Literal\[([^\]]*)\]\]?", annotation):
        words = [word.strip("'\" ") for word in choices[1].split(",")]
        return " or ".join(words), words[0]
    names = set(re.findall(r"[A-Za-z_]+", annotation))
    # What stands inside a list is not allowed outside of it.
    single = set(re.findall(r"[A-Za-z_]+", _ELEMENTS.sub("", annotation)))
    number, one = ("number", "0.5") if names & {"float", "Number"} else ("whole number", "3")
    kinds, example = [], ""
    if "bool" in names:
        kinds, example = ["true or false"], "true"
    elif single & {"int", "float", "Number"}:
        kinds, example = [number], one
    if names & _LISTS:
        has_numbers = bool(names & {"int", "float", "Number"})
        kinds, example = [*kinds, f"list of {number}s" if has_numbers else "list"], example or f"[{one}, {one}]"
    if single & {"str", "InterpolationMode"} and "bool" not in names:
        kinds, example = [*kinds, "word"], example or ("bilinear" if "InterpolationMode" in names else "")
    return " or ".join(kinds), example


_LISTS = {"Sequence", "List", "list", "Tuple", "tuple"}
_ELEMENTS = re.compile(r"(?:Sequence|List|list|Tuple|tuple|dict)\[[^\[\]]*\]")
