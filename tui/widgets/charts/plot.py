"""A line plot in characters: its limits and ticks, its drawing by plotext, and the drawing as segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from ...plain_text import printable
from .series import decimate, finite_range, linear_ticks, log_ticks, tick_label

if TYPE_CHECKING:
    import numpy as np

# Limits further out overflow when subtracted; limits closer together have a difference of zero.
_LARGEST, _SMALLEST_SPAN = 1e300, 1e-290
_Y_LABEL_CELLS = 6  # approximate width of the labels of the y axis
_CELLS_A_TICK, _BETWEEN_LABELS = 14, 2  # cells
_FEWEST_TICKS = 3


@dataclass
class Curve:
    """A series to draw: positions, values on the axis (possibly logarithms), color."""

    x: np.ndarray
    y: np.ndarray
    color: tuple[int, int, int]
    is_faint: bool = False


@dataclass
class Frame:
    """Limits and ticks of a plot."""

    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    x_ticks: list[tuple[float, str]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)


def frame_for(
    curves: Sequence[Curve],
    size: tuple[int, int],
    *,
    is_log: bool,
    x_window: tuple[float, float] | None = None,
) -> Frame | None:
    """Choose limits and ticks that show all curves; None if there is no finite value.

    Args:
        curves: curves to show.
        size: columns and rows of the plot.
        is_log: whether values are exponents of ten.
        x_window: left and right edge; by default, where the curves start and end.
    """
    import numpy as np

    width, height = size
    x_limits = finite_range(np.concatenate([curve.x for curve in curves])) if curves else None
    y_limits = finite_range(np.concatenate([curve.y for curve in curves])) if curves else None
    if x_limits is None or y_limits is None:
        return None
    frame = Frame(_widened(x_window or x_limits), _widened(y_limits))
    frame.x_ticks = _x_ticks(frame.x_limits, width - _Y_LABEL_CELLS)
    count = max(2, height // 3)
    if is_log:
        frame.y_ticks = [(t, tick_label(10**t, 10**t)) for t in log_ticks(*frame.y_limits, count)]
    else:
        y_ticks = linear_ticks(*frame.y_limits, count=count)
        y_step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else abs(y_ticks[0]) / 100
        frame.y_ticks = [(tick, tick_label(tick, y_step)) for tick in y_ticks]
    return frame


def _x_ticks(limits: tuple[float, float], width: int) -> list[tuple[float, str]]:
    """Choose round positions with labels: far apart, or closer if there would be fewer than three."""
    low, high = limits
    chosen: list[tuple[float, str]] = []
    for count in range(max(2, width // _CELLS_A_TICK), max(2, width // 4) + 1):
        ticks = linear_ticks(low, high, count)
        step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or 1.0
        labeled_ticks = [(tick, tick_label(tick, step)) for tick in ticks]
        widest = max(cell_len(label) for _, label in labeled_ticks)
        if chosen and step / (high - low) * width < widest + _BETWEEN_LABELS:
            break
        chosen = labeled_ticks
        if len(chosen) >= _FEWEST_TICKS:
            break
    return chosen


def _widened(limits: tuple[float, float]) -> tuple[float, float]:
    """Widen equal limits, so that a single value is in the middle."""
    low, high = (min(max(limit, -_LARGEST), _LARGEST) for limit in limits)
    if high - low > max(abs(high) * 1e-9, _SMALLEST_SPAN):
        return low, high
    half = abs(high) * 0.1 if abs(high) > _SMALLEST_SPAN * 10 else 0.5
    return low - half, high + half


def draw(
    size: tuple[int, int],
    frame: Frame,
    curves: Sequence[Curve],
    marks: Sequence[tuple[float, str]],
    axis_color: tuple[int, int, int],
) -> str:
    """Draw the plot as lines of text with ANSI colors."""
    import numpy as np
    import plotext

    # plotext's public `figure` is shared by the whole process; an independent one is made from its class.
    plotext.terminal.limit(False, False)
    figure = type(plotext.figure)(plotext.terminal)
    figure.theme("simple")
    figure.canvas("default")
    figure.plot_size(*size)
    axis_pixel = plotext.pixel(foreground=axis_color, background="default")
    figure.axes(False, axis=[0, 1], side=[1])
    figure.axes(True, pixel=axis_pixel, axis=[0, 1], side=[0])
    figure.legend(False)
    # plotext's kernel ends the process if a point is too far out, so it gets only numbers from 0 to 1.
    for axis, limits, ticks in (("x", frame.x_limits, frame.x_ticks), ("y", frame.y_limits, frame.y_ticks)):
        positions = _scaled(np.array([position for position, _ in ticks]), limits)
        ruler = figure.ruler(axis)
        ruler.lim(0, 1)
        ruler.ticks(positions.tolist(), [label for _, label in ticks])
        ruler.pixel(axis_pixel)
    places = _scaled(np.array([position for position, _ in marks]), frame.x_limits).tolist()
    for place in places:
        figure.line(place, "v", True, pixel=axis_pixel)
    for curve in curves:
        x, y = decimate(curve.x, curve.y, frame.x_limits, size[0])
        x, y = _scaled(x, frame.x_limits), _scaled(y, frame.y_limits)
        for begin, end in _runs(np.isfinite(x) & np.isfinite(y)):
            # A single braille dot is easy to miss.
            symbol = "braille" if end - begin > 1 else "•"
            marker = plotext.marker(symbol, plotext.pixel(foreground=curve.color, background="default"))
            signal = figure.signal(x[begin:end].tolist(), y[begin:end].tolist(), marker=marker)
            figure.draw(signal.lines(True))
    for place, (_, letter) in zip(places, marks, strict=True):
        figure.draw(figure.text(place, 1, plotext.colorize(printable(letter)[:1], axis_pixel)))
    return str(figure.build().string())


def _scaled(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Scale the limits to 0 and 1 and clip values outside; NaN stays."""
    low, high = limits
    return (values.clip(low, high) - low) / (high - low)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return start and end of each run of true values."""
    import numpy as np

    changes = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return list(zip(changes[0::2].tolist(), changes[1::2].tolist(), strict=True))


@lru_cache(maxsize=1024)
def _style_of(codes: str) -> Style:
    span: Any = Text.from_ansi(f"\x1b[{codes}mX").spans
    return Style.combine([item.style for item in span]) if span else Style.null()


def segments_of(line: str, base: Style) -> list[Segment]:
    """Convert a line of ANSI text to segments over a base style."""
    segments: list[Segment] = []
    style = base
    for part in line.split("\x1b["):
        codes, found, text = part.partition("m")
        if not found:
            text, codes = part, ""
        if codes == "0":
            style = base
        # plotext always gives axes the background of its theme; the plot needs the background of the widget.
        elif codes and not codes.startswith("48;"):
            style = style + _style_of(codes)
        if text:
            segments.append(Segment(text, style))
    return segments


def labeled(line: list[Segment], label: str, width: int, style: Style) -> list[Segment]:
    """Add the axis label to the line of ticks: at its left end, else at its right, else not at all."""
    written = "".join(segment.text for segment in line)
    cells = cell_len(label)
    if label and not written[: cells + 1].strip():
        return [Segment(label, style), *_from_cell(line, cells)]
    if label and cell_len(written.rstrip()) < width - cells:
        return [*Segment.adjust_line_length(line, width - cells), Segment(label, style)]
    return line


def _from_cell(line: list[Segment], cells: int) -> list[Segment]:
    return list(Segment.divide(line, [cells, Segment.get_line_length(line)]))[1]
