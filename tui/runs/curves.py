"""Curves of several runs over each other: by step, epoch or time, read a piece at a time."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torchdeck.engine.errors import RunError

from ..polling import BYTES_PER_LOOK
from ..words.metric_text import chart_title, charted
from ..words.train.charted_metrics import title_of
from .step_axis import Axis, axis_unit, positions

if TYPE_CHECKING:
    import numpy as np

    from torchdeck.engine.runs.run_view import RunView

MOST_CURVES = 32
"""Number of marked runs whose curves are drawn, the first ones: nobody reads more in one chart."""

_MOST_READERS = 128
_MOST_SEEDS = 20


@dataclass(frozen=True)
class RunFacts:
    """What the records of a run say besides its curves.

    Attributes:
        seconds: training time; NaN if unknown.
        samples_per_s: training samples per second over the run's newest seconds; 0 if unknown.
    """

    seconds: float = math.nan
    samples_per_s: float = 0.0


@dataclass(frozen=True)
class RunCurve:
    """One line: positions and values, float64 [N] each, not writable; both empty if the run has no such metric.

    Attributes:
        run: the run, or the newest of several seeds, whose mean the line is.
        x: positions.
        y: values.
        band: mean minus and plus the standard deviation of several seeds, float64 [N] each; None for a single run.
    """

    run: Path
    x: np.ndarray
    y: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class CurvesLook:
    """What a look found.

    Attributes:
        metric: name of the series that is drawn, such as "validation/accuracy"; empty if no run has any.
        title: its name for the chart.
        x_label: unit of the x axis.
        curves: a line per run.
        metrics: series that can be chosen: those of which one of the runs has values.
        facts: further facts by run.
        has_more: whether a further look reads on.
    """

    metric: str = ""
    title: str = ""
    x_label: str = "step"
    curves: Sequence[RunCurve] = ()
    metrics: Sequence[str] = ()
    facts: dict[Path, RunFacts] = field(default_factory=dict)
    has_more: bool = False


class RunCurves:
    """Reads the curves of runs. Used by one thread at a time."""

    def __init__(self) -> None:
        self._readers: dict[Path, RunView] = {}

    def look(
        self, runs: Sequence[Path], metric: str, axis: Axis, companions: Mapping[Path, Sequence[Path]] | None = None
    ) -> CurvesLook:
        """Read what is new of some runs.

        Args:
            runs: their directories; one that has vanished is left out.
            metric: wanted series; if no run has it, the one that their best is judged by, or else the training loss.
            axis: what the x axis counts.
            companions: by run, the runs that differ from it by the seed alone, with itself; their mean is drawn.
        """
        together = {run: list((companions or {}).get(run, [run]))[:_MOST_SEEDS] for run in runs[:MOST_CURVES]}
        wanted = dict.fromkeys(each for members in together.values() for each in members)
        readers = {run: reader for run in wanted if (reader := self._reader(run)) is not None}
        for reader in readers.values():
            reader.poll(BYTES_PER_LOOK)
        metrics = _metrics(readers.values())
        chosen = metric if metric in metrics else _preferred(readers.values(), metrics)
        x_label, curves, title = _drawn(readers, chosen, axis)
        curves = [curve for run, members in together.items() for curve in seed_mean(run, members, curves)]
        return CurvesLook(
            metric=chosen,
            title=title,
            x_label=x_label,
            curves=curves,
            metrics=metrics,
            facts={run: _facts(reader) for run, reader in readers.items()},
            has_more=any(reader.has_more for reader in readers.values()),
        )

    def _reader(self, run: Path) -> RunView | None:
        """The reader of a run; the one that was not asked for the longest time is forgotten."""
        from torchdeck.engine.foreign.formats import open_run

        reader = self._readers.pop(run, None)
        if reader is None:
            try:
                reader = open_run(run)
            except RunError:
                return None
        self._readers[run] = reader
        while len(self._readers) > _MOST_READERS:
            del self._readers[next(iter(self._readers))]
        return reader


def seed_mean(run: Path, members: Sequence[Path], curves: Sequence[RunCurve]) -> list[RunCurve]:
    """The line of a run, or the mean of its seeds with a band of one standard deviation, as far as all of them reach.

    Args:
        run: the run that the line stands for.
        members: the runs of its group.
        curves: lines of single runs.

    Returns:
        One line; none where no run is left.
    """
    import numpy as np

    own = [curve for curve in curves if curve.run in members]
    long = [curve for curve in own if len(curve.x)]
    if len(members) == 1 or len(long) < 2:
        return [RunCurve(run, curve.x, curve.y) for curve in (long or own)[:1]]
    end = min(float(curve.x[-1]) for curve in long)
    x = long[0].x[long[0].x <= end]
    # Seeds of one config are measured at the same steps; by time they are not.
    values = np.stack([np.interp(x, curve.x, curve.y) for curve in long])
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    return [RunCurve(run, x, mean, (mean - deviation, mean + deviation))]


def _metrics(readers: Collection[RunView]) -> list[str]:
    """Series with values, in the order of the runs' own lists."""
    names: dict[str, None] = {}
    for reader in readers:
        names |= dict.fromkeys(name for name in reader.series_names if name != "time" and len(reader.series(name)[0]))
    return list(names)


def _preferred(readers: Collection[RunView], metrics: Sequence[str]) -> str:
    for reader in readers:
        best = reader.best()
        wanted = f"validation/{best['metric'] if best is not None else reader.score}"
        if wanted in metrics:
            return wanted
    return next((name for name in ("validation/loss", "train/loss") if name in metrics), metrics[0] if metrics else "")


def _drawn(readers: dict[Path, RunView], metric: str, axis: Axis) -> tuple[str, list[RunCurve], str]:
    """Label of the x axis, the lines, and the title of the chart."""
    import numpy as np

    split, _, name = metric.rpartition("/")
    curves = []
    for run, reader in readers.items():
        x, y = reader.series(metric) if metric in reader.series_names else (np.empty(0), np.empty(0))
        curves.append(RunCurve(run, positions(reader, x, axis), charted(name, y)))
    longest = max((float(curve.x[-1]) for curve in curves if len(curve.x)), default=0.0)
    label, size = axis_unit(axis, longest)
    curves = [RunCurve(curve.run, curve.x / size, curve.y) for curve in curves]
    return label, curves, f"{split[:1].upper()}{split[1:]} {chart_title(name)}" if split else title_of(name)


def _facts(reader: RunView) -> RunFacts:
    _, seconds = reader.series("time")
    return RunFacts(float(seconds[-1]) if len(seconds) else math.nan, reader.progress().samples_per_s)
