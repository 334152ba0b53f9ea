"""The groups of seeds that two compared runs belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from torchdeck.engine.runs.browsing.group_comparison import DifferenceDocument, compare_groups
from torchdeck.engine.runs.browsing.seed_groups import GroupDocument, SeedGroup, find_group

from ..plain_text import printable
from ..words.runs.seed_text import difference_text, group_text


class GroupsDocument(TypedDict):
    """The groups of seeds that two compared runs belong to.

    Attributes:
        first: group of the first run.
        second: group of the second run.
        difference: the second group's best results minus the first's; None where they are not judged by the same
            metric.
    """

    first: GroupDocument
    second: GroupDocument
    difference: DifferenceDocument | None


def compared_groups(first: Path | None, second: Path | None) -> tuple[SeedGroup, SeedGroup] | None:
    """The groups of two runs; None where a checkpoint is in no run, both are of one group, or no run has another seed.

    Args:
        first: directory of a run; None for a checkpoint outside of one.
        second: likewise.
    """
    if first is None or second is None:
        return None
    found = [find_group(path) for path in (first, second)]
    if found[0].runs[0].path == found[1].runs[0].path or all(len(group.runs) < 2 for group in found):
        return None
    return found[0], found[1]


def groups_document(groups: tuple[SeedGroup, SeedGroup]) -> GroupsDocument:
    """The groups and their difference for other programs."""
    difference = compare_groups(*groups)
    return {
        "first": groups[0].document(),
        "second": groups[1].document(),
        "difference": difference.document() if difference is not None else None,
    }


def groups_text(groups: tuple[SeedGroup, SeedGroup]) -> list[str]:
    """The groups and their difference in lines."""
    lines = ["", "seeds"]
    lines += [
        f"{word}  {printable(group.runs[0].name)}  {group_text(group)}"
        for word, group in zip("AB", groups, strict=True)
    ]
    difference = compare_groups(*groups)
    return [*lines, f"B − A  {difference_text(difference)}"] if difference is not None else lines
