"""All modules of a model, at any depth of nesting.

`nn.Module.named_modules` recurses, and ends with a RecursionError on models nested some hundred levels deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Visit:
    """One place in the tree of modules.

    Attributes:
        path: dotted name; "" for the model itself.
        module: the module there.
        depth: 0 for the model itself.
        parent: index of the parent's visit, counted in the order of the walk; -1 for the model itself.
        alias_of: path where the same module was visited first; None for a first visit.
    """

    path: str
    module: nn.Module
    depth: int
    parent: int
    alias_of: str | None


def walk(model: nn.Module, *, into_aliases: bool = False) -> Iterator[Visit]:
    """Visit every place of the tree, parents first, children in their order.

    Args:
        model: the root.
        into_aliases: also visit what lies below the second and later places of a module. A module that contains
            itself is never entered from within.
    """
    first_path: dict[int, str] = {}
    ancestors: list[int] = []
    pending: list[tuple[str, nn.Module, int, int]] = [("", model, 0, -1)]
    index = -1
    while pending:
        path, module, depth, parent = pending.pop()
        index += 1
        del ancestors[depth:]
        alias_of = first_path.setdefault(id(module), path)
        is_alias = alias_of != path
        yield Visit(path, module, depth, parent, alias_of if is_alias else None)
        if is_alias and (not into_aliases or id(module) in ancestors):
            continue
        ancestors.append(id(module))
        children = [(name, child) for name, child in module._modules.items() if child is not None]
        for name, child in reversed(children):
            pending.append((f"{path}.{name}" if path else name, child, depth + 1, index))
