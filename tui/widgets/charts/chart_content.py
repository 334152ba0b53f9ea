"""What a chart shows: its lines and marks, and the words around them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from ..panel import Panel
from .chart_series import ChartSeries, series_of
from .chart_view import Limits

if TYPE_CHECKING:
    import numpy as np

_COLORS = 8  # theme variables $series-1 and following


class ChartContent(Panel):
    """Lines, marks and words of a chart. What changes is drawn by `Chart`."""

    def __init__(self, title: str, *, empty: str, x_label: str, id: str | None, classes: str) -> None:
        super().__init__(id=id, classes=classes)
        self._title = title
        self._empty = empty
        self._x_label = x_label
        self._note = ""
        self._series: dict[str, ChartSeries] = {}
        self._hidden: frozenset[str] = frozenset()
        self._marks: tuple[tuple[float, str], ...] = ()
        self._is_changed = True
        self._fill: Callable[[], None] | None = None

    def refill(self, fill: Callable[[], None]) -> None:
        """There may be other data: `fill` sets it, before the next drawing. Costs nothing while nothing is drawn."""
        self._fill = fill

    def _fill_up(self) -> None:
        fill, self._fill = self._fill, None
        if fill is not None:
            fill()

    def _change(self) -> None:
        """Lines or marks have changed."""
        self._is_changed = True

    @property
    def title(self) -> str:
        """Text before the legend."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        if title != self._title:
            self._is_changed, self._hidden = True, frozenset()
        self._title = title

    @property
    def x_label(self) -> str:
        """Unit of the x axis."""
        return self._x_label

    @x_label.setter
    def x_label(self, label: str) -> None:
        self._is_changed = self._is_changed or label != self._x_label
        self._x_label = label

    @property
    def empty(self) -> str:
        """Text shown while there is nothing to draw."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        self._is_changed = self._is_changed or text != self._empty
        self._empty = text

    @property
    def note(self) -> str:
        """Markup in the frame's lower right, before the settings, if there is room: the meaning of marks."""
        return self._note

    @note.setter
    def note(self, note: str) -> None:
        self._is_changed = self._is_changed or note != self._note
        self._note = note

    def set_series(
        self,
        name: str,
        x: Sequence[float] | np.ndarray,
        y: Sequence[float] | np.ndarray,
        color: str | None = None,
        *,
        is_smoothed: bool = True,
        band: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Set or replace one line.

        Args:
            name: name in the legend; lines are drawn in the order in which names first appeared.
            x: positions, shape [N]; sorted if they do not ascend. Points without a finite position are dropped.
            y: values, shape [N]; NaN and infinite values are gaps.
            color: CSS color or theme variable; by default, the next of `$series-1` to `$series-8`.
            is_smoothed: whether `smoothing` applies to the line.
            band: lower and upper edge of a faint band around the line, shape [N] each; x must ascend then.

        Raises:
            ValueError: x and y differ in length.
        """
        old = self._series.get(name)
        if color is None:
            color = old.color if old else f"$series-{len(self._series) % _COLORS + 1}"
        series = series_of(name, x, y, color, is_smoothed=is_smoothed, band=band)
        if old is None or old.signature != series.signature:
            self._series[name] = series
            self._change()

    def keep_series(self, names: Collection[str]) -> None:
        """Remove all lines except those with these names."""
        if not set(self._series) <= set(names):
            self._series = {name: series for name, series in self._series.items() if name in names}
            self._change()

    def set_marks(self, marks: Sequence[tuple[float, str]]) -> None:
        """Set vertical lines at these positions, each with a letter on top (`(938, "R")` for a resume)."""
        if tuple(marks) != self._marks:
            self._marks = tuple(marks)
            self._change()

    def _in_legend(self) -> dict[str, ChartSeries]:
        """The lines that have values, in their order."""
        return {name: series for name, series in self._series.items() if len(series.y)}

    def _everything(self) -> Limits | None:
        """The positions of the first and the last point; None without points."""
        ends = [(float(series.x[0]), float(series.x[-1])) for series in self._series.values() if len(series.x)]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None

    def _longest(self) -> np.ndarray:
        """The positions of the line with the most points."""
        return max(self._series.values(), key=lambda series: len(series.x)).x

    def _has_smoothed(self) -> bool:
        """Whether smoothing applies to any line."""
        return any(series.is_smoothed for series in self._series.values())
