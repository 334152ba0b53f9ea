"""A line chart drawn by plotext; its cost is a fixed share of one core, however long the run."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.reactive import var
from textual.strip import Strip
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget

from .chart_series import ChartSeries, series_of
from .chart_title import Heading, Part
from .chart_view import Limits, View, moved, zoomed
from .plot import Curve, draw, frame_for, labeled, segments_of

if TYPE_CHECKING:
    import numpy as np

PALETTE = ("#4c9be8", "#e8a04c", "#6cc070", "#d96c8f", "#9a7fe0", "#4fb8b0")
SMOOTHING_WEIGHTS = (0.0, 0.6, 0.9, 0.98)
SHORTEST_WAIT, LONGEST_WAIT = 0.5, 5.0  # seconds between two drawings
_SMALLEST_PLOT = (16, 4)  # columns, rows: a smaller chart shows only its legend


class Chart(Widget, can_focus=True):
    """Lines over a common x axis, with a legend of last values.

    Call `set_series` and `set_marks` as often as you like: the chart draws if something changed, it is visible and
    its budget allows. After a drawing that took c seconds of CPU time, the next one comes clamp(c / budget, 0.5 s,
    5 s) later; a timer runs only while a change waits. A new size and `draw_last` draw at once.

    Attributes:
        log_y: whether the y axis is logarithmic; values that are not positive are then gaps.
        smoothing: weight of the exponential average that is drawn over the faint raw values; 0 draws raw values.
        drawings: number of times the plot was drawn.
        cost: CPU seconds of the last drawing, including Textual's work.
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
        Binding("plus,equals_sign", "zoom(True)", "zoom in", key_display="+", id="chart.zoom_in"),
        Binding("minus", "zoom(False)", "zoom out", key_display="-", show=False, id="chart.zoom_out"),
        Binding("left", "cursor(-1)", "move the cursor left: read values at a step", show=False, id="chart.left"),
        Binding("right", "cursor(1)", "move the cursor right", show=False, id="chart.right"),
        Binding("shift+left", "cursor(-10)", "ten columns to the left", show=False, id="chart.far_left"),
        Binding("shift+right", "cursor(10)", "ten columns to the right", show=False, id="chart.far_right"),
        Binding("escape", "show_all", "clear cursor, then zoom", show=False, id="chart.all"),
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
        """Create a chart without data.

        Args:
            title: text before the legend.
            empty: text shown while there is nothing to draw.
            x_label: unit of the x axis, such as "step"; shown in the line of ticks if there is room.
            budget: share of one core's time that drawing may take; charts shown together split it.
            id: id of the widget.
            classes: CSS classes of the widget.
        """
        super().__init__(id=id, classes=classes)
        self._title = title
        self._empty = empty
        self._x_label = x_label
        self._budget = budget
        self._series: dict[str, ChartSeries] = {}
        self._marks: tuple[tuple[float, str], ...] = ()
        self._view = View()
        self._strips: list[Strip] = []
        self._is_changed = True
        self._next_drawing = 0.0
        self._timer: Timer | None = None
        self.drawings = 0
        self.cost = 0.0

    @property
    def title(self) -> str:
        """Text before the legend."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        self._is_changed = self._is_changed or title != self._title
        self._title = title

    @property
    def x_label(self) -> str:
        """Unit of the x axis."""
        return self._x_label

    @x_label.setter
    def x_label(self, label: str) -> None:
        self._is_changed = self._is_changed or label != self._x_label
        self._x_label = label

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
            name: name in the legend; lines are drawn in the order in which names first appeared.
            x: positions, shape [N]; sorted if they do not ascend. Points without a finite position are dropped.
            y: values, shape [N]; NaN and infinite values are gaps.
            color: CSS color or theme variable such as `$primary`; by default, the next color of the palette.
            is_smoothed: whether `smoothing` applies to the line.

        Raises:
            ValueError: x and y differ in length.
        """
        old = self._series.get(name)
        if color is None:
            color = old.color if old else PALETTE[len(self._series) % len(PALETTE)]
        series = series_of(name, x, y, color, is_smoothed=is_smoothed)
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

    def clear(self) -> None:
        """Remove all lines and marks, and draw at once."""
        self._series.clear()
        self._marks = ()
        self._view = View()
        self._redraw()

    def request_redraw(self) -> None:
        """Draw if something changed, the chart is visible and the budget allows; otherwise later, or never."""
        if not self._is_changed or self._timer is not None or not self._can_be_seen():
            return
        wait = self._next_drawing - time.monotonic()
        if wait <= 0:
            self._draw()
        else:
            self._timer = self.set_timer(wait, self._on_budget)

    def draw_last(self) -> None:
        """Draw changes at once, whatever the budget, because no more data will follow."""
        if self._is_changed and self._can_be_seen():
            self._draw()

    def action_toggle_log(self) -> None:
        """Switch between a linear and a logarithmic y axis."""
        self.log_y = not self.log_y

    def action_next_smoothing(self) -> None:
        """Switch to the next smoothing; after the strongest, to none."""
        stronger = [weight for weight in SMOOTHING_WEIGHTS if weight > self.smoothing]
        self.smoothing = stronger[0] if stronger else SMOOTHING_WEIGHTS[0]

    @property
    def view(self) -> View:
        """The visible range of the x axis, and the position of the cursor."""
        return self._view

    @view.setter
    def view(self, view: View) -> None:
        if view != self._view:
            self._view = view
            self._redraw()

    def action_zoom(self, is_in: bool) -> None:
        """Halve or double the visible range, around the cursor or at the newest end."""
        everything = self._everything()
        if everything is not None:
            self.view = zoomed(self._view, everything, is_in=is_in)

    def action_cursor(self, by: int) -> None:
        """Put a cursor on the plot, or move it by columns; the legend then shows the values there."""
        everything = self._everything()
        if everything is not None:
            longest = max(self._series.values(), key=lambda series: len(series.x))
            self.view = moved(self._view, everything, longest.x, self.size.width, by)

    def action_show_all(self) -> None:
        """Clear the cursor; if there is none, show the whole x axis."""
        if self._view == View():
            raise SkipAction
        self.view = replace(self._view, cursor=None) if self._view.cursor is not None else View()

    def watch_log_y(self) -> None:
        """Draw now, because the user waits for it."""
        self._redraw()

    def watch_smoothing(self) -> None:
        """Draw now, because the user waits for it."""
        self._redraw()

    def on_mount(self) -> None:
        """Use the colors of the theme."""
        self.app.theme_changed_signal.subscribe(self, self._on_theme)

    def on_show(self) -> None:
        """Draw the changes made while the chart was hidden."""
        self.request_redraw()

    def on_resize(self, event: events.Resize) -> None:
        """Draw again, since a drawing fits one size only."""
        self._redraw()

    def on_focus(self) -> None:
        """Redraw the title, which shows the focus."""
        self._redraw()

    def on_blur(self) -> None:
        """Redraw the title, which shows the focus."""
        self._redraw()

    def render(self) -> RenderResult:
        """Render nothing here; `render_line` draws everything."""
        return ""

    def render_line(self, y: int) -> Strip:
        """Return one line of the last drawing."""
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
        # The first values are drawn at once; a drawing without values does not count.
        self._next_drawing = time.monotonic() + (wait if self._series else 0.0)

    def _title_line(self) -> list[Segment]:
        at = self._view.cursor
        legend = [
            (name, series.value(self.smoothing, at), series.color)
            for name, series in self._series.items()
            if len(series.y)
        ]
        settings = [("zoomed", "zoom")] * (self._view.window is not None) + [("log y", "log")] * self.log_y
        settings += [(f"smooth {self.smoothing:g}", f"~{self.smoothing:g}")] * (self.smoothing > 0)
        heading = Heading(self._title, self._x_label, at, legend, settings)
        return [Segment(part.text, self._title_style(part)) for part in heading.parts(self.size.width)]

    def _title_style(self, part: Part) -> Style:
        base = self.rich_style
        if part.role == "line":
            return base + Style(color=self._resolve(part.color).rich_color)
        if part.role in ("title", "settings"):
            name = "chart--title" if part.role == "title" else "chart--axis"
            return base + self.get_component_rich_style(name, partial=True)
        return base + Style(bold=True) if part.role == "value" else base

    def _plot_lines(self, width: int, height: int) -> list[list[Segment]]:
        if width < _SMALLEST_PLOT[0] or height < _SMALLEST_PLOT[1]:
            return []
        window = self._window()
        curves = self._curves(window)
        frame = frame_for(curves, (width, height), is_log=self.log_y, x_window=window)
        if frame is None:
            axis_style = self.rich_style + self.get_component_rich_style("chart--axis", partial=True)
            line = Segment(self._why_nothing_is_drawn().center(width), axis_style)
            return [*([] for _ in range((height - 1) // 2)), [line]]
        axis = self.get_component_styles("chart--axis").color
        axis_color = self._on_background(axis).rgb
        cursor = [(self._view.cursor, "▼")] if self._view.cursor is not None else []
        marks = [mark for mark in (*self._marks, *cursor) if frame.x_limits[0] <= mark[0] <= frame.x_limits[1]]
        drawn = draw((width, height), frame, curves, marks, axis_color)
        base = self.rich_style
        lines = [segments_of(line, base) for line in drawn.split("\n")[:height]]
        lines[-1] = labeled(lines[-1], self._x_label, width, base + Style(color=self._on_background(axis).rich_color))
        return lines

    def _why_nothing_is_drawn(self) -> str:
        if not any(len(series.y) for series in self._series.values()):
            return self._empty
        if self._view.window is not None:
            return "no data in this range"
        return "no values above 0 for a log axis" if self.log_y else "no finite values"

    def _window(self) -> Limits | None:
        """The edges of the visible range; None for the whole x axis."""
        everything = self._everything()
        return self._view.limits(everything) if everything is not None and self._view.window is not None else None

    def _everything(self) -> Limits | None:
        ends = [(float(series.x[0]), float(series.x[-1])) for series in self._series.values() if len(series.x)]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None

    def _curves(self, window: Limits | None) -> list[Curve]:
        import numpy as np

        curves = []
        for series in self._series.values():
            color = self._resolve(series.color)
            shown = series.within(window)
            if self.smoothing and series.is_smoothed:
                faint = color.blend(self.background_colors[1], 0.65)
                curves.append(Curve(series.x[shown], series.y[shown], faint.rgb, is_faint=True))
            curves.append(Curve(series.x[shown], series.smoothed(self.smoothing)[shown], color.rgb))
        for curve in curves:
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.log10(curve.y) if self.log_y else curve.y
            curve.y = np.where(np.isfinite(y), y, np.nan)
        # Faint lines are drawn below all others.
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
