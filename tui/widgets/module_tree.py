"""The modules of a model as a tree, with parameter counts and output shapes in aligned columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static, Tree
from textual.widgets.tree import TreeNode

from tui.widgets.plain_text import printable

_GUIDE = 2
_ICON = 2
_BAR = "▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class ModuleTreeRow:
    """One module.

    Attributes:
        path: Dotted name, "" for the whole model.
        type: Class name.
        params: Parameters of the module and everything below it.
        trainable: How many of them are trained.
        output: Output shape as text, "" if not known.
        note: Shown behind the type where there is room (arguments, "shared with encoder.0").
    """

    path: str
    type: str
    params: int
    trainable: int
    output: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class _Columns:
    """Widths in cells; a column of width 0 is left out."""

    name: int
    type: int
    params: int
    share: int
    output: int

    @classmethod
    def fitting(cls, width: int, params: int) -> _Columns:
        """Columns for a line of this width; from the right, columns go when there is no room."""
        share, output, kind = 12, 15, 16
        if width >= 120:
            spare = width - 120
            share, output, kind = 16 + spare // 10, 20 + spare // 10, 24 + spare // 5
        fixed = params + 3
        for share_width, output_width, type_width in ((share, output, kind), (7, output, 12), (7, 0, 12), (0, 0, 10)):
            rest = width - fixed - type_width - 1 - sum(cell + 1 for cell in (share_width, output_width) if cell)
            if rest >= 20:
                break
        return cls(max(rest, 8), type_width, params, share_width, output_width)

    def line(self, name: Text, row: tuple[Text, Text, str, Text, Text], indent: int) -> Text:
        """One line: name, then type, params, trainable mark, share and output."""
        kind, params, mark, share, output = row
        name.truncate(max(self.name - indent, 1), overflow="ellipsis", pad=True)
        kind.truncate(self.type, overflow="ellipsis", pad=True)
        params.align("right", self.params)
        cells = [name, Text(" "), kind, Text(" "), params, Text(f" {mark} ")]
        for cell, width in ((share, self.share), (output, self.output)):
            if width:
                cell.truncate(width, overflow="ellipsis", pad=True)
                cells += [cell, Text(" ")]
        return Text.assemble(*cells, no_wrap=True)


class _Rows(Tree[ModuleTreeRow]):
    """The tree itself; its labels are whole table lines."""

    DEFAULT_CSS = """
    _Rows { height: 1fr; overflow-x: hidden; scrollbar-gutter: stable; background: transparent; }
    """

    def __init__(self) -> None:
        super().__init__("", id="rows")
        self.guide_depth = _GUIDE
        self.auto_expand = False
        self.columns = _Columns.fitting(80, 11)
        self.total = 0
        self.children_of: dict[str, list[ModuleTreeRow]] = {}
        self.found: frozenset[str] = frozenset()

    def fit(self) -> None:
        longest = max(len(f"{self.total:,}"), len("params"))
        self.columns = _Columns.fitting(self.scrollable_content_region.width, longest)
        self.refresh()

    def populate(self, node: TreeNode[ModuleTreeRow]) -> None:
        """Add the children of a node, once."""
        if node.data is None or node.children:
            return
        for row in self.children_of.get(node.data.path, ()):
            node.add(Text(printable(row.name)), row, allow_expand=row.path in self.children_of)

    def go_to(self, node: TreeNode[ModuleTreeRow]) -> None:
        """Move the cursor, also to a node that was only now added: asking for the last line numbers all lines."""
        if self.last_line >= 0:
            self.move_cursor(node)

    def get_label_width(self, node: TreeNode[ModuleTreeRow]) -> int:
        # Every line is made to fit, so nothing scrolls sideways.
        return 1

    def render_label(self, node: TreeNode[ModuleTreeRow], base_style: Style, style: Style) -> Text:
        row = node.data
        if row is None:
            return Text()
        icon = ("▼ " if node.is_expanded else "▶ ") if node.allow_expand else "  "
        depth = 0 if not row.path else row.path.count(".") + 1
        is_found = row.path in self.found
        title = node.label if isinstance(node.label, Text) else Text(str(node.label))
        name = Text(icon, style=base_style + Style(meta={"toggle": True})) + Text(
            title.plain, style=Style(bold=True, underline=is_found) if not depth or is_found else ""
        )
        quiet = Style(dim=True)
        kind = Text(printable(row.type))
        if row.note:
            kind.append(f" {printable(row.note)}", quiet)
        params = Text(f"{row.params:,}" if row.params else "-", style="" if row.params else quiet)
        share = self._share(row)
        output = Text(printable(row.output), quiet)
        line = self.columns.line(name, (kind, params, _trainable_mark(row), share, output), depth * _GUIDE)
        line.stylize_before(style)
        return line

    def _share(self, row: ModuleTreeRow) -> Text:
        if not row.params or not self.total:
            return Text()
        part = row.params / self.total
        text = Text(f"{100 * part:5.1f}%" if part >= 0.0005 else " <0.1%")
        room = self.columns.share - 7
        if room > 0:
            eighths = max(1, round(part * room * 8))
            text.append(" " + "█" * (eighths // 8) + (_BAR[eighths % 8 - 1] if eighths % 8 else ""), "bright_blue")
        return text


class ModuleTree(Widget):
    """Modules, counts and shapes of one model.

    Children are added when a module is first opened, so a model of thousands of modules costs what is seen of it.
    Keys: `+` and `-` open and close one level of the whole tree, `*` opens everything, `/` searches.
    """

    DEFAULT_CSS = """
    ModuleTree { height: 1fr; layout: vertical; }
    ModuleTree > #header { height: 1; color: $text-muted; }
    ModuleTree > #search { display: none; height: 1; border: none; padding: 0; }
    ModuleTree.-searching > #search { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus", "deeper", "open a level", key_display="+", id="tree.deeper"),
        Binding("minus", "shallower", "close a level", key_display="-", id="tree.shallower"),
        Binding("asterisk", "expand_all", "open all", key_display="*", show=False, id="tree.all"),
        Binding("slash", "search", "search", key_display="/", id="tree.search"),
        Binding("n", "next_match(1)", "next match", show=False, id="tree.next"),
        Binding("N", "next_match(-1)", "previous match", show=False, id="tree.previous"),
        Binding("escape", "end_search", "end search", show=False, id="tree.end_search"),
    ]

    class Highlighted(Message):
        """The cursor is on another module."""

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
        self._rows: list[ModuleTreeRow] = []
        self._depth = 1
        self._matches: list[ModuleTreeRow] = []

    def compose(self) -> ComposeResult:
        """Column titles, the tree, the search field."""
        yield Static(id="header", markup=False)
        yield _Rows()
        search = Input(id="search", placeholder="part of a module's path or type", compact=True)
        search.cursor_blink = False
        yield search

    @property
    def rows(self) -> Tree[ModuleTreeRow]:
        """Textual's tree, to move the cursor or the focus."""
        return self.query_one(_Rows)

    @property
    def current_row(self) -> ModuleTreeRow | None:
        """The module under the cursor."""
        node = self.rows.cursor_node
        return node.data if node else None

    def set_rows(self, rows: Sequence[ModuleTreeRow], title: str = "model", depth: int = 1) -> None:
        """Show a model; parents come before their children, the first row is the whole model.

        Args:
            rows: All modules, the one with path "" first.
            title: The name of the model, shown for the first row.
            depth: How many levels are open.
        """
        tree = self.query_one(_Rows)
        self._rows = list(rows)
        self._matches = []
        tree.found = frozenset()
        tree.children_of = {}
        for row in self._rows[1:]:
            tree.children_of.setdefault(row.path.rpartition(".")[0], []).append(row)
        tree.total = self._rows[0].params if self._rows else 0
        tree.reset(Text(printable(title)), self._rows[0] if self._rows else None)
        tree.fit()
        self._show_header()
        self.open_to(depth)
        tree.go_to(tree.root)
        if self._rows:
            # The cursor may have been on the first line before, and then the tree itself has nothing to tell.
            self.post_message(self.Highlighted(self, self._rows[0]))

    def open_to(self, depth: int) -> None:
        """Open exactly this many levels of the whole tree."""
        tree = self.query_one(_Rows)
        deepest = max((row.path.count(".") + 2 for row in self._rows[1:]), default=1)
        self._depth = min(max(depth, 0), deepest - 1)
        with self.app.batch_update():
            for node, level in self._walk(tree.root, self._depth):
                if level < self._depth:
                    node.expand()
                else:
                    node.collapse()

    def reveal(self, path: str) -> bool:
        """Open what is above a module and move the cursor there; False if there is no such module."""
        tree = self.query_one(_Rows)
        node = tree.root
        parts = path.split(".") if path else []
        for index in range(len(parts)):
            tree.populate(node)
            node.expand()
            wanted = ".".join(parts[: index + 1])
            child = next((child for child in node.children if child.data and child.data.path == wanted), None)
            if child is None:
                return False
            node = child
        tree.go_to(node)
        return True

    def action_deeper(self) -> None:
        """Open one more level everywhere."""
        self.open_to(self._depth + 1)

    def action_shallower(self) -> None:
        """Close the deepest open level."""
        self.open_to(self._depth - 1)

    def action_expand_all(self) -> None:
        """Open everything."""
        self.open_to(len(self._rows))

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
        """Go to the next module that was found (or with -1 to the one before)."""
        current = self.current_row
        if not self._matches:
            return
        index = self._matches.index(current) + step if current in self._matches else 0
        self.reveal(self._matches[index % len(self._matches)].path)

    def on_resize(self, event: events.Resize) -> None:
        """Columns follow the width."""
        self.call_after_refresh(self._fit)

    @on(Input.Changed, "#search")
    def _find(self, event: Input.Changed) -> None:
        event.stop()
        wanted = event.value.casefold()
        found = [r for r in self._rows if wanted and (wanted in r.path.casefold() or wanted in r.type.casefold())]
        self._set_matches(found)
        if found:
            self.reveal(found[0].path)

    @on(Input.Submitted, "#search")
    def _end_typing(self, event: Input.Submitted) -> None:
        event.stop()
        self.remove_class("-searching")
        self.rows.focus()

    @on(Tree.NodeExpanded)
    def _open(self, event: Tree.NodeExpanded[ModuleTreeRow]) -> None:
        event.stop()
        self.query_one(_Rows).populate(event.node)

    @on(Tree.NodeCollapsed)
    def _close(self, event: Tree.NodeCollapsed[ModuleTreeRow]) -> None:
        event.stop()

    @on(Tree.NodeHighlighted)
    def _highlight(self, event: Tree.NodeHighlighted[ModuleTreeRow]) -> None:
        event.stop()
        if event.node.data is not None:
            self.post_message(self.Highlighted(self, event.node.data))

    @on(Tree.NodeSelected)
    def _select(self, event: Tree.NodeSelected[ModuleTreeRow]) -> None:
        event.stop()
        if event.node.allow_expand:
            event.node.toggle()
        if event.node.data is not None:
            self.post_message(self.Selected(self, event.node.data))

    def _set_matches(self, matches: list[ModuleTreeRow]) -> None:
        tree = self.query_one(_Rows)
        self._matches = matches
        tree.found = frozenset(row.path for row in matches)
        tree.notify_style_update()
        tree.refresh()
        self._show_header()

    def _fit(self) -> None:
        tree = self.query_one(_Rows)
        tree.fit()
        tree.notify_style_update()
        self._show_header()

    def _show_header(self) -> None:
        tree = self.query_one(_Rows)
        found = f" ({len(self._matches)} found)" if self._matches else ""
        titles = (Text("type"), Text("params"), "t", Text(" share"), Text("output"))
        self.query_one("#header", Static).update(tree.columns.line(Text(" " * _ICON + "module" + found), titles, 0))

    def _walk(self, node: TreeNode[ModuleTreeRow], depth: int) -> Iterator[tuple[TreeNode[ModuleTreeRow], int]]:
        """Nodes that can be opened, those above `depth` with their children added."""
        tree = self.query_one(_Rows)
        pending = [(node, 0)]
        while pending:
            current, level = pending.pop()
            if level < depth:
                tree.populate(current)
            if current.allow_expand:
                yield current, level
            pending += [(child, level + 1) for child in current.children]


def _trainable_mark(row: ModuleTreeRow) -> str:
    """All trained, some, none, or nothing to train."""
    if not row.params:
        return " "
    if row.trainable == row.params:
        return "✓"
    return "◐" if row.trainable else "·"
