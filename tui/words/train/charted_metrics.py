"""Everything of a run that a chart can show over its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchdeck.engine.files.json_values import number
from torchdeck.engine.metric_names import metric

from ..metric_text import chart_title, charted

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.series import Points
    from torchdeck.engine.runs.run_view import RunView

AUTOMATIC = (
    *("loss", "score", "gradient_norm", "throughput", "lr", "accuracy", "mae"),
    *("gap", "macro_f1", "memory", "cpu"),
)
"""What is shown where the user has not chosen, in this order; "score" is the metric that the run is judged by."""

_SPLITS = (
    ("train", "train", "$series-1"),
    ("validation", "val.", "$series-2"),
    ("test", "test", "$series-7"),
    ("ema", "EMA", "$series-6"),
)
_GIGABYTE = 1e9


@dataclass(frozen=True)
class ChartedLine:
    """A line of a chart.

    Attributes:
        legend: its name.
        color: theme variable.
        is_smoothed: whether smoothing applies, because it has a value for every few steps.
        points: reads steps and values, float64 [N] each.
    """

    legend: str
    color: str
    is_smoothed: bool
    points: Callable[[RunView], Points]


@dataclass(frozen=True)
class ChartedMetric:
    """What one chart shows.

    Attributes:
        name: name by which it is chosen and remembered.
        title: title of the chart.
        about: what it is, for the list to choose from.
        lines: its lines.
    """

    name: str
    title: str
    about: str
    lines: tuple[ChartedLine, ...]


def charted_metrics(reader: RunView) -> dict[str, ChartedMetric]:
    """What the run has recorded, by name: loss and score first, then what is evaluated, then its schedule and pace."""
    names = [part.partition("/")[2] for part in reader.series_names if "/" in part and len(reader.series(part)[0])]
    headline = [name for name in names if name == reader.headline]
    of_splits = [_of_splits(reader, name) for name in dict.fromkeys(["loss", *headline, reader.score, *names])]
    found = [*of_splits, *_of_training(reader), *_of_machine(reader)]
    return {each.name: each for each in found}


def chosen_metric(reader: RunView, name: str, found: dict[str, ChartedMetric]) -> ChartedMetric | None:
    """A metric by the name that was chosen; None if this run has not recorded it.

    A metric of evaluations has no curve before the first of them: until then, "score" is what every step measures.
    """
    if name == "score":
        return found.get(reader.headline) or found.get(reader.score)
    return found.get(name)


def automatic_choice(reader: RunView, found: dict[str, ChartedMetric], count: int) -> list[str]:
    """The first so many of `AUTOMATIC` that the run has recorded, then what else its program measures."""
    by_metric: dict[str, str] = {}
    for name in AUTOMATIC:
        metric = chosen_metric(reader, name, found)
        if metric is not None:
            # What the run is judged by may be among those that follow.
            by_metric.setdefault(metric.name, name)
    names = list(by_metric.values())
    scores = {f"{split}/{reader.score}" for split in ("train", "validation")}.intersection(reader.series_names)
    if not reader.progress().step or any(len(reader.series(score)[0]) for score in scores):
        return names[:count]
    others = [name for name in found if name not in (reader.score, *AUTOMATIC)]
    return ["loss", *others, *(name for name in names if name not in ("loss", "score"))][:count]


def title_of(name: str) -> str:
    """The title of a metric of any run."""
    known = {"score": "Score", "lr": "Learning rate", **{each: title for each, (title, _) in _OTHERS.items()}}
    return known.get(name) or _capitalized(metric(name).title)


_OTHERS = {
    "gradient_norm": ("Gradient norm", "norm of all gradients before clipping, every few steps"),
    "update_ratio": ("Update / weights", "norm of a step's update relative to that of the weights"),
    "throughput": ("Samples / s", "training samples per second"),
    "gap": ("Gap", "mean of the epoch's training steps minus validation"),
    "memory": ("Memory GB", "resident memory of the run and its workers"),
    "gpu_memory": ("GPU memory GB", "memory of the GPU that is in use"),
    "gpu": ("GPU %", "utilization of the GPU"),
    "cpu": ("CPU %", "processor time of the run and its workers, as a share of one core"),
}


def _of_splits(reader: RunView, name: str) -> ChartedMetric:
    per_step = ("loss", reader.score)
    lines = tuple(
        # Training has a value for every step only of these; others are of epochs.
        ChartedLine(legend, color, split == "train" and name in per_step, _series(f"{split}/{name}", name))
        for split, legend, color in _SPLITS
        if f"{split}/{name}" in reader.series_names
        if split == "train" or len(reader.series(f"{split}/{name}")[0])
    )
    description = metric(name).description or "a metric of your own"
    return ChartedMetric(name, _capitalized(chart_title(name)), description, lines)


def _of_training(reader: RunView) -> list[ChartedMetric]:
    found = []
    if len(reader.series("lr")[0]):
        line = ChartedLine("lr", "$series-3", False, lambda reader: reader.series("lr"))
        found.append(ChartedMetric("lr", "Learning rate", "of the first parameter group", (line,)))
    if reader.gradients_so_far().looks:
        # A probe looks at few steps: smoothed, its curve would trail far behind what was measured.
        found.append(_other("gradient_norm", "all", "$series-4", _gradients, is_smoothed=False))
        found.append(_other("update_ratio", "all", "$series-4", _updates, is_smoothed=False))
    if len(reader.series("throughput")[0]):
        found.append(_other("throughput", "train", "$series-5", lambda reader: reader.series("throughput")))
    if any(
        reader.score in record["train"] and reader.score in record["validation"] for record in reader.epoch_records()
    ):
        gap = _other("gap", "train − val.", "$series-6", _gap, is_smoothed=False)
        title = f"Gap, {metric(reader.score).title}"
        found.append(ChartedMetric("gap", title, gap.about, gap.lines))
    return found


def _of_machine(reader: RunView) -> list[ChartedMetric]:
    newest = reader.system()
    if number(newest.get("step")) is None:
        return []
    found = [_other("memory", "run", "$series-4", _samples(("memory",), 1 / _GIGABYTE), is_smoothed=False)]
    if isinstance(newest.get("gpu"), dict):
        of_gpu = _samples(("gpu", "memory_used"), 1 / _GIGABYTE)
        found.append(_other("gpu_memory", "GPU", "$series-4", of_gpu, is_smoothed=False))
        found.append(_other("gpu", "GPU", "$series-5", _samples(("gpu", "utilisation"), 100)))
    return [*found, _other("cpu", "run", "$series-1", _samples(("cpu",), 100))]


def _other(
    name: str, legend: str, color: str, points: Callable[[RunView], Points], *, is_smoothed: bool = True
) -> ChartedMetric:
    title, about = _OTHERS[name]
    return ChartedMetric(name, title, about, (ChartedLine(legend, color, is_smoothed, points),))


def _series(series: str, name: str) -> Callable[[RunView], Points]:
    def points(reader: RunView) -> Points:
        x, y = reader.series(series)
        return x, charted(name, y)

    return points


def _gradients(reader: RunView) -> Points:
    import numpy as np

    looks = reader.gradients_so_far().whole_model
    steps = [float(step) for step, _ in looks]
    norms = [float("nan") if norms.gradient is None else norms.gradient for _, norms in looks]
    return np.array(steps), np.array(norms)


def _updates(reader: RunView) -> Points:
    import numpy as np

    looks = reader.gradients_so_far().whole_model
    return np.array([float(step) for step, _ in looks]), np.array([norms.update_ratio for _, norms in looks])


def _gap(reader: RunView) -> Points:
    import numpy as np

    score = reader.score
    rows = [
        (float(record["step"]), record["train"][score] - record["validation"][score])
        for record in reader.epoch_records()
        if score in record["train"] and score in record.get("validation", {})
    ]
    x, y = np.array([step for step, _ in rows]), np.array([gap for _, gap in rows])
    return x, charted(score, y)


def _samples(path: tuple[str, ...], scale: float) -> Callable[[RunView], Points]:
    """Points of a value of the machine's samples."""

    def value(sample: Any) -> float | None:
        for part in path:
            sample = sample.get(part) if isinstance(sample, dict) else None
        return number(sample)

    def points(reader: RunView) -> Points:
        import numpy as np

        rows = [
            (step, known * scale)
            for sample in reader.system_samples()
            if (step := number(sample.get("step"))) is not None and (known := value(sample)) is not None
        ]
        return np.array([step for step, _ in rows]), np.array([known for _, known in rows])

    return points


def _capitalized(title: str) -> str:
    return title[:1].upper() + title[1:]
