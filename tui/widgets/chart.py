"""A line chart that is drawn by plotext and costs a fixed share of one core, however long the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
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
from tui.widgets.series import (
    decimate,
    exponential_average,
    finite_range,
    linear_ticks,
    log_ticks,
    short_number,
    tick_label,
)

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


@dataclass
class _Curve:
    """A series as it is drawn: positions, values on the axis (perhaps logarithms), colour."""

    x: np.ndarray
    y: np.ndarray
    color: tuple[int, int, int]
    is_faint: bool = False


@dataclass
class _Frame:
    """The limits and the ticks of a plot."""

    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    x_ticks: list[tuple[float, str]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)


class Chart(Widget, can_focus=True):
    """Lines over a common x axis, with a legend of last values.

    Give it data as often as you like with `set_series` and `set_marks`: it draws when something changed, it can be
    seen, and its budget allows it. After a drawing that took c seconds of CPU time the next one comes
    clamp(c / budget, 0.5 s, 5 s) later; a timer runs only while a change waits. A new size is drawn at once.

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
        budget: float = 0.01,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """A chart without data.

        Args:
            title: Shown before the legend.
            empty: Shown while there is nothing to draw.
            budget: Share of one core's time that drawing may take; charts shown together share what there is.
            id: As for every widget.
            classes: As for every widget.
        """
        super().__init__(id=id, classes=classes)
        self._title = title
        self._empty = empty
        self._budget = budget
        self._series: dict[str, _Series] = {}
        self._marks: tuple[tuple[float, str], ...] = ()
        self._strips: list[Strip] = []
        self._is_changed = True
        self._next_drawing = 0.0
        self._timer: Timer | None = None
        self.drawings = 0
        self.cost = 0.0

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
            x: Positions, shape [N]; expected to ascend, otherwise points are sorted.
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
        if len(x_values) > 1 and not bool((x_values[1:] >= x_values[:-1]).all()):
            order = np.argsort(x_values, kind="stable")
            x_values, y_values = x_values[order], y_values[order]
        old = self._series.get(name)
        if color is None:
            color = old.color if old else PALETTE[len(self._series) % len(PALETTE)]
        ends = (x_values[0], x_values[-1], repr(y_values[-1])) if len(x_values) else ()
        with np.errstate(invalid="ignore"):  # infinite values of both signs
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
        segments = [Segment(printable(self._title), title_style)]
        for name, series in self._series.items():
            if not len(series.y):
                continue
            last = float(self._smoothed(series)[-1])
            color = Style(color=self._resolve(series.color).rich_color)
            segments += [
                Segment("  ━ " if self._title else "━ ", base + color),
                Segment(f"{printable(name)} ", base),
                Segment(short_number(last), base + Style(bold=True)),
            ]
        settings = ["log y"] * self.log_y + [f"smooth {self.smoothing:g}"] * (self.smoothing > 0)
        if settings:
            segments.append(Segment("  " + " · ".join(settings), axis_style))
        return segments

    def _plot_lines(self, width: int, height: int) -> list[list[Segment]]:
        if width < _SMALLEST_PLOT[0] or height < _SMALLEST_PLOT[1]:
            return []
        curves = self._curves()
        frame = self._frame(curves, width, height)
        if frame is None:
            axis_style = self.rich_style + self.get_component_rich_style("chart--axis", partial=True)
            has_points = any(len(series.y) for series in self._series.values())
            text = "nothing above zero for a log axis" if has_points and self.log_y else self._empty
            if has_points and not self.log_y:
                text = "no finite values"
            return [[] for _ in range((height - 1) // 2)] + [[Segment(text.center(width), axis_style)]]
        axis = self.get_component_styles("chart--axis").color
        axis_color = self._on_background(axis).rgb
        marks = [mark for mark in self._marks if frame.x_limits[0] <= mark[0] <= frame.x_limits[1]]
        drawn = _draw_with_plotext((width, height), frame, curves, marks, axis_color)
        base = self.rich_style
        return [_segments(line, base) for line in drawn.split("\n")[:height]]

    def _smoothed(self, series: _Series) -> np.ndarray:
        if not (self.smoothing and series.is_smoothed):
            return series.y
        if series.average is None or series.average[0] != self.smoothing:
            series.average = (self.smoothing, exponential_average(series.y, self.smoothing))
        return series.average[1]

    def _curves(self) -> list[_Curve]:
        import numpy as np

        curves = []
        for series in self._series.values():
            color = self._resolve(series.color)
            if self.smoothing and series.is_smoothed:
                faint = color.blend(self.background_colors[1], 0.65)
                curves.append(_Curve(series.x, series.y, faint.rgb, is_faint=True))
            curves.append(_Curve(series.x, self._smoothed(series), color.rgb))
        for curve in curves:
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.log10(curve.y) if self.log_y else curve.y
            curve.y = np.where(np.isfinite(y), y, np.nan)
        # Faint lines lie below all others.
        return sorted(curves, key=lambda curve: not curve.is_faint)

    def _frame(self, curves: list[_Curve], width: int, height: int) -> _Frame | None:
        import numpy as np

        x_limits = finite_range(np.concatenate([curve.x for curve in curves])) if curves else None
        y_limits = finite_range(np.concatenate([curve.y for curve in curves])) if curves else None
        if x_limits is None or y_limits is None:
            return None
        frame = _Frame(_widened(x_limits), _widened(y_limits))
        x_ticks = linear_ticks(*frame.x_limits, count=max(2, width // 14))
        x_step = x_ticks[1] - x_ticks[0] if len(x_ticks) > 1 else 1.0
        frame.x_ticks = [(tick, tick_label(tick, x_step)) for tick in x_ticks]
        count = max(2, height // 3)
        if self.log_y:
            frame.y_ticks = [(t, tick_label(10**t, 10**t)) for t in log_ticks(*frame.y_limits, count)]
        else:
            y_ticks = linear_ticks(*frame.y_limits, count=count)
            y_step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else abs(y_ticks[0]) / 100
            frame.y_ticks = [(tick, tick_label(tick, y_step)) for tick in y_ticks]
        return frame

    def _resolve(self, color: str) -> Color:
        if color.startswith("$"):
            color = self.app.theme_variables.get(color[1:], PALETTE[0])
        return Color.parse(color)

    def _on_background(self, color: Color) -> Color:
        background = self.background_colors[1]
        if color.auto is not None:
            color = background.get_contrast_text(color.a)
        return background + color


def _widened(limits: tuple[float, float]) -> tuple[float, float]:
    """Limits that are apart: a single value lies in the middle."""
    low, high = limits
    if high - low > abs(high) * 1e-9:
        return limits
    half = abs(high) * 0.1 or 0.5
    return low - half, high + half


def _draw_with_plotext(
    size: tuple[int, int],
    frame: _Frame,
    curves: list[_Curve],
    marks: list[tuple[float, str]],
    axis_color: tuple[int, int, int],
) -> str:
    """The plot as lines of text with ANSI colours."""
    import numpy as np
    import plotext

    # plotext's public `figure` is one for the whole process; its class is how an independent one is made.
    plotext.terminal.limit(False, False)
    figure = type(plotext.figure)(plotext.terminal)
    figure.theme("simple")
    figure.canvas("default")
    figure.plot_size(*size)
    axis_pixel = plotext.pixel(foreground=axis_color, background="default")
    figure.axes(False, axis=[0, 1], side=[1])
    figure.axes(True, pixel=axis_pixel, axis=[0, 1], side=[0])
    figure.legend(False)
    for axis, limits, ticks in (("x", frame.x_limits, frame.x_ticks), ("y", frame.y_limits, frame.y_ticks)):
        ruler = figure.ruler(axis)
        ruler.lim(*limits)
        ruler.ticks([position for position, _ in ticks], [label for _, label in ticks])
        ruler.pixel(axis_pixel)
    for position, _ in marks:
        figure.line(position, "v", True, pixel=axis_pixel)
    for curve in curves:
        x, y = decimate(curve.x, curve.y, frame.x_limits, size[0])
        for begin, end in _runs(np.isfinite(y)):
            # A braille dot alone is easily overlooked.
            symbol = "braille" if end - begin > 1 else "•"
            marker = plotext.marker(symbol, plotext.pixel(foreground=curve.color, background="default"))
            signal = figure.signal(x[begin:end].tolist(), y[begin:end].tolist(), marker=marker)
            figure.draw(signal.lines(True))
    for position, letter in marks:
        figure.draw(figure.text(position, frame.y_limits[1], plotext.colorize(printable(letter)[:1], axis_pixel)))
    return str(figure.build().string())


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end of each run of true values."""
    import numpy as np

    changes = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return list(zip(changes[0::2].tolist(), changes[1::2].tolist(), strict=True))


@lru_cache(maxsize=1024)
def _style_of(codes: str) -> Style:
    span: Any = Text.from_ansi(f"\x1b[{codes}mX").spans
    return Style.combine([item.style for item in span]) if span else Style.null()


def _segments(line: str, base: Style) -> list[Segment]:
    """A line of ANSI text as segments over a base style."""
    segments = []
    style = base
    for part in line.split("\x1b["):
        codes, found, text = part.partition("m")
        if not found:
            text, codes = part, ""
        if codes == "0":
            style = base
        elif codes:
            style = style + _style_of(codes)
        if text:
            segments.append(Segment(text, style))
    return segments
