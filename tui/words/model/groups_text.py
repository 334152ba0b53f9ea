"""The parameter groups of an optimizer as lines of markup: in full for the verb and the screen, short for a panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...drawing import left, name, right, stacked
from ..figures import figure

if TYPE_CHECKING:
    from torchdeck.engine.preflight.weight_groups import WeightGroup, WeightGroups

# Cells of the columns in a panel.
_NAME, _SHORT, _LEAST_LAST, _MOST_LAST = 16, (9, 8, 9), 12, 16
_COLUMNS = (("lr", 9), ("× optimizer.lr", 15), ("weight decay", 13), ("tensors", 8), ("parameters", 15))


def groups_text(groups: WeightGroups) -> str:
    """List the groups: numbers in columns, and below them the content."""
    cells = max((len(group.method) for group in groups.groups), default=0) + 1
    lines = [f"[b]{'':<{cells}}{''.join(f'{title:>{width}}' for title, width in _COLUMNS)}[/]"]
    for group in groups.groups:
        lines += [f"{left(group.method, cells)}{_numbers(group)}", f"  [$text-muted]{_contents(group)}[/]"]
    if groups.frozen_tensors:
        frozen = f"{groups.frozen_tensors:,} tensors, {groups.frozen_params:,} parameters"
        lines.append(f"[$series-1]frozen[/]: {frozen}")
    without = [group for group in groups.groups if not group.weight_decay]
    if without and len(without) < len(groups.groups):
        tensors, params = sum(len(group.tensors) for group in without), sum(group.params for group in without)
        lines.append(f"no weight decay: {tensors:,} tensors, {params:,} parameters")
    return "\n".join([*lines, *_notes(groups)])


def group_lines(groups: WeightGroups, width: int) -> list[str]:
    """The groups in a line each, and what is frozen.

    Args:
        groups: the groups.
        width: cells of a line.
    """
    lines = [f"[$text-disabled]{left('group', _NAME)}{_in_columns(('lr', 'decay', 'tensors', 'params'), width)}[/]"]
    for number, group in enumerate(groups.groups):
        words = group.patterns[0] if group.patterns else group.method if group.weight_decay else "no decay"
        figures = (figure(group.lr), figure(group.weight_decay), f"{len(group.tensors):,}", f"{group.params:,}")
        tone = f"$series-{number % 8 + 1}"
        lines.append(f"[{tone}]■[/] {left(words, _NAME - 2)}{_in_columns(figures, width)}")
    if groups.frozen_tensors:
        figures = ("–", "–", f"{groups.frozen_tensors:,}", f"{groups.frozen_params:,}")
        lines.append(f"[$series-1]❄[/] {left('frozen', _NAME - 2)}{_in_columns(figures, width)}")
    shares = [(group.params, f"$series-{number % 8 + 1}") for number, group in enumerate(groups.groups)]
    lines.append(stacked([*shares, (groups.frozen_params, "$track")], width))
    return [*lines, *_notes(groups)]


def _in_columns(figures: Sequence[str], width: int) -> str:
    """Learning rate, decay, tensors and parameters; the numbers of parameters are the longest."""
    last = max(_LEAST_LAST, min(_MOST_LAST, width - _NAME - sum(_SHORT)))
    return "".join(right(each, cells) for each, cells in zip(figures, (*_SHORT, last), strict=True))


def _notes(groups: WeightGroups) -> list[str]:
    return [f"[$warning]▲ {name(note)}[/]" for note in groups.notes]


def _numbers(group: WeightGroup) -> str:
    cells = (
        figure(group.lr),
        figure(group.lr_factor),
        figure(group.weight_decay),
        f"{len(group.tensors):,}",
        f"{group.params:,}",
    )
    return "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))


def _contents(group: WeightGroup) -> str:
    """Describe the content of a group: the patterns that selected it, kinds of tensors, first and last name."""
    words = [f'"{pattern}"' for pattern in group.patterns]
    words += [f"{option} {value}" for option, value in group.options.items()]
    if group.vectors:
        words.append("vectors" if group.vectors == len(group.tensors) else f"{group.vectors:,} of them 1-D")
    words.append(" … ".join(dict.fromkeys((group.tensors[0], group.tensors[-1]))))
    return name("; ".join(words))
