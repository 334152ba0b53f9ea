"""A line chart in a frame of its own; its cost is a fixed share of one core, however long the run."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.app import RenderResult
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget

from ...keys.bindings import bindings
from .canvas import Canvas
from .chart_content import ChartContent
from .chart_inks import line_style
from .chart_series import drawn_curves
from .chart_title import Heading, corner
from .chart_view import Limits, View, moved, zoomed, zoomed_to
from .plot import AXIS, Frame, draw, frame_for

SMOOTHING_WEIGHTS = (0.0, 0.6, 0.9, 0.98)
SHORTEST_WAIT, LONGEST_WAIT = 0.5, 5.0  # seconds between two drawings
_SMALLEST_PLOT = (16, 4)  # columns, rows: a smaller chart shows only its legend
_FEWEST_DRAGGED = 2  # cells between the ends of a drag; else it is a click
# Without a point they would change nothing that is seen.
_NEED_POINTS = frozenset({"toggle_log", "toggle_outliers", "smooth", "zoom", "cursor", "next_line"})


class Chart(ChartContent, can_focus=True):
    """Lines over a common x axis; the frame's title is the legend with the last values.

    Call `set_series` and `set_marks`, or `refill`, as often as you like: the chart draws if something changed, it is
    visible and its budget allows. After a drawing that took c seconds of CPU time, the next one comes
    clamp(c / budget, 0.5 s, 5 s) later; a timer runs only while a change waits. A new size and `draw_last` draw at
    once. Only cells that changed are painted.

    Attributes:
        log_y: whether the y axis is logarithmic; values that are not positive are then gaps.
        smoothing: weight of the exponential average that is drawn over the faint raw values; 0 draws raw values.
        with_outliers: whether the y axis reaches to the few values that would flatten the others.
        budget: share of one core's time that drawing may take; charts shown together split it.
        drawings: number of times the plot was drawn.
        cost: CPU seconds of the last drawing, including Textual's work.
    """

    DEFAULT_CSS = "Chart { min-height: 5; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings("chart")

    log_y: var[bool] = var(False, init=False)
    smoothing: var[float] = var(0.0, init=False)
    with_outliers: var[bool] = var(False, init=False)

    @dataclass
    class Adjusted(Message):
        """The user changed the visible range, the cursor or the smoothing."""

        chart: Chart

        @property
        def control(self) -> Chart:
            """The chart that sent it."""
            return self.chart

    def __init__(
        self,
        title: str = "",
        *,
        empty: str = "no data yet",
        x_label: str = "",
        budget: float = 0.01,
        id: str | None = None,
        classes: str = "",
    ) -> None:
        """Create a chart without data.

        Args:
            title: text before the legend.
            empty: text shown while there is nothing to draw.
            x_label: unit of the x axis, such as "step".
            budget: share of one core's time that drawing may take.
            id: id of the widget.
            classes: CSS classes of the widget, besides those of a panel.
        """
        super().__init__(title, empty=empty, x_label=x_label, id=id, classes=f"-chart {classes}")
        self.budget = budget
        self._view = View()
        self._frame: Frame | None = None
        self._canvas: Canvas | None = None
        self._inks: list[Style] = []
        self._dragged: tuple[int, int] | None = None
        self._is_filled = False  # whether `refill`'s function is at work
        self._has_keys = False  # whether the last line knows of keys that need points
        self._next_drawing = 0.0
        self._timer: Timer | None = None
        self.drawings = 0
        self.cost = 0.0

    def clear(self) -> None:
        """Remove all lines and marks, and draw at once."""
        self._series.clear()
        self._marks = ()
        self._view = View()
        self._redraw()

    def request_redraw(self) -> None:
        """Draw if something changed, the chart is visible and the budget allows; otherwise later, or never."""
        if not self._has_news or self._timer is not None or not self._can_be_seen():
            return
        wait = self._next_drawing - time.monotonic()
        if wait <= 0:
            self._draw_news()
        else:
            self._timer = self.set_timer(wait, self._on_budget)

    def draw_last(self) -> None:
        """Draw changes at once, whatever the budget, because no more data will follow."""
        if self._has_news and self._can_be_seen():
            self._draw_news()

    def adjust(self, view: View, smoothing: float) -> None:
        """Show the same range, cursor and smoothing as another chart."""
        if (view, smoothing) != (self._view, self.smoothing):
            self._view = view
            self.set_reactive(Chart.smoothing, smoothing)
            self._redraw()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what acts on points while there are some."""
        return action not in _NEED_POINTS or self._everything() is not None

    def action_toggle_log(self) -> None:
        """Switch between a linear and a logarithmic y axis."""
        self.log_y = not self.log_y

    def action_toggle_outliers(self) -> None:
        """Let the y axis reach to every value, or leave out the few that would flatten the others."""
        if self._frame is not None and not self.with_outliers and not self._frame.has_outliers:
            self.app.notify("every value is within the axis")
            return
        self.with_outliers = not self.with_outliers

    def action_smooth(self, by: int) -> None:
        """Smooth more or less."""
        stronger = [weight for weight in SMOOTHING_WEIGHTS if weight > self.smoothing]
        weaker = [weight for weight in SMOOTHING_WEIGHTS if weight < self.smoothing]
        if choices := stronger[:1] if by > 0 else weaker[-1:]:
            self.smoothing = choices[0]
            self.post_message(self.Adjusted(self))
        else:
            self.app.notify("this is the strongest smoothing" if by > 0 else "the raw values are shown")

    @property
    def view(self) -> View:
        """The visible range of the x axis, and the position of the cursor."""
        return self._view

    @view.setter
    def view(self, view: View) -> None:
        if view != self._view:
            self._view = view
            self._redraw()
            self.post_message(self.Adjusted(self))

    def action_zoom(self, is_in: bool) -> None:
        """Halve or double the visible range, around the cursor or at the newest end."""
        everything = self._everything()
        if everything is not None:
            before, self.view = self._view, zoomed(self._view, everything, is_in=is_in)
            if self._view == before:
                self.app.notify("this is the smallest range" if is_in else "the whole x axis is shown")

    def action_cursor(self, by: int) -> None:
        """Put a cursor on the plot, or move it by columns; the legend then shows the values there."""
        everything = self._everything()
        if everything is not None:
            self.view = moved(self._view, everything, self._longest(), self.size.width, by)

    def action_show_all(self) -> None:
        """Clear the cursor; if there is none, show the whole x axis."""
        if self._view == View():
            raise SkipAction
        self.view = replace(self._view, cursor=None) if self._view.cursor is not None else View()

    def watch_log_y(self) -> None:
        """Draw now, because the user waits for it."""
        self._redraw()

    def watch_with_outliers(self) -> None:
        """Draw now, because the user waits for it."""
        self._redraw()

    def watch_smoothing(self) -> None:
        """Draw now, because the user waits for it."""
        self._redraw()

    # Mouse

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in around the pointer."""
        self._zoom_at(event, is_in=True)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out around the pointer."""
        self._zoom_at(event, is_in=False)

    def _zoom_at(self, event: events.MouseEvent, *, is_in: bool) -> None:
        everything, offset = self._everything(), event.get_content_offset(self)
        if everything is not None and offset is not None and self._frame is not None:
            event.stop()
            self.view = zoomed(self._view, everything, is_in=is_in, at=self._frame.position(offset.x, self.size.width))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to drag over a range."""
        offset = event.get_content_offset(self)
        if offset is not None and self._frame is not None:
            self._dragged = (offset.x, offset.x)
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Mark the range that is dragged over."""
        if self._dragged is not None:
            self._dragged = (self._dragged[0], event.get_content_offset_capture(self).x)
            self.refresh()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Show the range that was dragged over; a click puts the cursor there."""
        dragged, self._dragged = self._dragged, None
        self.release_mouse()
        everything = self._everything()
        if dragged is None or everything is None or self._frame is None:
            return
        self.refresh()
        first, last = (self._frame.position(column, self.size.width) for column in dragged)
        if abs(dragged[0] - dragged[1]) >= _FEWEST_DRAGGED:
            self.view = zoomed_to(replace(self._view, cursor=None), everything, (first, last))
        else:
            at = replace(self._view, cursor=last)
            self.view = moved(at, everything, self._longest(), self.size.width, 0)

    def action_toggle_line(self, number: int) -> None:
        """Hide a line of the legend, or show it again."""
        name = list(self._in_legend())[number]
        self._hidden ^= {name}
        self._redraw()

    def action_next_line(self) -> None:
        """Show the next line of the legend alone; after the last one, all."""
        names = list(self._in_legend())
        if len(names) < 2:
            self.app.notify("this chart has no other lines")
            return
        shown = [name for name in names if name not in self._hidden]
        following = names.index(shown[0]) + 1 if len(shown) == 1 else 0
        self._hidden = frozenset(names) - {names[following]} if following < len(names) else frozenset()
        self._redraw()

    # Drawing

    def on_mount(self) -> None:
        """Use the colors of the theme."""
        self.app.theme_changed_signal.subscribe(self, self._on_theme)

    def on_show(self) -> None:
        """Draw the changes made while the chart was hidden."""
        self.request_redraw()

    def on_resize(self, event: events.Resize) -> None:
        """Draw again, since a drawing fits one size only."""
        self._redraw()

    def render(self) -> RenderResult:
        """Render nothing here; `render_line` draws everything."""
        return ""

    def render_line(self, y: int) -> Strip:
        """Return one line of the last drawing."""
        width, base = self.size.width, self.rich_style
        if self._canvas is None or y >= len(self._canvas.codes):
            return Strip.blank(width, base)
        strip = Strip([Segment(text, base + self._inks[ink]) for text, ink in self._canvas.runs(y)])
        if self._dragged is not None and (left := min(self._dragged)) < (right := max(self._dragged)):
            dragged = Style(bgcolor=self._style("$cursor").color)
            before, inside, after = strip.divide([max(0, left), min(right + 1, width), width])
            strip = Strip.join([before, inside.apply_style(dragged), after])
        return strip.adjust_cell_length(width, base)

    def _change(self) -> None:
        super()._change()
        if self.is_mounted and not self._is_filled:
            self.request_redraw()

    def _redraw(self) -> None:
        self._is_changed = True
        if self.is_mounted and self._can_be_seen():
            self._draw_news()

    def _on_theme(self, theme: Theme) -> None:
        self._canvas = None
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

    @property
    def _has_news(self) -> bool:
        return self._is_changed or self._fill is not None

    def _draw_news(self) -> None:
        """Fetch the data, and draw if they are others."""
        started = time.thread_time()
        self._is_filled = True
        self._fill_up()
        self._is_filled = False
        if self._is_changed:
            self._draw(started)
        else:
            self._account(started)

    def _draw(self, started: float | None = None) -> None:
        started = time.thread_time() if started is None else started
        self._is_changed = False
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        before, inks_before = self._canvas, self._inks
        self._canvas = self._drawn(*self.size)
        self.drawings += 1
        self._say_legend()
        if self._has_keys != (self._everything() is not None):
            self._has_keys = not self._has_keys
            self.refresh_bindings()
        is_same_look = all(old == new for old, new in zip(inks_before, self._inks, strict=False))
        if before is None or not is_same_look or before.codes.shape != self._canvas.codes.shape:
            self.refresh()
        elif changed := self._canvas.changed_areas(before):
            self.refresh(*(Region(begin, row, end - begin, 1) for row, begin, end in changed))
        self.call_after_refresh(self._account, started)

    def _account(self, started: float) -> None:
        self.cost = time.thread_time() - started
        wait = min(max(self.cost / self.budget, SHORTEST_WAIT), LONGEST_WAIT)
        # The first values are drawn at once; a drawing without values does not count.
        self._next_drawing = time.monotonic() + (wait if self._series else 0.0)

    def _say_legend(self) -> None:
        at = self._view.cursor
        legend = [(name, each.value(self.smoothing, at), each.color) for name, each in self._in_legend().items()]
        title = Heading(self._title, self._x_label, at, legend, self._hidden).markup(max(0, self.size.width - 4))
        settings = [
            "zoomed" if self._view.window is not None else "",
            "log" if self.log_y else "",
            "outliers left out" if self._frame is not None and self._frame.has_outliers else "",
            f"smooth {self.smoothing:g}" if self.smoothing and self._has_smoothed() else "",
            self._x_label,
        ]
        self.entitle(title, corner(settings, self._note, max(0, self.size.width - 4)))

    def _drawn(self, width: int, height: int) -> Canvas:
        self._frame = None
        # In the order of the inks of a plot.
        self._inks = [Style(), *map(self._style, ("$text-disabled", "$grid", "$text-muted"))]
        if width < _SMALLEST_PLOT[0] or height < _SMALLEST_PLOT[1]:
            return Canvas(max(0, width), max(0, height))
        window = self._window()
        visible = [series for name, series in self._series.items() if name not in self._hidden]
        shown = drawn_curves(visible, self.smoothing, window, log_y=self.log_y)
        curves = [curve for curve, _ in shown]
        size = (width, height)
        self._frame = frame_for(curves, size, is_log=self.log_y, x_window=window, with_outliers=self.with_outliers)
        if self._frame is None:
            canvas = Canvas(width, height)
            words = self._why_nothing_is_drawn()[:width]
            canvas.put(words, (width - len(words)) // 2, (height - 1) // 2, AXIS)
            return canvas
        self._inks += [self._style(color, is_faint=curve.is_faint) for curve, color in shown]
        cursor = [(self._view.cursor, "▼")] if self._view.cursor is not None else []
        # The frame's lower line says what the x axis counts, if it has one.
        unit = "" if self.styles.border_bottom[0] else self._x_label
        return draw(size, self._frame, curves, [*self._marks, *cursor], unit)

    def _style(self, color: str, *, is_faint: bool = False) -> Style:
        return line_style(color, self.app.theme_variables, self.background_colors[1], is_faint=is_faint)

    def _why_nothing_is_drawn(self) -> str:
        if not any(len(series.y) for series in self._series.values()):
            return self._empty
        if self._hidden >= set(self._in_legend()):
            return "all lines are hidden: h, or a click on a name above, shows one"
        if self._view.window is not None:
            return "no data in this range"
        return "no values above 0 for a log axis" if self.log_y else "no finite values"

    def _window(self) -> Limits | None:
        """The edges of the visible range; None for the whole x axis."""
        everything = self._everything()
        return self._view.limits(everything) if everything is not None and self._view.window is not None else None
