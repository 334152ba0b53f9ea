"""The modules of a model as a tree, with parameter counts and output shapes in aligned columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType
from textual.message import Message

from ...drawing import cells, left, name, right
from ...keys.bindings import bindings
from ..filter_field import FilterField, ask_filter
from ..rows import Rows
from .module_columns import GAP, VIEWS, Column, ModuleHeat, Totals, View, columns_for
from .module_outline import ORDERS, ModuleTreeRow, Outline, OutlineLine

__all__ = ["ModuleHeat", "ModuleTree", "ModuleTreeRow"]

_GUIDE = "│ "


class ModuleTree(Rows):
    """Modules, counts and shapes of one model; only visible modules are rendered."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("tree")

    MARKS: ClassVar[list[tuple[str, str]]] = [
        ("✓ ◐ ❄", "trained, partly, frozen"),
        ("?", "shapes unknown until the first forward pass"),
        ("⇄", "shared with another module"),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor is on another module, or on the same one of another model."""

        module_tree: ModuleTree
        row: ModuleTreeRow

        @property
        def control(self) -> ModuleTree:
            """The tree that sent it."""
            return self.module_tree

    def __init__(self, *, id: str | None = None, classes: str = "") -> None:
        super().__init__("", id=id, classes=classes)
        self._outline = Outline([])
        self._lines: list[OutlineLine] = []
        self._root_name = ""
        self._depth = 1
        self._searched = ""
        self._matches: list[int] = []
        self._found: frozenset[int] = frozenset()
        self._last_told: ModuleTreeRow | None = None
        self._view: View = "overview"
        self._totals = Totals()
        self._name_width = 20
        self._columns: list[Column] = []

    @property
    def current_row(self) -> ModuleTreeRow | None:
        """The module under the cursor."""
        index = self._current
        return None if index is None else self._outline.rows[index]

    @property
    def _current(self) -> int | None:
        return self._lines[self.cursor].index if 0 <= self.cursor < len(self._lines) else None

    @property
    def columns_view(self) -> View:
        """Which columns are shown."""
        return self._view

    def show_modules(
        self, rows: Sequence[ModuleTreeRow], title: str = "model", depth: int = 1, *, keeps_place: bool = False
    ) -> None:
        """Show a model; parents come before their children, the first row is the whole model.

        Args:
            rows: all modules, the one with path "" first.
            title: name of the model, shown in the first row.
            depth: number of expanded levels.
            keeps_place: whether to keep expanded levels, order and cursor, for the same model in another state.
        """
        before, current = self._outline, self.current_row
        self._outline = Outline(rows)
        self._root_name = title
        self._searched = ""
        self._matches, self._found = [], frozenset()
        if keeps_place and before.rows:
            self._outline.take_state(before)
        else:
            self._depth = min(max(depth, 0), max(self._outline.deepest, 1))
            self._outline.open_to(self._depth)
        root = self._outline.rows[0] if self._outline.rows else None
        self._totals = Totals(root.params, root.flops or 0, self._totals.heat) if root else Totals()
        self._last_told = None
        kept = self._outline.index_of(current.path) if keeps_place and current is not None else None
        self._show(kept or 0)

    def set_heat(self, heat: Mapping[str, ModuleHeat]) -> None:
        """Show the newest gradients of a run of this model, by path; an empty mapping hides them."""
        if heat != self._totals.heat:
            self._totals = Totals(self._totals.params, self._totals.flops, heat)
            self._fit()

    def open_to(self, depth: int) -> None:
        """Expand exactly this many levels of the whole tree."""
        self._depth = min(max(depth, 0), self._outline.deepest)
        current = self._current
        self._outline.open_to(self._depth)
        self._show(self._nearest(current))

    def reveal(self, path: str) -> bool:
        """Expand the ancestors of a module and move the cursor to it; False if there is no such module."""
        index = self._outline.index_of(path)
        if index is None:
            return False
        self._outline.reveal(index)
        self._show(index)
        return True

    def next_columns(self, by: int) -> bool:
        """Show the next or previous columns; gradients only if a run is watched. Returns whether it went round."""
        views = [view for view in VIEWS if view != "gradients" or self._totals.heat]
        at = views.index(self._view) + by if self._view in views else 0
        self._view = views[at % len(views)]
        self._fit()
        return not 0 <= at < len(views)

    # Keys

    def action_deeper(self) -> None:
        """Expand one more level everywhere."""
        self.open_to(self._depth + 1)

    def action_shallower(self) -> None:
        """Collapse the deepest expanded level."""
        self.open_to(self._depth - 1)

    def action_expand_all(self) -> None:
        """Expand everything."""
        self.open_to(self._outline.deepest)

    def action_turn(self) -> None:
        """Expand or collapse the module under the cursor."""
        current = self._current
        if current is not None:
            self._outline.set_open(current, not self._outline.is_open(current))
            self._show(current)

    def action_unfold(self) -> None:
        """Expand the module, or go to its first child."""
        current = self._current
        if current is None or not self._lines[self.cursor].has_children:
            return
        if self._outline.is_open(current):
            self.cursor += 1
        else:
            self.action_turn()

    def action_fold(self) -> None:
        """Collapse the module, or go to its parent."""
        current = self._current
        if current is None:
            return
        if self._outline.is_open(current):
            self.action_turn()
        elif (above := self._outline.parent(current)) is not None:
            self._show(above)

    async def action_search(self) -> None:
        """Let the user type part of a path or type."""
        await ask_filter(self, self._searched, "part of a path or type, or a pattern such as *.fc?")

    def action_end_search(self) -> None:
        """Forget the matches."""
        self._search("")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Escape to others unless there are matches to forget."""
        return bool(self._searched) if action == "end_search" else True

    def action_next_match(self, step: int) -> None:
        """Go to the next match, or with -1 to the previous one."""
        if not self._matches:
            self.app.notify("/ searches for a path or type")
        self._go_round(self._matches, step)

    def action_next_order(self) -> None:
        """Sort siblings by the next number, or in model order."""
        current = self._current
        self._outline.order = ORDERS[(ORDERS.index(self._outline.order) + 1) % len(ORDERS)]
        self._show(current)

    def action_fold_repeats(self) -> None:
        """Fold or unfold adjacent blocks of the same structure."""
        current = self._current
        self._outline.toggle_folding()
        self._show(self._nearest(current))

    def action_biggest(self) -> None:
        """Go to the module with the most parameters of its own; again, to the next largest."""
        self._go_round(self._outline.biggest(), 1)

    def action_copy_path(self) -> None:
        """Copy the path to the terminal's clipboard."""
        row = self.current_row
        if row is not None:
            self.app.copy_to_clipboard(row.path)
            self.app.notify(row.path or "the empty path of the whole model", title="Copied")

    def on_resize(self, event: events.Resize) -> None:
        """Fit the columns to the width."""
        self._fit()

    @on(FilterField.Typed)
    def _find(self, event: FilterField.Typed) -> None:
        event.stop()
        self._search(event.text)

    @on(Rows.Moved)
    def _tell(self) -> None:
        row = self.current_row
        if row is not None and row is not self._last_told:
            self._last_told = row
            self.post_message(self.Highlighted(self, row))

    # Drawing

    def _search(self, text: str) -> None:
        self._searched = text
        self._matches = self._outline.search(text)
        self._found = frozenset(self._matches)
        if self._matches:
            self._outline.reveal(self._matches[0])
            self._show(self._matches[0])
        else:
            self._show(self._current)
        self.refresh_bindings()

    def _go_round(self, indices: list[int], step: int) -> None:
        """Move to the next or previous of these rows, or to the first."""
        if not indices:
            return
        current = self._current
        place = indices.index(current) + step if current in indices else 0
        index = indices[place % len(indices)]
        self._outline.reveal(index)
        self._show(index)

    def _nearest(self, index: int | None) -> int | None:
        """The line of a module, or of its nearest visible ancestor."""
        seen = {line.index for line in self._outline.lines()}
        while index is not None and index not in seen:
            index = self._outline.parent(index)
        return index

    def _show(self, index: int | None) -> None:
        """Show the visible lines, with the cursor on a row."""
        self._lines = self._outline.lines()
        place = next((number for number, line in enumerate(self._lines) if line.index == index), 0)
        self._lay_out()
        self.set_rows(len(self._lines), self._line, head=self._header, cursor=place, position=self._written[1])
        # The cursor may have the same line number but another row.
        self._tell()

    def _fit(self) -> None:
        self._lay_out()
        self.refresh()

    def _lay_out(self) -> None:
        self._name_width, self._columns = columns_for(self._view, self.size.width, self._totals)

    def _header(self, width: int) -> list[str]:
        words = "module"
        if self._searched:
            words = f"module ({len(self._matches)} found)"
        elif self._outline.order != "model":
            words = f"module ↓ by {self._outline.order}"
        titles = [
            right(each.title, each.width) if each.is_right else left(each.title, each.width) for each in self._columns
        ]
        return [f"[$text-disabled]{(' ' * GAP).join([left(words, self._name_width), *titles])}[/]"]

    def _line(self, number: int, width: int) -> str:
        line = self._lines[number]
        row = self._outline.rows[line.index]
        values = [column.cell(row, self._totals, column.width) for column in self._columns]
        return (" " * GAP).join([self._name_cell(line, row), *values])

    def _name_cell(self, line: OutlineLine, row: ModuleTreeRow) -> str:
        mark = ("▼" if line.is_open else "▶") if line.has_children else " "
        title = row.name if line.depth else self._root_name
        more = f"[$series-1]…{name(line.last)} ×{line.repeats}[/]" if line.repeats > 1 else ""
        more += "[$warning] ⇄[/]" if row.is_shared else ""
        tone = "$text-primary" if line.index in self._found else "$text" if row.params else "$text-disabled"
        weight = "b" if line.has_children or line.index in self._found else "not b"
        # Deep guides leave at least a few cells to the name.
        guides = min(line.depth, max(0, (self._name_width - 12) // 2))
        room = max(1, self._name_width - 2 * guides - 2 - cells(more))
        drawn = f"[$frame]{_GUIDE * guides}[/][$text-muted]{mark}[/] [{weight} {tone}]{name(title, room)}[/]{more}"
        return drawn + " " * max(0, self._name_width - cells(drawn))
