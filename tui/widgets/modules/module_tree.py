"""The modules of a model as a tree, with parameter counts and output shapes in aligned columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from ...plain_text import printable
from ..line_list import LineList
from .module_columns import VIEWS, Column, ModuleHeat, Totals, View, columns_for
from .module_lines import ModuleLines
from .module_outline import ORDERS, ModuleTreeRow, Outline, OutlineLine

__all__ = ["ModuleHeat", "ModuleTree", "ModuleTreeRow"]

_GUIDE = "│ "
_QUIET = Style(dim=True)


class ModuleTree(Widget):
    """Modules, counts and shapes of one model; only visible modules are rendered."""

    DEFAULT_CSS = """
    ModuleTree { height: 1fr; layout: vertical; }
    ModuleTree > #header { height: 1; color: $text-muted; text-wrap: nowrap; }
    ModuleTree > #search { display: none; height: 1; border: none; padding: 0; }
    ModuleTree.-searching > #search { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus", "deeper", "expand a level", key_display="+", show=False, id="tree.deeper"),
        Binding("minus", "shallower", "collapse a level", key_display="-", show=False, id="tree.shallower"),
        Binding("asterisk", "expand_all", "expand all", key_display="*", show=False, id="tree.all"),
        Binding("l", "ask_depth", "expand to depth 0–9", show=False, id="tree.depth"),
        *(Binding(str(depth), f"open_levels({depth})", show=False) for depth in range(10)),
        Binding("slash", "search", "search", key_display="/", id="tree.search"),
        Binding("n", "next_match(1)", "next match", show=False, id="tree.next"),
        Binding("N", "next_match(-1)", "previous match", show=False, id="tree.previous"),
        Binding("v", "next_view", "columns", id="tree.view"),
        Binding("o", "next_order", "sort: model order, parameters, FLOPs", show=False, id="tree.order"),
        Binding("r", "fold_repeats", "fold repeated blocks", show=False, id="tree.repeats"),
        Binding("b", "biggest", "next largest module", show=False, id="tree.biggest"),
        Binding("y", "copy_path", "copy the path", show=False, id="tree.copy"),
        Binding("escape", "end_search", "end search", show=False, id="tree.end_search"),
    ]

    MARKS: ClassVar[list[tuple[str, str]]] = [
        ("✓ ◐ ·", "trained, partly, frozen"),
        ("?", "shapes unknown until the first forward pass"),
        ("⇄", "shared with another module"),
    ]

    class Highlighted(Message):
        """The cursor moved to another module."""

        def __init__(self, module_tree: ModuleTree, row: ModuleTreeRow) -> None:
            super().__init__()
            self.module_tree = module_tree
            self.row = row

        @property
        def control(self) -> ModuleTree:
            """The tree that sent it."""
            return self.module_tree

    class Selected(Highlighted):
        """Enter was pressed on a module, or it was clicked."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._outline = Outline([])
        self._lines: list[OutlineLine] = []
        self._title = ""
        self._depth = 1
        self._matches: list[int] = []
        self._found: frozenset[int] = frozenset()
        self._last_told: ModuleTreeRow | None = None
        self._view: View = "overview"
        self._totals = Totals()
        self._name_width = 20
        self._columns: list[Column] = []
        self._asks_depth = False

    def compose(self) -> ComposeResult:
        """Lay out the column titles, the tree and the search field."""
        yield Static(id="header", markup=False)
        yield ModuleLines(id="rows")
        search = Input(id="search", placeholder="part of a path or type, or a pattern such as *.fc?", compact=True)
        search.cursor_blink = False
        yield search

    @property
    def rows(self) -> ModuleLines:
        """The widget with the lines, to move the cursor or the focus."""
        return self.query_one(ModuleLines)

    @property
    def current_row(self) -> ModuleTreeRow | None:
        """The module under the cursor."""
        index = self._current
        return None if index is None else self._outline.rows[index]

    @property
    def _current(self) -> int | None:
        cursor = self.rows.cursor
        return self._lines[cursor].index if 0 <= cursor < len(self._lines) else None

    def set_rows(
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
        self._title = title
        self._set_matches([])
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

    def action_deeper(self) -> None:
        """Expand one more level everywhere."""
        self.open_to(self._depth + 1)

    def action_shallower(self) -> None:
        """Collapse the deepest expanded level."""
        self.open_to(self._depth - 1)

    def action_expand_all(self) -> None:
        """Expand everything."""
        self.open_to(self._outline.deepest)

    def action_ask_depth(self) -> None:
        """Ask for a digit: the number of levels to expand."""
        self._asks_depth = True
        self._show_header()

    def action_open_levels(self, depth: int) -> None:
        """Expand exactly this many levels."""
        self._asks_depth = False
        self.open_to(depth)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Accept a digit only after it was asked for; otherwise it may be a key of another widget."""
        return self._asks_depth if action == "open_levels" else True

    def on_key(self, event: events.Key) -> None:
        """Cancel the question for a digit when another key is pressed."""
        if self._asks_depth and not event.key.isdigit() and event.key != "l":
            self._asks_depth = False
            self._show_header()

    def action_search(self) -> None:
        """Open the search field."""
        self.add_class("-searching")
        search = self.query_one("#search", Input)
        search.value = ""
        search.focus()

    def action_end_search(self) -> None:
        """Close the search field and forget the matches."""
        self.remove_class("-searching")
        self._set_matches([])
        self.rows.focus()

    def action_next_match(self, step: int) -> None:
        """Go to the next match, or with -1 to the previous one."""
        self._go_round(self._matches, step)

    def action_next_view(self) -> None:
        """Switch the columns: overview, parameters, compute, and gradients if a run is watched."""
        views = [view for view in VIEWS if view != "gradients" or self._totals.heat]
        self._view = views[(views.index(self._view) + 1) % len(views)] if self._view in views else views[0]
        self._fit()

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
        """Go to the module with the most parameters of its own; pressed again, to the next largest."""
        self._go_round(self._outline.biggest(), 1)

    def action_copy_path(self) -> None:
        """Copy the path to the terminal's clipboard."""
        row = self.current_row
        if row is not None:
            self.app.copy_to_clipboard(row.path)
            self.notify(f"copied: {printable(row.path) or 'the empty path of the whole model'}", markup=False)

    def on_resize(self, event: events.Resize) -> None:
        """Fit the columns to the width."""
        self.call_after_refresh(self._fit)

    @on(Input.Changed, "#search")
    def _find(self, event: Input.Changed) -> None:
        event.stop()
        self._set_matches(self._outline.search(event.value))
        if self._matches:
            self._outline.reveal(self._matches[0])
            self._show(self._matches[0])

    @on(Input.Submitted, "#search")
    def _end_typing(self, event: Input.Submitted) -> None:
        event.stop()
        self.remove_class("-searching")
        self.rows.focus()

    @on(ModuleLines.Turned)
    def _turn(self, event: ModuleLines.Turned) -> None:
        event.stop()
        current = self._current
        if current is None:
            return
        if event.is_open == self._outline.is_open(current) or (
            event.is_open and not self._lines[self.rows.cursor].has_children
        ):
            below = self.rows.cursor + 1
            if event.is_open and self._outline.is_open(current):
                self.rows.cursor = below
            elif not event.is_open and (above := self._outline.parent(current)) is not None:
                self._show(above)
            return
        self._outline.set_open(current, event.is_open)
        self._show(current)

    @on(ModuleLines.Moved)
    def _tell(self, event: ModuleLines.Moved) -> None:
        event.stop()
        row = self.current_row
        if row is not None and row is not self._last_told:
            self._last_told = row
            self.post_message(self.Highlighted(self, row))

    @on(LineList.Selected)
    def _select(self, event: LineList.Selected) -> None:
        event.stop()
        current = self._current
        if current is None:
            return
        self._outline.set_open(current, not self._outline.is_open(current))
        self._show(current)
        self.post_message(self.Selected(self, self._outline.rows[current]))

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
        self.rows.set_lines(len(self._lines), self._line, place)
        self._fit()
        # The cursor may have the same line number but another row.
        self._tell(ModuleLines.Moved())

    def _set_matches(self, matches: list[int]) -> None:
        self._matches = matches
        self._found = frozenset(matches)
        self.rows.refresh()
        self._show_header()

    def _fit(self) -> None:
        width = self.rows.scrollable_content_region.width
        self._name_width, self._columns = columns_for(self._view, width, self._totals)
        self.rows.refresh()
        self._show_header()

    def _show_header(self) -> None:
        words = "module"
        if self._asks_depth:
            words = "depth? 0–9"
        elif self._matches:
            words = f"module ({len(self._matches)} found)"
        elif self._outline.order != "model":
            words = f"module, by {self._outline.order}"
        cells = [
            Text(f"{column.title:>{column.width}}" if column.is_right else column.title) for column in self._columns
        ]
        self.query_one("#header", Static).update(self._assembled(Text("  " + words), cells))

    def _line(self, number: int) -> Text:
        line = self._lines[number]
        row = self._outline.rows[line.index]
        name = Text(_GUIDE * line.depth, _QUIET)
        name.append(("▼ " if line.is_open else "▶ ") if line.has_children else "  ", "default")
        title = printable(row.name) if line.depth else printable(self._title)
        is_found = line.index in self._found
        name.append(
            title, Style(bold=True, dim=False, underline=is_found) if not line.depth or is_found else "default"
        )
        if line.repeats > 1:
            name.append(f"…{printable(line.last)} ×{line.repeats}", "bright_blue")
        if row.is_shared:
            name.append(" ⇄", "yellow")
        return self._assembled(name, [column.cell(row, self._totals, column.width) for column in self._columns])

    def _assembled(self, name: Text, cells: list[Text]) -> Text:
        """Join cells at the widths of their columns."""
        name.truncate(self._name_width - 1, overflow="ellipsis", pad=True)
        line = Text(no_wrap=True, end="").append_text(name)
        for cell, column in zip(cells, self._columns, strict=True):
            cell.truncate(column.width, overflow="ellipsis", pad=True)
            line.append(" ").append_text(cell)
        return line
