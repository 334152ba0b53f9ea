"""How a weights file fits a model, as lines of markup, for the verb and the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from ...drawing import name

if TYPE_CHECKING:
    from torchdeck.engine.models.weights import WeightsPreview

_SHOWN = 12


def mapping_text(preview: WeightsPreview, most: int = _SHOWN) -> str:
    """Describe a mapping in four parts, with at most `most` names each."""
    mapping = preview.mapping
    under = f"[$text-muted], under {name(mapping.prefix)}[/]" if mapping.prefix else ""
    verdict = "does not fit: these tensors differ, apart from the head" if preview.problem else "can be loaded"
    tone = "$error" if preview.problem else "$success"
    head = set(preview.head)
    lines = [
        f"[b]weights in {name(preview.file.name)} ({name(preview.format)})[/]{under}",
        f"  [$success]matched  {len(mapping.matched)} of {preview.tensors} tensors[/]",
        f"  [{tone}]{verdict}[/]",
        *_part("missing from the file", [_fresh(each, head) for each in mapping.missing], most),
        *_part("shape differs", [_fresh(str(entry), head, entry.name) for entry in mapping.different], most),
        *_part("only in the file", mapping.unexpected, most),
    ]
    if mapping.alternatives:
        others = ", ".join(prefix.removesuffix(".") or "the top" for prefix in mapping.alternatives)
        lines.append(f"  [$text-muted]also fits: {name(others)} (set weights_entry to choose)[/]")
    return "\n".join(lines)


class DifferentTensor(TypedDict):
    """A tensor that a file and a model have in two shapes.

    Attributes:
        name: its name in the model.
        in_file: its shape in the file.
        in_model: its shape in the model.
    """

    name: str
    in_file: list[int]
    in_model: list[int]


class MappingDocument(TypedDict):
    """The tensors of a file against those of a model.

    Attributes:
        file: path of the file.
        format: "torch zip", "torch legacy" or "safetensors".
        prefix: prefix of the model's names in the file, such as "state_dict.model."; may be empty.
        fits: whether the file can be loaded.
        matched: the file's name for each of the model's whose shape agrees.
        missing: names in the model that are not in the file.
        unexpected: names in the file that are not in the model.
        different: names in both whose shapes differ.
        head: names in the model whose shape follows from the number of classes: these may stay fresh.
        alternatives: other prefixes under which the file holds as many fitting tensors, such as averaged weights.
    """

    file: str
    format: str
    prefix: str
    fits: bool
    matched: dict[str, str]
    missing: list[str]
    unexpected: list[str]
    different: list[DifferentTensor]
    head: list[str]
    alternatives: list[str]


def mapping_document(preview: WeightsPreview) -> MappingDocument:
    """Convert a mapping to a JSON document."""
    mapping = preview.mapping
    return {
        "file": str(preview.file),
        "format": preview.format,
        "prefix": mapping.prefix,
        "fits": not preview.problem,
        "matched": mapping.matched,
        "missing": mapping.missing,
        "unexpected": mapping.unexpected,
        "different": [
            {"name": entry.name, "in_file": list(entry.in_file), "in_model": list(entry.in_model)}
            for entry in mapping.different
        ],
        "head": preview.head,
        "alternatives": mapping.alternatives,
    }


def _fresh(text: str, head: set[str], tensor: str = "") -> str:
    return f"{text}  (head: starts fresh)" if (tensor or text) in head else text


def _part(title: str, lines: Sequence[str], most: int) -> list[str]:
    if not lines:
        return []
    more = [f"    [$text-muted]and {len(lines) - most} more[/]"] if len(lines) > most else []
    return [f"  [$warning]{title}  {len(lines)}[/]", *(f"    {name(line)}" for line in lines[:most]), *more]
