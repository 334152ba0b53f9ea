"""Selects and sorts the runs to show: a filter that is being typed, and the catalog that it searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.plurals import plural

if TYPE_CHECKING:
    from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
    from torchdeck.engine.runs.browsing.run_filter import RunFilter
    from torchdeck.engine.runs.on_disk.directory import RunSummary

# A longer path is cut at its start, so that the order behind it stays visible.
_ROOT_CELLS = 30


class RunChoice:
    """The runs that `look` found, and the filter and order of the next `look`.

    Attributes:
        root: folder that holds the runs.
        filter_text: filter of the runs to show; see `torchdeck.engine.runs.browsing.run_filter`.
        filter_error: error in the filter; empty if it is valid.
        runs: runs to show, in order.
        count: number of all runs.
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
        """The catalog of all runs read so far."""
        from torchdeck.engine.runs.browsing.run_catalog import RunCatalog

        if self._catalog is None:
            self._catalog = RunCatalog(self.root)
        return self._catalog

    def sort_by(self, order: str) -> None:
        """Sort by this order; if it is the current one, reverse it."""
        self._is_reversed = not self._is_reversed if order == self._order else False
        self._order = order

    def sort_by_next(self) -> None:
        """Sort by the next order."""
        from torchdeck.engine.runs.browsing.run_order import ORDERS

        # A metric, whose heading was chosen, is none of them.
        at = ORDERS.index(self._order) if self._order in ORDERS else -1
        self.sort_by(ORDERS[(at + 1) % len(ORDERS)])

    def reverse(self) -> None:
        """Reverse the sort."""
        self._is_reversed = not self._is_reversed

    def look(self) -> list[RunSummary]:
        """Find the runs to show, in order. Reads the disk: call it in a thread, then pass the result to `show`.

        Raises:
            OSError: the folder can't be read.
        """
        from torchdeck.engine.runs.browsing.run_filter import parse_filter
        from torchdeck.engine.runs.browsing.run_order import ORDERS, in_order

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
            # The filter is incomplete: keep the runs that are shown.
            names = {run.name for run in self.runs}
            runs = [run for run in found if run.name in names]
        else:
            runs = [run for run, own in zip(found, settings, strict=True) if chosen.matches(run, own)]
        is_known = self._order in ORDERS or any(self._order in run.metrics for run in runs)
        # A metric that no run has any more sorts nothing.
        return in_order(runs, self._order if is_known else ORDERS[0], is_reversed=self._is_reversed)

    def look_closer(self, runs: Sequence[RunSummary], *, with_settings: bool) -> bool:
        """Read details of these runs into the catalog; call it in a thread. Returns whether anything is new."""
        is_new = False
        for run in runs:
            known = self.catalog.known_extent(run)
            is_new = self.catalog.extent(run) is not known or is_new
            if with_settings:
                settings = self.catalog.known_settings(run)
                is_new = self.catalog.settings(run) is not settings or is_new
        return is_new

    def in_words(self) -> tuple[str, str]:
        """Describe how many runs are shown in which order, or the filter's error. Returns text and color."""
        if self.filter_error:
            return self.filter_error, "yellow"
        if not self.count:
            return f"no runs in {self.root} yet: press s to start one", ""
        shown = f"{len(self.runs)} of the " if len(self.runs) != self.count else ""
        root = str(self.root)
        if len(root) > _ROOT_CELLS:
            root = f"…{root[1 - _ROOT_CELLS :]}"
        words = [f"{shown}{plural(self.count, 'run')} in {root}"]
        if self._order == "newest":
            words += ["oldest first"] * self._is_reversed
        else:
            words.append(f"by {self._order}{', reversed' * self._is_reversed}")
        return " · ".join(filter(None, [*words, self.filter_text])), ""
