"""The figures of a run that are looked at from across the room."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchdeck.engine.files.json_values import number
from torchdeck.engine.metric_names import metric
from torchdeck.engine.runs.on_disk.directory import LIVE_STATUSES

from ... import drawing
from ..figures import figure
from ..metric_text import chart_title, metric_text

if TYPE_CHECKING:
    import numpy as np

    from torchdeck.engine.runs.on_disk.metrics_record import ResultRecord
    from torchdeck.engine.runs.run_view import RunView

TILES = ("score", "val_loss", "train_loss", "throughput", "left", "lr")
"""Names of the tiles, in their order."""

_NEWEST_STEPS = 50  # the training loss is the mean of so many
_TREND = 60  # values of a trend


@dataclass(frozen=True)
class Figure:
    """The content of a tile.

    Attributes:
        title: what it is.
        value: the figure as plain text.
        note: more about it, as markup.
        trend: values so far, oldest first; empty for none.
        color: theme variable of the trend.
    """

    title: str
    value: str
    note: str
    trend: Sequence[float] = ()
    color: str = "$series-1"


def tile_figures(reader: RunView, status: str) -> dict[str, Figure]:
    """The figures of a run by the names of `TILES`."""
    evaluations = reader.evaluation_records()
    is_live = status in LIVE_STATUSES
    return {
        "score": _evaluated(evaluations, reader.headline, _best_note(reader)),
        "val_loss": _evaluated(evaluations, "loss", ""),
        "train_loss": _train_loss(reader),
        "throughput": _throughput(reader, is_live=is_live),
        "left": _time_left(reader) if is_live else _time_taken(reader),
        "lr": Figure(
            "Learning rate", figure(reader.progress().lr, 3), "", _means(reader.series("lr")[1]), "$series-3"
        ),
    }


def tile_lines(content: Figure, width: int, height: int) -> list[str]:
    """The lines of a tile: the value over its note, beside the trend; only the note where there is one line."""
    if height < 2:
        return [content.note]
    left = max(drawing.cells(drawing.name(content.value)), drawing.cells(content.note)) + 2
    room = width - left
    trend = drawing.trace(content.trend, room, 2, content.color) if room >= 4 and content.trend else ["", ""]
    value = f"[b]{drawing.left(content.value, left)}[/]"
    note = f"{content.note}{' ' * (left - drawing.cells(content.note))}"
    return [f"{value}{trend[0]}", f"{note}{trend[1]}"]


def _evaluated(evaluations: Sequence[ResultRecord], name: str, note: str) -> Figure:
    values = [record["validation"].get(name, math.nan) for record in evaluations]
    known = [value for value in values if math.isfinite(value)]
    is_share = metric(name).is_share
    shown = [value * 100 for value in values] if is_share else values
    change = _change(known, 100 if is_share else 1)
    value = metric_text(name, known[-1] if known else None).removesuffix("%")
    return Figure(f"Val. {chart_title(name)}", value, note or change, shown[-_TREND:], "$series-2")


def _change(values: Sequence[float], scale: float) -> str:
    if len(values) < 2:
        return ""
    change = (values[-1] - values[-2]) * scale
    return f"[$text-muted]{change:+.3g}[/]"


def _best_note(reader: RunView) -> str:
    best = reader.best()
    return f"[$best]★[/] [$text-muted]epoch {best['epoch']}[/]" if best is not None else ""


def _train_loss(reader: RunView) -> Figure:
    import numpy as np

    losses = reader.series("train/loss")[1]
    newest = losses[-_NEWEST_STEPS:]
    newest = newest[np.isfinite(newest)]
    mean = float(newest.mean()) if len(newest) else None
    epochs = reader.epoch_records()
    change = mean - epochs[-1]["train"]["loss"] if mean is not None and epochs else math.nan
    note = f"[$text-muted]{change:+.3g}[/]" if math.isfinite(change) else ""
    return Figure("Train loss", metric_text("loss", mean), note, _means(losses), "$series-1")


def _throughput(reader: RunView, *, is_live: bool) -> Figure:
    rates = reader.series("throughput")[1]
    rate = reader.progress().samples_per_s
    value = f"{rate:,.0f}" if rate else "–"
    size = number(reader.state().get("batch_size"))
    note = f"[$text-muted]batch {size:,.0f}[/]" if size else ""
    return Figure("Samples / s" if is_live else "Samples / s, last", value, note, _means(rates), "$series-5")


def _time_left(reader: RunView) -> Figure:
    seconds = reader.progress().eta_seconds
    if not math.isfinite(seconds):
        return Figure("Left", "–", "[$text-muted]not known yet[/]")
    return Figure("Left", _clocked(seconds), f"[$text-muted]ends {_clock(time.time() + seconds)}[/]")


def _time_taken(reader: RunView) -> Figure:
    times = reader.series("time")[1]
    ended = number(reader.state().get("updated"))
    note = f"[$text-muted]ended {_clock(ended)}[/]" if ended else ""
    return Figure("Trained for", _clocked(float(times[-1])) if len(times) else "–", note)


def _clocked(seconds: float) -> str:
    """A duration in digits, which can be drawn large: 0:42, 12:05, 2:14:08, 51:00:00."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _clock(at: float) -> str:
    """The time of day; with the date if it is not today."""
    then = time.localtime(at)
    is_today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%b %d %H:%M", then)


def _means(values: np.ndarray) -> list[float]:
    """The values as the means of at most `_TREND` equal parts; NaN is left out of a mean."""
    import numpy as np

    if len(values) <= _TREND:
        return values.tolist()
    begins = np.linspace(0, len(values), _TREND, endpoint=False).astype(np.int64)
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), begins)
    counts = np.add.reduceat(known.astype(np.float64), begins)
    means = np.full(len(begins), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means.tolist()
