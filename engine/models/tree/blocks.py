"""The blocks that a model repeats: what it is cut into for recomputing activations, or for sharding."""

from __future__ import annotations

from collections import Counter

from torch import nn

from .walk import Visit, walk

# They are only looked into; what is called are their children.
NOT_CALLED = (nn.ModuleList, nn.ModuleDict)
_CONTAINERS = (nn.Sequential, *NOT_CALLED)


def repeated_blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules with parts of their own, of a class that their container holds twice or more, with their paths."""
    places = [visit for visit in walk(model) if visit.path]
    children: dict[str, list[Visit]] = {}
    for visit in places:
        children.setdefault(visit.path.rpartition(".")[0], []).append(visit)
    found: list[tuple[str, nn.Module]] = []
    for visit in places:
        if not isinstance(visit.module, _CONTAINERS):
            continue
        blocks = [
            child
            for child in children.get(visit.path, [])
            if not isinstance(child.module, _CONTAINERS) and any(child.module.children())
        ]
        kinds = Counter(type(block.module) for block in blocks)
        found += [(block.path, block.module) for block in blocks if kinds[type(block.module)] > 1]
    return found
