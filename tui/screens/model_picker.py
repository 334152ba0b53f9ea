"""Lets the user choose one of all known models; the list is filtered while the user types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from torchdeck.engine.errors import UserCodeError
from torchdeck.engine.models.catalog import ModelEntry, list_models, search_models
from torchdeck.engine.user_code import defined_names, is_user_spec
from torchdeck.engine.user_path import user_path

from ..drawing import UNKNOWN, name, short_count
from ..keys.bindings import bindings
from ..plain_text import printable
from ..widgets.field import Field
from ..widgets.rows import Rows
from ..widgets.table import Column, layout
from .dialog import OverScreen

_ORDERS: dict[str, Callable[[ModelEntry], float]] = {
    "name": lambda entry: 0.0,
    "params": lambda entry: -(entry.params or 0),
    "GFLOPs": lambda entry: -(entry.gflops or 0),
    "top-1": lambda entry: -(entry.accuracy or 0),
}
_COLUMNS: tuple[Column[ModelEntry], ...] = (
    Column("name", "name", 30, lambda entry, width: f"[b]{name(entry.name, width)}[/]", is_left=True),
    Column("params", "params", 7, lambda entry, width: UNKNOWN if entry.params is None else short_count(entry.params)),
    Column("GFLOPs", "GFLOPs", 7, lambda entry, width: f"{entry.gflops:.3g}" if entry.gflops else UNKNOWN, rank=1),
    Column("top-1", "top-1", 7, lambda entry, width: f"{entry.accuracy:.1f}%" if entry.accuracy else UNKNOWN),
    Column("source", "source", 11, lambda entry, width: f"[$text-muted]{name(entry.source)}[/]", is_left=True, rank=2),
    Column(
        "what",
        "",
        16,
        lambda entry, width: f"[$text-muted]{name(entry.description, width)}[/]",
        is_left=True,
        is_wide=True,
        rank=3,
    ),
)


class ModelPicker(OverScreen[str | None]):
    """All models with their sizes and published accuracy; returns the chosen name, or None.

    It builds no model. For a path to a Python file, it lists the file's functions and classes without running it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list"), *bindings("model_list")]

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

    def compose(self) -> ComposeResult:
        """Lay out the field above the list."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Models"
            box.border_subtitle = "[b]⏎[/] chooses   [b]Ctrl+O[/] sorts   [b]Esc[/] cancels"
            yield Field(placeholder="part of a name, timm/…, or path/to/file.py")
            rows = Rows(id="names")
            rows.can_focus = False
            yield rows

    def on_mount(self) -> None:
        """Show all models."""
        self._list()
        names = [entry.name for entry in self._found]
        if self._current in names:
            self._rows.cursor = names.index(self._current)

    @property
    def _rows(self) -> Rows:
        return self.query_one("#names", Rows)

    def action_move(self, by: int) -> None:
        """Move in the list; the field keeps the other keys."""
        self._rows.action_move(by)

    def action_page(self, by: int) -> None:
        """Move in the list by a page."""
        self._rows.action_page(by)

    def action_order(self) -> None:
        """Sort by the next column, largest first."""
        orders = list(_ORDERS)
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self._list()

    @on(Rows.HeadClicked)
    def _order_clicked(self, message: Rows.HeadClicked) -> None:
        message.stop()
        column = layout(_COLUMNS, self._rows.size.width).column_at(message.x)
        if column is not None and column.name in _ORDERS:
            self._order = column.name
            self._list()

    @on(Input.Changed)
    def _filter(self, message: Input.Changed) -> None:
        message.stop()
        self._list()

    @on(Input.Submitted)
    def _take_typed(self, message: Input.Submitted) -> None:
        message.stop()
        if self._found:
            self.dismiss(self._found[self._rows.cursor].name)
        elif message.value.strip():
            # The code that builds models reports what is allowed, and the nearest name.
            self.dismiss(message.value.strip())

    @on(Rows.Clicked)
    def _take_clicked(self, message: Rows.Clicked) -> None:
        message.stop()
        self.dismiss(self._found[self._rows.cursor].name)

    def _list(self) -> None:
        self._found, said = self._find(self.query_one(Input).value.strip())
        found, order = self._found, self._order
        self._rows.set_rows(
            len(found),
            lambda index, width: layout(_COLUMNS, width).line(found[index]),
            head=lambda width: [layout(_COLUMNS, width).head(order)],
            empty=lambda width, height: ["[$text-disabled]no model of that name; Enter tries it[/]"],
            cursor=0,
            position="",
        )
        box = self.query_one(".dialog", Vertical)
        words = said or f"{len(found):,} of {len(self._entries):,}"
        box.border_title = f"Models  [not b $text-muted]{name(words)}[/]"

    def _find(self, typed: str) -> tuple[list[ModelEntry], str]:
        if is_user_spec(typed):
            return _of_file(typed)
        found = search_models(self._entries, typed)
        if self._order != "name":
            found.sort(key=_ORDERS[self._order])
        return found, ""


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
