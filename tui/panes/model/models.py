"""The list of models: built in, torchvision's, and the draft's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from torchdeck.engine.models.catalog import ModelEntry, list_models

from ...drawing import left, right, rule, short_count
from ...keys.bindings import bindings
from ...widgets.rows import Rows

_SIZE_CELLS = 6
_SECTIONS = {"built-in": "Built in", "torchvision": "torchvision"}


class ModelList(Rows):
    """Models by their source; Enter chooses one."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("models")

    @dataclass
    class Chosen(Message):
        """A model was chosen."""

        name: str

    class FindAsked(Message):
        """The user wants to search among all models."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Models", id=id)
        self._entries: list[ModelEntry | str] = []
        self._current = ""

    def on_mount(self) -> None:
        """List the models."""
        self.show(self._current)

    def show(self, current: str) -> None:
        """List the models, with the cursor on the draft's; one that is in no list is listed first."""
        self._current = current
        listed = list_models()
        entries: list[ModelEntry | str] = []
        if current and current not in {entry.name for entry in listed if entry.source in _SECTIONS}:
            entries += ["Yours", next((entry for entry in listed if entry.name == current), _own(current))]
        for source, title in _SECTIONS.items():
            entries += [title, *(entry for entry in listed if entry.source == source)]
        self._entries = entries
        names = [entry.name if isinstance(entry, ModelEntry) else "" for entry in entries]
        headings = {index for index, entry in enumerate(entries) if isinstance(entry, str)}
        cursor = names.index(current) if current in names else 1
        self.set_rows(len(entries), self._line, headings=headings, cursor=cursor, position=f"{len(listed):,} models")

    def action_choose(self) -> None:
        """Put the model under the cursor into the draft."""
        entry = self._entries[self.cursor] if self._entries else ""
        if isinstance(entry, ModelEntry):
            self.post_message(self.Chosen(entry.name))

    def action_find(self) -> None:
        """Ask for the list of all models."""
        self.post_message(self.FindAsked())

    def _line(self, index: int, width: int) -> str:
        entry = self._entries[index]
        if isinstance(entry, str):
            return rule(entry, width)
        weight = "b" if entry.name == self._current else "not b"
        name = left(entry.name, max(6, width - _SIZE_CELLS))
        size = short_count(entry.params) if entry.params else "–"
        return f"[{weight}]{name}[/][$text-muted]{right(size, _SIZE_CELLS)}[/]"


def _own(name: str) -> ModelEntry:
    return ModelEntry(name, "user", None, None, None, "")
