"""The modules of a model as an outline: visible lines, their order, and folding of repeated blocks."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Order = Literal["model", "parameters", "FLOPs"]
ORDERS: tuple[Order, ...] = ("model", "parameters", "FLOPs")


@dataclass(frozen=True)
class ModuleTreeRow:
    """One module. Counts are in elements.

    Attributes:
        path: dotted name; "" for the whole model.
        type: class name.
        params: number of parameters of the module and its descendants.
        trainable: number of those parameters that are trained.
        output: output shape as text; "" if unknown.
        note: text behind the type if there is room (arguments, "shared with encoder.0").
        own: number of parameters of the module itself, without those counted in an earlier row.
        buffers: number of buffer elements of the module and its descendants.
        dtype: dtype of its own tensors; "" if it has none.
        flops: operations of the module and its descendants; None if unknown.
        calls: number of calls in one forward pass; None if unknown.
        mode: train or eval; "" if unknown.
        is_shared: whether it is also listed elsewhere, or shares a parameter with an earlier row.
        is_uninitialized: whether the shapes of its parameters are unknown until the first forward pass.
    """

    path: str
    type: str
    params: int
    trainable: int
    output: str = ""
    note: str = ""
    own: int = 0
    buffers: int = 0
    dtype: str = ""
    flops: int | None = None
    calls: int | None = None
    mode: str = ""
    is_shared: bool = False
    is_uninitialized: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class OutlineLine:
    """One visible line.

    Attributes:
        index: index of its row.
        depth: depth in the tree; 0 for the whole model.
        is_open: whether its children follow.
        has_children: whether it can be expanded.
        repeats: number of siblings of the same structure that it represents, itself included.
        last: name of the last of those siblings.
    """

    index: int
    depth: int
    is_open: bool
    has_children: bool
    repeats: int = 1
    last: str = ""


class Outline:
    """The state of a model's rows: which are expanded, sorted and folded.

    Attributes:
        rows: all modules, parents before their children, the whole model first.
        order: sort order of siblings; numbers sort largest first.
        folds_repeats: whether adjacent siblings of the same structure share a line.
    """

    def __init__(self, rows: Sequence[ModuleTreeRow]) -> None:
        self.rows = list(rows)
        self.order: Order = "model"
        self.folds_repeats = False
        self._index = {row.path: index for index, row in enumerate(self.rows)}
        self._parent = [-1] + [self._index.get(row.path.rpartition(".")[0], 0) for row in self.rows[1:]]
        self._children: list[list[int]] = [[] for _ in self.rows]
        for index, parent in enumerate(self._parent):
            if parent >= 0:
                self._children[parent].append(index)
        self._depth = [0] * len(self.rows)
        for index in range(1, len(self.rows)):
            self._depth[index] = self._depth[self._parent[index]] + 1
        self.deepest = max(self._depth, default=0)
        self._open: set[int] = set()
        self._unfolded: set[int] = set()
        self._structure = self._structures()

    def index_of(self, path: str) -> int | None:
        """Index of the row of a path; None if there is no such module."""
        return self._index.get(path) if self.rows else None

    def lines(self) -> list[OutlineLine]:
        """The visible lines, from top to bottom."""
        if not self.rows:
            return []
        seen: list[OutlineLine] = []
        pending = [(0, 1, "")]
        while pending:
            index, repeats, last = pending.pop()
            is_open = index in self._open
            seen.append(OutlineLine(index, self._depth[index], is_open, bool(self._children[index]), repeats, last))
            if is_open:
                pending += reversed(self._groups(index))
        return seen

    def set_open(self, index: int, is_open: bool) -> None:
        """Expand or collapse a module."""
        if is_open and self._children[index]:
            self._open.add(index)
        else:
            self._open.discard(index)

    def is_open(self, index: int) -> bool:
        """Whether a module is expanded."""
        return index in self._open

    def open_to(self, depth: int) -> None:
        """Expand exactly this many levels of the whole model."""
        self._open = {index for index, own in enumerate(self._depth) if own < depth and self._children[index]}

    def reveal(self, index: int) -> None:
        """Expand the ancestors of a module, and unfold it if it is folded into a sibling."""
        above = self._parent[index]
        current = index
        while above >= 0:
            self._open.add(above)
            for first, repeats, _ in self._groups(above):
                if repeats > 1 and current != first and self._structure[current] == self._structure[first]:
                    self._unfolded.add(above)
            current, above = above, self._parent[above]

    def parent(self, index: int) -> int | None:
        """Index of a module's parent; None for the whole model."""
        return self._parent[index] if self._parent[index] >= 0 else None

    def take_state(self, other: Outline) -> None:
        """Copy the state of another outline of the same model."""
        self.order, self.folds_repeats = other.order, other.folds_repeats
        for mine, theirs in ((self._open, other._open), (self._unfolded, other._unfolded)):
            mine.clear()
            mine.update(self._index[path] for index in theirs if (path := other.rows[index].path) in self._index)

    def toggle_folding(self) -> None:
        """Fold all repeated blocks, or none."""
        self.folds_repeats = not self.folds_repeats
        self._unfolded.clear()

    def biggest(self) -> list[int]:
        """The modules with parameters of their own, the largest first."""
        return sorted((i for i, row in enumerate(self.rows) if row.own), key=lambda i: -self.rows[i].own)

    def search(self, wanted: str) -> list[int]:
        """Find the rows that match a text, in the order of the model.

        A text with `*`, `?` or `[` is a pattern for the whole path. Otherwise it is part of a path or type; if nothing
        contains it, its letters may be scattered over the path.
        """
        text = wanted.casefold().strip()
        if not text:
            return []
        if any(sign in text for sign in "*?["):
            return [i for i, row in enumerate(self.rows) if fnmatch.fnmatchcase(row.path.casefold(), text)]
        found = [i for i, row in enumerate(self.rows) if text in row.path.casefold() or text in row.type.casefold()]
        return found or [i for i, row in enumerate(self.rows) if _follows(text, row.path.casefold())]

    def _groups(self, index: int) -> list[tuple[int, int, str]]:
        """The children as listed: the first of each group, the size of the group, and the name of its last."""
        children = self._sorted(self._children[index])
        if not self.folds_repeats or index in self._unfolded:
            return [(child, 1, "") for child in children]
        groups: list[tuple[int, int, str]] = []
        for child in children:
            if groups and self._structure[groups[-1][0]] == self._structure[child]:
                first, repeats, _ = groups[-1]
                groups[-1] = (first, repeats + 1, self.rows[child].name)
            else:
                groups.append((child, 1, ""))
        return groups

    def _sorted(self, children: list[int]) -> list[int]:
        if self.order == "parameters":
            return sorted(children, key=lambda index: -self.rows[index].params)
        if self.order == "FLOPs":
            return sorted(children, key=lambda index: -(self.rows[index].flops or 0))
        return children

    def _structures(self) -> list[int]:
        """Number the rows so that rows with equal types, arguments and children get the same number."""
        numbers: dict[object, int] = {}
        structure = [0] * len(self.rows)
        for index in range(len(self.rows) - 1, -1, -1):
            row = self.rows[index]
            below = tuple((self.rows[child].name, structure[child]) for child in self._children[index])
            key = (row.type, row.note, row.params, row.trainable, below)
            structure[index] = numbers.setdefault(key, len(numbers))
        return structure


def _follows(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)
