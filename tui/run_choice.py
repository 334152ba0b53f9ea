"""Which of all runs are shown, and in which order: a filter that is being typed, and the catalogue it chooses from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchdeck.engine.errors import ConfigError

if TYPE_CHECKING:
    from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
    from torchdeck.engine.runs.browsing.run_filter import RunFilter
    from torchdeck.engine.runs.on_disk.directory import RunSummary


class RunChoice:
    """What `look` found last, and what it is to find next.

    Attributes:
        root: the folder that holds the runs.
        filter_text: which runs are shown; see `torchdeck.engine.runs.browsing.run_filter`.
        filter_error: what is wrong with the filter; empty when nothing is.
        runs: those that are shown, in order.
        count: how many there are in all.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.filter_text = ""
        self.filter_error = ""
        self.runs: list[RunSummary] = []
        self.count = 0
        self._order = "newest"
        self._is_reversed = False
        self._catalog: RunCatalog | None = None

    @property
    def catalog(self) -> RunCatalog:
        """All runs, as far as they were looked at."""
        from torchdeck.engine.runs.browsing.run_catalog import RunCatalog

        if self._catalog is None:
            self._catalog = RunCatalog(self.root)
        return self._catalog

    def sort_by(self, order: str) -> None:
        """Sort by this; a second time, the other way round."""
        self._is_reversed = not self._is_reversed if order == self._order else False
        self._order = order

    def sort_by_next(self) -> None:
        """Sort by the next of the orders there are."""
        from torchdeck.engine.runs.browsing.run_order import ORDERS

        self.sort_by(ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)])

    def reverse(self) -> None:
        """Sort the other way round."""
        self._is_reversed = not self._is_reversed

    def look(self) -> list[RunSummary]:
        """The runs to show now, in order. Reads the disk; for a thread. `show` makes them those that are shown.

        Raises:
            OSError: the folder can't be read.
        """
        from torchdeck.engine.runs.browsing.run_filter import parse_filter
        from torchdeck.engine.runs.browsing.run_order import in_order

        found = self.catalog.look()
        self.count = len(found)
        chosen: RunFilter | None = None
        settings: list[dict[str, Any]] = []
        try:
            chosen = parse_filter(self.filter_text)
            settings = [self.catalog.settings(run) if chosen.terms else {} for run in found]
            chosen.check_keys(found, settings)
            self.filter_error = ""
        except ConfigError as error:
            self.filter_error = str(error)
        if chosen is None or self.filter_error:
            # Half a filter is being typed: what was shown stays.
            names = {run.name for run in self.runs}
            runs = [run for run in found if run.name in names]
        else:
            runs = [run for run, own in zip(found, settings, strict=True) if chosen.matches(run, own)]
        return in_order(runs, self._order, is_reversed=self._is_reversed)

    def look_closer(self, runs: Sequence[RunSummary], *, with_settings: bool) -> bool:
        """What the catalogue is to know of these runs; for a thread. Returns whether anything of it is new."""
        is_new = False
        for run in runs:
            known = self.catalog.known_extent(run)
            is_new = self.catalog.extent(run) is not known or is_new
            if with_settings:
                settings = self.catalog.known_settings(run)
                is_new = self.catalog.settings(run) is not settings or is_new
        return is_new

    def in_words(self) -> tuple[str, str]:
        """What is shown of how many in which order, or what is wrong with the filter; and the colour to say it in."""
        if self.filter_error:
            return self.filter_error, "yellow"
        if not self.count:
            return f"no runs in {self.root} yet: s starts one", ""
        shown = f"{len(self.runs)} of the " if len(self.runs) != self.count else ""
        words = f"{shown}{self.count} run{'s' * (self.count != 1)}"
        if self._order != "newest" or self._is_reversed:
            words += f" by {self._order}{', the other way round,' * self._is_reversed}"
        return f"{words} in {self.root}{f' · {self.filter_text}' * bool(self.filter_text)}", ""
