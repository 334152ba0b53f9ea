"""A line chart that is drawn by plotext and costs a fixed share of one core, however long the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.reactive import var
from textual.strip import Strip
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget

from tui.widgets.plain_text import printable
from tui.widgets.plot import Curve, draw, frame_for, labelled, segments_of
from tui.widgets.series import exponential_average, short_number

if TYPE_CHECKING:
    import numpy as np

PALETTE = ("#4c9be8", "#e8a04c", "#6cc070", "#d96c8f", "#9a7fe0", "#4fb8b0")
SMOOTHING_WEIGHTS = (0.0, 0.6, 0.9, 0.98)
SHORTEST_WAIT, LONGEST_WAIT = 0.5, 5.0  # seconds between two drawings
_SMALLEST_PLOT = (16, 4)  # columns, rows: below it only the legend is shown


@dataclass
class _Series:
    x: np.ndarray
    y: np.ndarray
    color: str
    is_smoothed: bool
    signature: tuple[object, ...]
    average: tuple[float, np.ndarray] | None = None
    """The smoothing weight and what it gave, kept until either changes."""


class Chart(Widget, can_focus=True):
    """Lines over a common x axis, with a legend of last values.

    Give it data as often as you like with `set_series` and `set_marks`: it draws when something changed, it can be
    seen, and its budget allows it. After a drawing that took c seconds of CPU time the next one comes
    clamp(c / budget, 0.5 s, 5 s) later; a timer runs only while a change waits. A new size is drawn at once, and so is
    what `draw_last` is called for.

    Attributes:
        log_y: Whether the y axis is logarithmic; values that are not positive are then gaps.
        smoothing: Weight of the exponential average that is drawn over the faint raw values; 0 draws raw values.
        drawings: How many times the plot has been drawn.
        cost: CPU seconds of the last drawing, Textual's own work included.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"chart--axis", "chart--title"}
    DEFAULT_CSS = """
    Chart {
        height: 1fr;
        min-height: 5;
        & > .chart--axis { color: $text-muted; }
        & > .chart--title { text-style: bold; }
        &:focus > .chart--title { text-style: bold underline; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "toggle_log", "log y", id="chart.log"),
        Binding("m", "next_smoothing", "smooth", id="chart.smooth"),
    ]

    log_y: var[bool] = var(False, init=False)
    smoothing: var[float] = var(0.0, init=False)

    def __init__(
        self,
        title: str = "",
        *,
        empty: str = "no data yet",
        x_label: str = "",
        budget: float = 0.01,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """A chart without data.

        Args:
            title: Shown before the legend.
            empty: Shown while there is nothing to draw.
            x_label: What the x axis counts, such as "step"; in the line of its ticks, where they leave room for it.
            budget: Share of one core's time that drawing may take; charts shown together share what there is.
            id: As for every widget.
            classes: As for every widget.
        """
        super().__init__(id=id, classes=classes)
        self._title = title
        self._empty = empty
        self._x_label = x_label
        self._budget = budget
        self._series: dict[str, _Series] = {}
        self._marks: tuple[tuple[float, str], ...] = ()
        self._strips: list[Strip] = []
        self._is_changed = True
        self._next_drawing = 0.0
        self._timer: Timer | None = None
        self.drawings = 0
        self.cost = 0.0

    @property
    def title(self) -> str:
        """Shown before the legend."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        self._is_changed = self._is_changed or title != self._title
        self._title = title

    def set_series(
        self,
        name: str,
        x: Sequence[float] | np.ndarray,
        y: Sequence[float] | np.ndarray,
        color: str | None = None,
        *,
        is_smoothed: bool = True,
    ) -> None:
        """Set or replace one line.

        Args:
            name: Its name in the legend; lines are drawn in the order in which names first came.
            x: Positions, shape [N]; expected to ascend, otherwise points are sorted. A point without a finite
                position is left out.
            y: Values, shape [N]; NaN and infinite ones are gaps.
            color: A CSS colour or a variable of the theme such as `$primary`; otherwise the palette's next one.
            is_smoothed: Whether `smoothing` applies to it.

        Raises:
            ValueError: x and y differ in length.
        """
        import numpy as np

        x_values = np.asarray(x, dtype=np.float64)
        y_values = np.asarray(y, dtype=np.float64)
        if x_values.shape != y_values.shape:
            raise ValueError(f"series {name!r}: {len(x_values)} positions but {len(y_values)} values")
        if not bool(np.isfinite(x_values).all()):
            has_place = np.isfinite(x_values)
            x_values, y_values = x_values[has_place], y_values[has_place]
        if len(x_values) > 1 and not bool((x_values[1:] >= x_values[:-1]).all()):
            order = np.argsort(x_values, kind="stable")
            x_values, y_values = x_values[order], y_values[order]
        old = self._series.get(name)
        if color is None:
            color = old.color if old else PALETTE[len(self._series) % len(PALETTE)]
        ends = (x_values[0], x_values[-1], repr(y_values[-1])) if len(x_values) else ()
        with np.errstate(invalid="ignore", over="ignore"):
            total = repr(np.nansum(y_values))
        signature = (len(x_values), *ends, total, color, is_smoothed)
        if old is None or old.signature != signature:
            self._series[name] = _Series(x_values, y_values, color, is_smoothed, signature)
            self._change()

    def set_marks(self, marks: Sequence[tuple[float, str]]) -> None:
        """Vertical lines at these positions, each with a letter on top (`(938, "R")` for a resume)."""
        if tuple(marks) != self._marks:
            self._marks = tuple(marks)
            self._change()

    def clear(self) -> None:
        """Forget all lines and marks; shown at once."""
        self._series.clear()
        self._marks = ()
        self._redraw()

    def request_redraw(self) -> None:
        """Draw if something changed, can be seen and the budget allows it; else later, or not at all."""
        if not self._is_changed or self._timer is not None or not self._can_be_seen():
            return
        wait = self._next_drawing - time.monotonic()
        if wait <= 0:
            self._draw()
        else:
            self._timer = self.set_timer(wait, self._on_budget)

    def draw_last(self) -> None:
        """Draw what changed at once, whatever the budget: nothing follows that a later drawing could show with it."""
        if self._is_changed and self._can_be_seen():
            self._draw()

    def action_toggle_log(self) -> None:
        """Switch between a linear and a logarithmic y axis."""
        self.log_y = not self.log_y

    def action_next_smoothing(self) -> None:
        """Smooth more, and after the strongest not at all."""
        stronger = [weight for weight in SMOOTHING_WEIGHTS if weight > self.smoothing]
        self.smoothing = stronger[0] if stronger else SMOOTHING_WEIGHTS[0]

    def watch_log_y(self) -> None:
        """The user waits for this: draw now."""
        self._redraw()

    def watch_smoothing(self) -> None:
        """The user waits for this: draw now."""
        self._redraw()

    def on_mount(self) -> None:
        """Follow the theme's colours."""
        self.app.theme_changed_signal.subscribe(self, self._on_theme)

    def on_show(self) -> None:
        """What changed while hidden is drawn now."""
        self.request_redraw()

    def on_resize(self, event: events.Resize) -> None:
        """A drawing fits one size only."""
        self._redraw()

    def on_focus(self) -> None:
        """The title shows the focus."""
        self._redraw()

    def on_blur(self) -> None:
        """The title shows the focus."""
        self._redraw()

    def render(self) -> RenderResult:
        """Everything is in `render_line`."""
        return ""

    def render_line(self, y: int) -> Strip:
        """One line of the last drawing."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _change(self) -> None:
        self._is_changed = True
        if self.is_mounted:
            self.request_redraw()

    def _redraw(self) -> None:
        self._is_changed = True
        if self.is_mounted and self._can_be_seen():
            self._draw()

    def _on_theme(self, theme: Theme) -> None:
        self._redraw()

    def _on_budget(self) -> None:
        self._timer = None
        self.request_redraw()

    def _can_be_seen(self) -> bool:
        return bool(
            self.size
            and self.is_on_screen
            and all(node.display for node in self.ancestors_with_self if isinstance(node, Widget))
        )

    def _draw(self) -> None:
        started = time.thread_time()
        self._is_changed = False
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        width, height = self.size
        base = self.rich_style
        plot = self._plot_lines(width, height - 1)
        lines = [self._title_line(), *plot]
        self._strips = [Strip(segments).adjust_cell_length(width, base) for segments in lines]
        self.drawings += 1
        self.refresh()
        self.call_after_refresh(self._account, started)

    def _account(self, started: float) -> None:
        self.cost = time.thread_time() - started
        wait = min(max(self.cost / self._budget, SHORTEST_WAIT), LONGEST_WAIT)
        self._next_drawing = time.monotonic() + wait

    def _title_line(self) -> list[Segment]:
        base = self.rich_style
        title_style = base + self.get_component_rich_style("chart--title", partial=True)
        axis_style = base + self.get_component_rich_style("chart--axis", partial=True)
        legend = [
            (f"{printable(name)} ", short_number(float(self._smoothed(series)[-1])), self._resolve(series.color))
            for name, series in self._series.items()
            if len(series.y)
        ]
        needed = cell_len(printable(self._title)) + sum(4 + cell_len(name + last) for name, last, _ in legend)
        gap = "  " if needed <= self.size.width else " "
        segments = [Segment(printable(self._title), title_style)]
        for name, last, color in legend:
            segments += [
                Segment(f"{gap if len(segments) > 1 or self._title else ''}━ ", base + Style(color=color.rich_color)),
                Segment(name, base),
                Segment(last, base + Style(bold=True)),
            ]
        settings = ["log y"] * self.log_y + [f"smooth {self.smoothing:g}"] * (self.smoothing > 0)
        if settings:
            segments.append(Segment("  " + " · ".join(settings), axis_style))
        return segments

    def _plot_lines(self, width: int, height: int) -> list[list[Segment]]:
        if width < _SMALLEST_PLOT[0] or height < _SMALLEST_PLOT[1]:
            return []
        curves = self._curves()
        frame = frame_for(curves, (width, height), is_log=self.log_y)
        if frame is None:
            axis_style = self.rich_style + self.get_component_rich_style("chart--axis", partial=True)
            line = Segment(self._why_nothing_is_drawn().center(width), axis_style)
            return [*([] for _ in range((height - 1) // 2)), [line]]
        axis = self.get_component_styles("chart--axis").color
        axis_color = self._on_background(axis).rgb
        marks = [mark for mark in self._marks if frame.x_limits[0] <= mark[0] <= frame.x_limits[1]]
        drawn = draw((width, height), frame, curves, marks, axis_color)
        base = self.rich_style
        lines = [segments_of(line, base) for line in drawn.split("\n")[:height]]
        lines[-1] = labelled(lines[-1], self._x_label, width, base + Style(color=self._on_background(axis).rich_color))
        return lines

    def _why_nothing_is_drawn(self) -> str:
        if not any(len(series.y) for series in self._series.values()):
            return self._empty
        return "nothing above zero for a log axis" if self.log_y else "no finite values"

    def _smoothed(self, series: _Series) -> np.ndarray:
        if not (self.smoothing and series.is_smoothed):
            return series.y
        if series.average is None or series.average[0] != self.smoothing:
            series.average = (self.smoothing, exponential_average(series.y, self.smoothing))
        return series.average[1]

    def _curves(self) -> list[Curve]:
        import numpy as np

        curves = []
        for series in self._series.values():
            color = self._resolve(series.color)
            if self.smoothing and series.is_smoothed:
                faint = color.blend(self.background_colors[1], 0.65)
                curves.append(Curve(series.x, series.y, faint.rgb, is_faint=True))
            curves.append(Curve(series.x, self._smoothed(series), color.rgb))
        for curve in curves:
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.log10(curve.y) if self.log_y else curve.y
            curve.y = np.where(np.isfinite(y), y, np.nan)
        # Faint lines lie below all others.
        return sorted(curves, key=lambda curve: not curve.is_faint)

    def _resolve(self, color: str) -> Color:
        if color.startswith("$"):
            color = self.app.theme_variables.get(color[1:], PALETTE[0])
        return Color.parse(color)

    def _on_background(self, color: Color) -> Color:
        background = self.background_colors[1]
        if color.auto is not None:
            color = background.get_contrast_text(color.a)
        return background + color
