"""The list of data sets: what is on this machine first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.message import Message

from torchdeck.engine.config import DataConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.data.datasets.catalog import find_dataset, list_datasets
from torchdeck.engine.data.datasets.places import datasets_here

from ...drawing import left, name, right, rule, short_count
from ...keys.bindings import bindings
from ...screens.ask import PromptScreen
from ...screens.pick import PickEntry, found
from ...widgets.filter_field import FilterField, ask_filter
from ...widgets.rows import Rows
from ...working import Working

_COUNT_CELLS = 5
_WAYS = (
    "a folder with one folder of images per class, a folder of arrays, an .npz file,\n"
    "or path/to/file.py:factory, a function of yours that returns a data set"
)


@dataclass(frozen=True)
class _Listed:
    """A row: a data set, or a heading if it has no name."""

    title: str
    name: str = ""
    count: int | None = None
    is_here: bool | None = None


class DataCatalog(Working, Rows):
    """Data sets by where they are; the user's own folder or file comes first."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("catalog")

    @dataclass
    class Chosen(Message):
        """A data set was chosen: a name in the catalog, a path, or `file.py:factory`."""

        name: str

    def __init__(self, id: str | None = None) -> None:
        super().__init__("Data sets", id=id)
        self._here: frozenset[str] | None = None
        self._own: list[str] = []
        self._current = ""
        self._counts: dict[str, int] = {}
        self._part = ""
        self._listed: list[_Listed] = []

    def on_mount(self) -> None:
        """List the names at once."""
        self._list()

    def show(self, name: str, root: str) -> None:
        """Put the cursor on a name, and look for what is below a folder."""
        is_new = name != self._current
        self._current = name
        if find_dataset(name) is None and name not in self._own:
            self._own.insert(0, name)
        self._list(go_to=name if is_new else None)
        self._look(root)

    def counted(self, name: str, samples: int) -> None:
        """Show how many samples an opened data set has."""
        self._counts[name] = samples
        self._list()

    def is_here(self, name: str) -> bool:
        """Whether a data set of the catalog lies on this machine, as far as that is known."""
        return name in (self._here or ())

    @property
    def name_under_cursor(self) -> str:
        """Name or path under the cursor; empty without one."""
        return self._listed[self.cursor].name if self.cursor < len(self._listed) else ""

    @property
    def is_filtered(self) -> bool:
        """Whether a filter hides some data sets."""
        return bool(self._part)

    def show_all(self) -> None:
        """Clear the filter."""
        self._part = ""
        self._list(go_to=self._current)

    @work(exclusive=True, group="look")
    async def _look(self, root: str) -> None:
        # A root on a network may answer late.
        self._here = await asyncio.to_thread(datasets_here, root)
        self._list()

    def action_choose(self) -> None:
        """Choose the data set under the cursor."""
        if self.name_under_cursor:
            self.post_message(self.Chosen(self.name_under_cursor))

    async def action_filter(self) -> None:
        """Filter by a part of a name or a title."""
        await ask_filter(self, self._part, "part of a name or of what it shows")

    def on_filter_field_typed(self, message: FilterField.Typed) -> None:
        """Show what matches."""
        message.stop()
        self._part = message.text
        self._list(go_to=None if self._part else self._current, at=0 if self._part else None)

    def action_open(self) -> None:
        """Ask for a folder, a file or a factory."""

        def take(path: str | None) -> None:
            if path:
                self.post_message(self.Chosen(path))

        self.app.push_screen(PromptScreen("Open data", _WAYS), take)

    def _list(self, *, go_to: str | None = None, at: int | None = None) -> None:
        under = self.name_under_cursor
        before = go_to or under or self._current
        self._listed = self._matching() if self._part else self._sections()
        places = [number for number, row in enumerate(self._listed) if row.name == before]
        total = sum(bool(row.name) for row in self._listed)
        position = f"{total} of {len(list_datasets()) + len(self._own)}" if self._part else f"{total} sets"
        self.set_rows(
            len(self._listed),
            self._line,
            headings={number for number, row in enumerate(self._listed) if not row.name},
            empty=lambda width, height: [f"[$text-muted]no data set matches {name(self._part)}[/]"],
            cursor=at if at is not None else places[0] if places else None,
            position=position,
        )
        if self.name_under_cursor != under:
            self.post_message(self.Moved(self))

    def _matching(self) -> list[_Listed]:
        everything = [row for row in self._sections() if row.name]
        entries = [PickEntry(row.name, row.title) for row in everything]
        by_name = [entry.name for entry in found(entries, self._part)]
        part = self._part.lower()
        by_title = [entry.name for entry in entries if part in entry.note.lower() and entry.name not in by_name]
        rows = {row.name: row for row in everything}
        return [rows[each] for each in [*by_name, *by_title]]

    def _sections(self) -> list[_Listed]:
        own = [_Listed(Path(path).name, path, self._counts.get(path), True) for path in self._own]
        here, fetch, by_hand = list(own), list[_Listed](), list[_Listed]()
        for entry in list_datasets():
            is_here = entry.obtain == "embedded" or (None if self._here is None else entry.name in self._here)
            row = _Listed(entry.title, entry.name, self._counts.get(entry.name, entry.train_size), is_here)
            (here if is_here else by_hand if entry.obtain == "manual" else fetch).append(row)
        names = ("Here", "To download", "By hand")
        return [
            row
            for heading, rows in zip(names, (here, fetch, by_hand), strict=True)
            for row in ([_Listed(heading), *rows] if rows else [])
        ]

    def _line(self, number: int, width: int) -> str:
        row = self._listed[number]
        if not row.name:
            return rule(row.title, width)
        mark = "[$success]●[/]" if row.is_here else "[$text-disabled]○[/]"
        shown = row.title if find_dataset(row.name) is None else row.name
        count = "" if row.count is None else short_count(row.count)
        room = max(1, width - 3 - _COUNT_CELLS)
        return f"{mark} {left(shown, room)} [$text-muted]{right(count, _COUNT_CELLS)}[/]"


def data_of(name: str) -> DataConfig:
    """The data section for a chosen data set: from the preset that trains on it, or else its own defaults."""
    presets = (load_config(preset.name).data for preset in list_presets())
    validation = "test" if find_dataset(name) is not None else 0.2
    return next((data for data in presets if data.dataset == name), DataConfig(dataset=name, validation=validation))
