"""How a weights file fits a model, as text, for the verb and the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..plain_text import printable

if TYPE_CHECKING:
    from torchdeck.engine.models.weights import WeightsPreview

_SHOWN = 12


def mapping_text(preview: WeightsPreview, most: int = _SHOWN) -> Text:
    """Describe a mapping in four parts, with at most `most` names each."""
    mapping = preview.mapping
    text = Text(f"weights in {printable(preview.file.name)} ({preview.format})", style="bold")
    if mapping.prefix:
        text.append(f", under {printable(mapping.prefix)}", style="dim")
    text.append(f"\n  matched  {len(mapping.matched)} of {preview.tensors} tensors", style="green")
    verdict = "does not fit: these tensors differ, apart from the head" if preview.problem else "can be loaded"
    text.append(f"\n  {verdict}", style="red" if preview.problem else "green")
    head = set(preview.head)
    _part(text, "missing from the file", [_fresh(name, head) for name in mapping.missing], most)
    _part(text, "shape differs", [_fresh(str(entry), head, entry.name) for entry in mapping.different], most)
    _part(text, "only in the file", mapping.unexpected, most)
    if mapping.alternatives:
        others = ", ".join(prefix.removesuffix(".") or "the top" for prefix in mapping.alternatives)
        text.append(f"\n  also fits: {printable(others)} (set weights_entry to choose)", style="dim")
    return text


def mapping_document(preview: WeightsPreview) -> dict[str, Any]:
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


def _fresh(text: str, head: set[str], name: str = "") -> str:
    return f"{text}  (head: starts fresh)" if (name or text) in head else text


def _part(text: Text, title: str, lines: Sequence[str], most: int) -> None:
    if not lines:
        return
    text.append(f"\n  {title}  {len(lines)}", style="yellow")
    for line in lines[:most]:
        text.append(f"\n    {printable(line)}")
    if len(lines) > most:
        text.append(f"\n    and {len(lines) - most} more", style="dim")
