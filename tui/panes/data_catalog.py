"""The list of data sets, filtered while the user types."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from torchdeck.engine.config import DataConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.data.datasets.catalog import find_dataset, list_datasets

from ..plain_text import printable
from ..screens.pick import PickEntry, found


class DataCatalog(Vertical):
    """A field and the names of all data sets; the field also accepts a folder, arrays, or `file.py:factory`."""

    DEFAULT_CSS = """
    DataCatalog { width: 22; height: 1fr; border-right: solid $panel-lighten-1; }
    DataCatalog > Input { height: 1; border: none; padding: 0; }
    DataCatalog > OptionList { height: 1fr; border: none; padding: 0; background: transparent; }
    DataCatalog > OptionList:focus { border: none; }
    """

    @dataclass
    class Chosen(Message):
        """A data set was chosen: a name in the catalog, a path, or `file.py:factory`."""

        name: str

    @dataclass
    class Passed(Message):
        """The cursor moved to a name."""

        name: str

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._entries = [PickEntry(entry.name, entry.title) for entry in list_datasets()]
        self._current = ""
        self._own = ""

    def compose(self) -> ComposeResult:
        """Lay out the field and the names."""
        field = Input(id="find", placeholder="name, folder, .py:name", compact=True)
        field.cursor_blink = False
        yield field
        yield OptionList(*map(_option, self._entries), id="names")

    def show(self, name: str) -> None:
        """Put the cursor on a name; the user's own folder or file is listed first."""
        self._current = name
        if name not in [entry.name for entry in self._entries] and name != self._own:
            self._own = name
            self._list(self._entries)
        names = self.query_one(OptionList)
        listed = [option.id for option in names.options]
        if name in listed:
            names.highlighted = listed.index(name)

    def search(self) -> None:
        """Focus the field."""
        # Focus at once: the next key belongs to the field.
        self.screen.set_focus(self.query_one(Input))

    def leave(self) -> None:
        """Clear the field and go back to the whole list."""
        self.query_one(Input).value = ""
        self.screen.set_focus(self.query_one(OptionList))

    def _list(self, entries: list[PickEntry], *, with_own: bool = True) -> None:
        names = self.query_one(OptionList)
        names.clear_options()
        if self._own and with_own:
            names.add_option(Option(Text(printable(Path(self._own).name), "italic"), id=self._own))
        names.add_options(map(_option, entries))

    @on(Input.Changed)
    def _find(self, message: Input.Changed) -> None:
        message.stop()
        by_name = found(self._entries, message.value)
        part = message.value.strip().lower()
        # The typed text may also be in the title: "food" as well as "Food101".
        by_title = [entry for entry in self._entries if part and part in entry.note.lower() and entry not in by_name]
        self._list([*by_name, *by_title], with_own=not part)
        names = self.query_one(OptionList)
        if part and names.options:
            names.highlighted = 0
        else:
            self.show(self._current)

    @on(Input.Submitted)
    def _take_typed(self, message: Input.Submitted) -> None:
        message.stop()
        typed = message.value.strip()
        names = self.query_one(OptionList)
        is_path = "/" in typed or "." in typed or "~" in typed
        if not is_path and names.highlighted is not None:
            typed = str(names.get_option_at_index(names.highlighted).id)
        if typed:
            self.post_message(self.Chosen(typed))
            self.leave()

    @on(OptionList.OptionSelected)
    def _take_listed(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self.post_message(self.Chosen(str(message.option.id)))

    @on(OptionList.OptionHighlighted)
    def _pass(self, message: OptionList.OptionHighlighted) -> None:
        message.stop()
        self.post_message(self.Passed(str(message.option.id)))


def _option(entry: PickEntry) -> Option:
    return Option(entry.name, id=entry.name)


def data_of(name: str) -> DataConfig:
    """The data section for a chosen data set: from the preset that trains on it, or else its own defaults."""
    presets = (load_config(preset.name).data for preset in list_presets())
    validation = "test" if find_dataset(name) is not None else 0.2
    return next((data for data in presets if data.dataset == name), DataConfig(dataset=name, validation=validation))
