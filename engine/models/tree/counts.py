"""Parameters and buffers of every module of a model, each tensor once within every subtree."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .walk import Visit, walk


@dataclass
class ModuleCounts:
    """Counts of one place in the module tree, in elements.

    Attributes:
        own_params: number of the module's own parameters, except those counted earlier: they add up to the model's.
        params: number of all parameters at and below the module, each counted once.
        trainable: number of those that are trained.
        buffers: number of elements of all buffers at and below the module, each counted once.
        shared: own parameters that an earlier place holds too, as "weight = embedding.weight".
        uninitialized: whether the module has parameters whose shape is only known after a first forward.
    """

    visit: Visit
    own_params: int = 0
    params: int = 0
    trainable: int = 0
    buffers: int = 0
    shared: list[str] = field(default_factory=list)
    uninitialized: bool = False

    def add(self, tensor: Tensor) -> None:
        """Count a parameter or a buffer as one of this subtree."""
        size = _size(tensor)
        if not isinstance(tensor, nn.Parameter):
            self.buffers += size
            return
        self.params += size
        self.trainable += size if tensor.requires_grad else 0


def count_modules(model: nn.Module) -> list[ModuleCounts]:
    """Counts of every place in the tree of modules, in the order of `walk`.

    The second place of a shared module counts what the module holds, and its parents count that once.
    """
    counts = [ModuleCounts(visit) for visit in walk(model)]
    first_name: dict[int, str] = {}
    places: dict[int, list[int]] = {}
    tensors: dict[int, Tensor] = {}
    for index, entry in enumerate(counts):
        held = _below(entry.visit.module) if entry.visit.alias_of is not None else _own(entry, first_name)
        for tensor in held:
            tensors[id(tensor)] = tensor
            if index not in places.setdefault(id(tensor), [])[-1:]:
                places[id(tensor)].append(index)
    for key, indices in places.items():
        if len(indices) == 1:
            counts[indices[0]].add(tensors[key])
    for entry in reversed(counts[1:]):
        parent = counts[entry.visit.parent]
        parent.params += entry.params
        parent.trainable += entry.trainable
        parent.buffers += entry.buffers
    # Only now: shared tensors go to every ancestor of any of their places, once, and not from child to parent.
    for key, indices in places.items():
        if len(indices) > 1:
            for index in _with_ancestors(counts, indices):
                counts[index].add(tensors[key])
    return counts


def _own(entry: ModuleCounts, first_name: dict[int, str]) -> list[Tensor]:
    """A module's own parameters and buffers; notes those seen before and those without a shape."""
    path, module = entry.visit.path, entry.visit.module
    held: list[Tensor] = []
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is None:
            continue
        held.append(tensor)
        full_name = f"{path}.{name}" if path else name
        first = first_name.setdefault(id(tensor), full_name)
        if first != full_name:
            entry.shared.append(f"{name} = {first}")
        elif isinstance(tensor, nn.Parameter):
            entry.own_params += _size(tensor)
        entry.uninitialized |= is_lazy(tensor)
    return held


def _below(module: nn.Module) -> list[Tensor]:
    """All parameters and buffers of a module and the modules below it."""
    return [
        tensor
        for visit in walk(module)
        for tensor in [*visit.module._parameters.values(), *visit.module._buffers.values()]
        if tensor is not None
    ]


def _with_ancestors(counts: list[ModuleCounts], indices: list[int]) -> set[int]:
    found: set[int] = set()
    for index in indices:
        while index >= 0 and index not in found:
            found.add(index)
            index = counts[index].visit.parent
    return found


def _size(tensor: Tensor) -> int:
    return 0 if is_lazy(tensor) else tensor.numel()
