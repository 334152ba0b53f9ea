"""Lets the user choose one of all known models; the list is filtered while the user types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import set_cell_size
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from torchdeck.engine.errors import UserCodeError
from torchdeck.engine.models.catalog import ModelEntry, list_models, search_models
from torchdeck.engine.user_code import defined_names, is_user_spec
from torchdeck.engine.user_path import user_path

from ..plain_text import printable
from ..widgets.line_list import LineList
from .dialog import OverScreen

_NAME_CELLS, _WIDEST_NAME, _FIGURE_CELLS = 34, 46, 8
_UNKNOWN = "–"
_ORDERS: dict[str, Callable[[ModelEntry], float]] = {
    "name": lambda entry: 0.0,
    "parameters": lambda entry: -(entry.params or 0),
    "GFLOPs": lambda entry: -(entry.gflops or 0),
    "top-1": lambda entry: -(entry.accuracy or 0),
}


class ModelPicker(OverScreen[str | None]):
    """All models with their sizes and published accuracy; returns the chosen name, or None.

    It builds no model. For a path to a Python file, it lists the file's functions and classes without running it.
    """

    DEFAULT_CSS = """
    ModelPicker { align: center middle; }
    ModelPicker > Vertical {
        width: 100%; max-width: 130; height: 100%; padding: 0 1;
        border: round $primary; background: $surface;
        & Input { height: 1; border: none; padding: 0; background: transparent; }
        & #columns, & #found { height: 1; color: $text-muted; }
        & LineList .line-list--cursor { background: $primary; color: $text; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close"),
        Binding("up", "move(-1)", "Move up", show=False, priority=True),
        Binding("down", "move(1)", "Move down", show=False, priority=True),
        Binding("pageup", "page(-1)", "Page up", show=False, priority=True),
        Binding("pagedown", "page(1)", "Page down", show=False, priority=True),
        Binding("ctrl+o", "order", "Sort by the next column", priority=True),
    ]

    def __init__(self, current: str) -> None:
        """Create the list without showing it.

        Args:
            current: the current model, where the cursor starts.
        """
        super().__init__()
        self._current = current
        self._entries = list_models()
        self._found: list[ModelEntry] = []
        self._order = "name"
        # Only a wide screen has room for the longest name.
        self._name_cells = _NAME_CELLS

    def compose(self) -> ComposeResult:
        """Lay out the field, the column titles, the list and the count."""
        with Vertical() as box:
            box.border_title = "Models"
            box.border_subtitle = "Enter chooses · ^o sorts by the next column · Esc closes"
            field = Input(placeholder="part of a name, timm/…, or path/to/file.py", compact=True)
            field.cursor_blink = False
            yield field
            yield Static(id="columns", markup=False)
            names = LineList()
            names.can_focus = False
            yield names
            yield Static(id="found", markup=False)

    def on_mount(self) -> None:
        """Show all models."""
        self._name_cells = _WIDEST_NAME if self.app.size.width >= 120 else _NAME_CELLS
        self._list()
        self.query_one(LineList).cursor = next(
            (index for index, entry in enumerate(self._found) if entry.name == self._current), 0
        )

    def action_move(self, by: int) -> None:
        """Move in the list; the field keeps the other keys."""
        self.query_one(LineList).action_move(by)

    def action_page(self, by: int) -> None:
        """Move in the list by a page."""
        self.query_one(LineList).action_page(by)

    def action_order(self) -> None:
        """Sort by the next column, largest first."""
        orders = list(_ORDERS)
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self._list()

    @on(Input.Changed)
    def _filter(self, message: Input.Changed) -> None:
        message.stop()
        self._list()

    @on(Input.Submitted)
    def _take_typed(self, message: Input.Submitted) -> None:
        message.stop()
        if self._found:
            self.dismiss(self._found[self.query_one(LineList).cursor].name)
        elif message.value.strip():
            # The code that builds models reports what is allowed, and the nearest name.
            self.dismiss(message.value.strip())

    @on(LineList.Selected)
    def _take_listed(self, message: LineList.Selected) -> None:
        message.stop()
        self.dismiss(self._found[message.index].name)

    def _list(self) -> None:
        self._found, said = self._find(self.query_one(Input).value.strip())
        self.query_one(LineList).set_lines(len(self._found), lambda index: self._line(self._found[index]))
        figures = "".join(
            f"{('▼' if order == self._order else '') + heading:>{_FIGURE_CELLS}}"
            for order, heading in (("parameters", "params"), ("GFLOPs", "GFLOPs"), ("top-1", "top-1"))
        )
        self.query_one("#columns", Static).update(Text(f"{'name':<{self._name_cells}}{figures}  source, what"))
        self.query_one("#found", Static).update(Text(said or f"{len(self._found):,} of {len(self._entries):,}"))

    def _find(self, typed: str) -> tuple[list[ModelEntry], str]:
        if is_user_spec(typed):
            return _of_file(typed)
        found = search_models(self._entries, typed)
        if self._order != "name":
            found.sort(key=_ORDERS[self._order])
        return found, ""

    def _line(self, entry: ModelEntry) -> Text:
        figures = (
            _params(entry.params),
            f"{entry.gflops:.3g}" if entry.gflops else _UNKNOWN,
            f"{entry.accuracy:.1f} %" if entry.accuracy else _UNKNOWN,
        )
        text = Text(set_cell_size(printable(entry.name), self._name_cells), no_wrap=True, overflow="ellipsis")
        text.append("".join(f"{figure:>{_FIGURE_CELLS}}" for figure in figures), style="cyan")
        return text.append(f"  {entry.source}  {printable(entry.description)}", style="dim")


def _of_file(typed: str) -> tuple[list[ModelEntry], str]:
    """List the functions and classes of a Python file as entries; the file is read, not run."""
    file, _, part = typed.partition(".py")
    path = user_path(f"{file}.py")
    try:
        names: Sequence[str] = defined_names(path)
    except OSError as error:
        return [], f"{path}: {error.strerror or error}"
    except UserCodeError as error:
        return [], printable(str(error))
    found = [
        ModelEntry(f"{file}.py:{name}", "user", None, None, None, "runs when you choose it")
        for name in names
        if part.removeprefix(":").lower() in name.lower()
    ]
    what = "function or class" if len(found) == 1 else "functions and classes"
    return found, f"{len(found)} {what} in {path.name}, listed without running the file"


def _params(count: int | None) -> str:
    if count is None:
        return _UNKNOWN
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.3g}{unit}" if count < 1000 * limit else f"{count / limit:.0f}{unit}"
    return str(count)
