"""The parameter groups of an optimizer as text, for the verb and the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..plain_text import printable
from .figures import figure

if TYPE_CHECKING:
    from torchdeck.engine.preflight.weight_groups import WeightGroup, WeightGroups

_COLUMNS = (("lr", 9), ("× optimizer.lr", 15), ("weight decay", 13), ("tensors", 8), ("parameters", 15))


def groups_text(groups: WeightGroups) -> Text:
    """List the groups: numbers in columns, and below them the content."""
    titles = "".join(f"{title:>{width}}" for title, width in _COLUMNS)
    text = Text(f"{'':<{_method_cells(groups)}}{titles}", style="bold")
    for group in groups.groups:
        text.append(f"\n{printable(group.method):<{_method_cells(groups)}}{_numbers(group)}", style="not bold")
        text.append(f"\n  {_contents(group)}", style="dim")
    if groups.frozen_tensors:
        text.append(
            f"\nfrozen: {groups.frozen_tensors:,} tensors, {groups.frozen_params:,} parameters", style="yellow"
        )
    without = [group for group in groups.groups if not group.weight_decay]
    if without and len(without) < len(groups.groups):
        tensors, params = sum(len(group.tensors) for group in without), sum(group.params for group in without)
        text.append(f"\nno weight decay: {tensors:,} tensors, {params:,} parameters", style="not bold")
    for note in groups.notes:
        text.append(f"\n{printable(note)}", style="yellow")
    return text


def _numbers(group: WeightGroup) -> str:
    decay = "-" if group.weight_decay is None else figure(group.weight_decay)
    cells = (figure(group.lr), figure(group.lr_factor), decay, f"{len(group.tensors):,}", f"{group.params:,}")
    return "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))


def _contents(group: WeightGroup) -> str:
    """Describe the content of a group: the patterns that selected it, kinds of tensors, first and last name."""
    words = [f'"{pattern}"' for pattern in group.patterns]
    words += [f"{name} {value}" for name, value in group.options.items()]
    if group.vectors:
        words.append("vectors" if group.vectors == len(group.tensors) else f"{group.vectors:,} of them 1-D")
    words.append(" … ".join(dict.fromkeys((group.tensors[0], group.tensors[-1]))))
    return printable("; ".join(words))


def _method_cells(groups: WeightGroups) -> int:
    return max((len(group.method) for group in groups.groups), default=0) + 1
