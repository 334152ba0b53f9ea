"""Selects and sorts the runs to show: a filter that is being typed, and the catalog that it searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchdeck.engine.errors import ConfigError

from ..words.runs.run_lists import shared_metric

if TYPE_CHECKING:
    from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
    from torchdeck.engine.runs.browsing.run_filter import RunFilter
    from torchdeck.engine.runs.browsing.seed_groups import SeedGroup
    from torchdeck.engine.runs.on_disk.directory import RunSummary

NEWEST = "newest"
# Columns that show a setting sort by it; the others have the name of their order.
_SETTINGS = {"model": "model.name", "data": "data.dataset", "lr": "optimizer.lr"}
# With more runs than this, the configs are read only of those on the screen, also to see that they are sound.
_MOST_COMPARED = 500


class RunChoice:
    """The runs that `look` found, and the filter and order of the next `look`.

    Attributes:
        root: folder that holds the runs.
        filter_text: filter of the runs to show; see `torchdeck.engine.runs.browsing.run_filter`.
        filter_error: error in the filter; empty if it is valid.
        runs: runs to show, in order.
        count: number of all runs.
        paths: directories of all runs.
        order: what the runs are sorted by: a column of the table, or `NEWEST`.
        is_reversed: whether they are in the reverse of that order.
        best: directories of the runs with the best value of all on the same data.
        is_by_seed: whether runs that differ by the seed alone are one line.
        groups: the groups of the lines, by the directory of their newest run; empty unless `is_by_seed`.
    """

    def __init__(self, root: Path, *, is_wide: bool = False) -> None:
        """Nothing is read yet.

        Args:
            root: folder that holds the runs.
            is_wide: whether runs of other trainers, at any depth below it, are found too.
        """
        self.root = root
        self._is_wide = is_wide
        self.filter_text = ""
        self.filter_error = ""
        self.runs: list[RunSummary] = []
        self.count = 0
        self.paths: frozenset[Path] = frozenset()
        self.order = NEWEST
        self.is_reversed = False
        self.best: frozenset[Path] = frozenset()
        self.is_by_seed = False
        self.groups: dict[Path, SeedGroup] = {}
        self._catalog: RunCatalog | None = None

    @property
    def catalog(self) -> RunCatalog:
        """The catalog of all runs read so far."""
        if self._catalog is None and self._is_wide:
            from torchdeck.engine.foreign.catalog import WideCatalog

            self._catalog = WideCatalog([self.root])
        elif self._catalog is None:
            from torchdeck.engine.runs.browsing.run_catalog import RunCatalog

            self._catalog = RunCatalog(self.root)
        return self._catalog

    @property
    def metric(self) -> str:
        """The metric of the best value of every shown run; empty if they differ in it."""
        return shared_metric(self.runs)

    @property
    def has_sources(self) -> bool:
        """Whether some of the shown runs are of other programs."""
        from torchdeck.engine.runs.on_disk.directory import TORCHDECK

        return any(run.source != TORCHDECK for run in self.runs)

    def sort_by(self, order: str) -> None:
        """Sort by this column; if it is the current one, reverse it."""
        self.is_reversed = not self.is_reversed if order == self.order else False
        self.order = order

    def look(self) -> list[RunSummary]:
        """Find the runs to show, in order. Reads the disk: call it in a thread.

        Raises:
            OSError: the folder can't be read.
        """
        from torchdeck.engine.runs.browsing.run_filter import parse_filter

        chosen: RunFilter | None = None
        settings: list[dict[str, Any]] = []
        found = self.catalog.look(None if self._is_status_asked() else _MOST_COMPARED)
        self.count, self.paths = len(found), frozenset(run.path for run in found)
        try:
            chosen = parse_filter(self.filter_text)
            settings = [self.catalog.settings(run) if chosen.terms else {} for run in found]
            chosen.check_keys(found, settings)
            self.filter_error = ""
        except ConfigError as error:
            self.filter_error = str(error)
        if chosen is None or self.filter_error:
            # The filter is incomplete: keep the runs that are shown.
            paths = {run.path for run in self.runs}
            runs = [run for run in found if run.path in paths]
        else:
            runs = [run for run, own in zip(found, settings, strict=True) if chosen.matches(run, own)]
        self.best = self._best_of(found)
        return self._in_order(self._grouped(runs))

    def _grouped(self, runs: list[RunSummary]) -> list[RunSummary]:
        """One summary for each group of seeds, with the means of its runs, where that is wanted."""
        from torchdeck.engine.runs.browsing.seed_groups import seed_groups

        if not self.is_by_seed:
            self.groups = {}
            return runs
        groups = seed_groups(runs, self.catalog.settings)
        self.groups = {group.runs[0].path: group for group in groups}
        return [group.summary() for group in groups]

    def _in_order(self, runs: list[RunSummary]) -> list[RunSummary]:
        from torchdeck.engine.runs.browsing.run_order import in_order

        order = _SETTINGS.get(self.order, self.order)
        try:
            return in_order(runs, order, is_reversed=self.is_reversed, settings=self.catalog.settings)
        except ConfigError:
            # No run has such a value, so that none comes before another.
            return runs

    def _best_of(self, runs: Sequence[RunSummary]) -> frozenset[Path]:
        """The runs with the best value among those on the same data, where there are several of them."""
        from torchdeck.engine.metric_names import metric

        if len(runs) > _MOST_COMPARED:
            return frozenset()
        groups: dict[tuple[str, object], list[tuple[float, Path]]] = {}
        for run in runs:
            if run.best is not None and run.best["value"] == run.best["value"]:
                data = self.catalog.settings(run).get("data.dataset")
                groups.setdefault((run.best["metric"], data), []).append((run.best["value"], run.path))
        return frozenset(
            (max if metric(name).larger_is_better else min)(group)[1]
            for (name, _), group in groups.items()
            if len(group) > 1
        )

    def look_closer(self, runs: Sequence[RunSummary]) -> bool:
        """Read size, losses and settings of these runs, and whether their configs are sound; call it in a thread.

        Returns whether anything is new.
        """
        is_new = self._check(runs)
        for run in runs:
            extent, settings = self.catalog.known_extent(run), self.catalog.known_settings(run)
            is_new = self.catalog.extent(run) is not extent or is_new
            is_new = self.catalog.settings(run) is not settings or is_new
        return is_new

    def _is_status_asked(self) -> bool:
        """Whether which runs are shown, or their order, depends on what is damaged."""
        return self.order == "status" or "status" in self.filter_text

    def _check(self, runs: Sequence[RunSummary]) -> bool:
        """Check the configs that were not checked. Returns whether any run reads differently now."""
        checked = [(run, self.catalog.checked(run)) for run in runs]
        new = {before.path: now for before, now in checked if now is not before}
        if new:
            self.runs = [new.get(run.path, run) for run in self.runs]
        return bool(new)

    def settings(self, run: RunSummary) -> Mapping[str, Any] | None:
        """The config of a run if it was read before."""
        return self.catalog.known_settings(run)
