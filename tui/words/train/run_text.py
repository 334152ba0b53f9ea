"""A run's state as text: its status, and the head of the train pane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ... import drawing
from ..figures import duration
from ..metric_text import metric_text, metric_title

if TYPE_CHECKING:
    from torchdeck.engine.config import RunConfig
    from torchdeck.engine.runs.on_disk.state_file import StateFile
    from torchdeck.engine.runs.progress import Progress
    from torchdeck.engine.runs.run_view import RunView

_SHORTEST_BAR = 6
RESUME_ADVICE = "press 5 then r to resume from the newest checkpoint"
# A run with one of these statuses has a message that may need more than a line.
ENDED_BADLY = ("failed", "died", "damaged")

STATUS_TONES = {
    "preparing": ("$warning", "●"),
    "running": ("$success", "●"),
    "paused": ("$warning", "●"),
    "quiet": ("$text-muted", "○"),
    "finished": ("$success", "✓"),
    "stopped": ("$warning", "■"),
    "failed": ("$error", "✗"),
    "died": ("$error", "✗"),
    "damaged": ("$error", "✗"),
}
"""Theme variable and glyph of each status."""

_PHASES = {
    "decoding": "decoding the data",
    "compiling": "compiling the model",
    "evaluating": "evaluating",
    "saving": "saving",
}


def no_commands(status: str) -> str:
    """Say why a run with this status can't be paused, saved, stopped or changed, and what to do."""
    if status in ("running", "paused", "quiet"):
        return "another program trains this run and reads no commands; your own loop reads them with run.commands()"
    return f"this run is {status}: {'press S to start another' if status == 'finished' else RESUME_ADVICE}"


def run_forms(reader: RunView, status: str) -> tuple[str, ...]:
    """Describe a run for the end of the first line; see `status_forms`."""
    metrics, headline = reader.latest_metrics(), reader.headline
    newest = (headline, metrics.get(headline)) if metrics else None
    return status_forms(reader.path.name, status, reader.progress(), newest)


def status_forms(
    name: str, status: str, progress: Progress | None = None, newest: tuple[str, float | None] | None = None
) -> tuple[str, ...]:
    """Describe a run for the end of the first line, as markup, from the longest form to the shortest.

    Args:
        name: name of the run; empty if it has none yet.
        status: status from the reader.
        progress: progress of the run; None if unknown.
        newest: the metric that says most of the run, and its newest value; None before the first evaluation.
    """
    tone, glyph = STATUS_TONES.get(status, ("$text", "●"))
    dot = f"[{tone}]{glyph}[/]"
    share = progress.step / progress.total_steps if progress is not None and progress.total_steps else None
    percent = f" {share:.0%}" if share is not None else ""
    score = _score_markup(*newest) if newest is not None else ""
    known = f" [b]{drawing.name(name)}[/]" if name else ""
    if status != "running" or progress is None or share is None:
        words = f"{dot} [{tone}]{status}[/]"
        rest = f"{percent if status == 'paused' else ''}{f'  {score}' if score else ''}"
        return f"{dot}{known}  [{tone}]{status}[/]{rest}", f"{words}{rest}", words, dot
    left = f"  {duration(progress.eta_seconds)} left" if progress.eta_seconds == progress.eta_seconds else ""
    epoch = f"epoch {progress.epoch}/{progress.epochs}"
    shown = f"  {score}" if score else ""
    return (
        f"{dot}{known}  {epoch} {drawing.bar(share, 14)}{percent}{shown}{left}",
        f"{dot} {epoch} {drawing.bar(share, 7)}{percent}{shown}{left}",
        f"{dot}{percent}{shown}{left.removesuffix(' left')}",
        f"{dot}{percent}{left.removesuffix(' left')}",
        f"{dot}{percent}",
    )


def _score_markup(metric: str, value: float | None) -> str:
    """The result that a run is judged by, named where it is not the accuracy."""
    named = "" if metric == "accuracy" else f"{metric_title(metric)} "
    return f"[$best]{drawing.escape(named)}{drawing.escape(metric_text(metric, value))}[/]"


def head_title(name: str, status: str, progress: Progress, what: str, where: str = "") -> str:
    """The title of the head as markup: name and status of a run, what it does at the moment, and what trains where."""
    tone, glyph = STATUS_TONES.get(status, ("$text", "●"))
    phase = _PHASES.get(progress.phase, "") if status in ("preparing", "running") else ""
    words = f"[{tone}]{glyph} {status}[/]" + (f"  [not bold $warning]{phase}[/]" if phase else "")
    words += f"  [not bold $warning]{drawing.name(where)}[/]" if where else ""
    return f"{drawing.name(name)}  {words}  [not bold $text-muted]{drawing.name(what)}[/]"


def what_trains(config: RunConfig | None, environment: Mapping[str, Any], source: str = "") -> str:
    """What trains where, as plain text: resnet18 · FashionMNIST · bf16 · NVIDIA H200.

    Args:
        config: config of the run; None if it can't be read.
        environment: hardware and software, as `run.json` has it.
        source: what wrote the run, if another program trained it.
    """
    device = str(environment.get("gpu") or environment.get("device") or "")
    words = [config.model.name, config.data.dataset] if config is not None else [source]
    return " · ".join(filter(None, (*words, str(environment.get("precision", "")), device)))


def progress_line(progress: Progress, width: int, *, is_live: bool) -> str:
    """Epoch and step, a bar, the share, and the time left, as markup.

    Args:
        progress: progress of the run.
        width: room in cells.
        is_live: whether to show the time left.
    """
    share = progress.step / progress.total_steps if progress.total_steps else 0.0
    of_epochs = f" [$text-muted]of {progress.epochs}[/]" if progress.epochs else ""
    # Programs that torchdeck only records or watches may count no epochs, or say of none how many there will be.
    head = f"epoch [b]{progress.epoch}[/]{of_epochs}   " if progress.epoch or progress.epochs else ""
    head += f"step [b]{progress.step:,}[/]"
    if progress.step and not progress.total_steps:
        return head
    head += f" [$text-muted]of {progress.total_steps:,}[/]" if progress.total_steps else ""
    tail = f" [b]{share:4.0%}[/]"
    if is_live and progress.eta_seconds == progress.eta_seconds:
        tail += f"   [b]{duration(progress.eta_seconds)}[/] left"
    room = width - drawing.cells(head) - drawing.cells(tail) - 3
    if room < _SHORTEST_BAR:
        return drawing.fits(head, tail, width)
    return f"{head}   {drawing.bar(share, room)}{tail}"


def unwritten_words(problem: str) -> str:
    """Say that records of a live run can't be written, or can be again; this stands in none of its files.

    Args:
        problem: which of them and why; empty if all can be written.
    """
    if not problem:
        return "the run's records are written again"
    return f"the run's records can't be written, training continues and keeps them in memory: {problem}"


def notices(status: str, state: StateFile, reason: str, width: int, *, can_resume: bool = True) -> list[str]:
    """Lines of markup about what needs the user: an error, what can't be written, how to resume.

    Args:
        status: status from the reader.
        state: state of the run.
        reason: the likeliest one, if the status is "died"; what can't be read, if it is "damaged".
        width: room in cells.
        can_resume: whether torchdeck can resume it, which it can't what another program trained.
    """
    resume = f"[$text-muted]{RESUME_ADVICE}[/]" if can_resume else ""
    if status == "failed" and state.get("error"):
        lines = [f"[$error]{line}[/]" for line in drawing.prose(str(state["error"]), width)]
        return [*lines, f"[$text-muted]press 6 for its output; {RESUME_ADVICE}[/]" if can_resume else ""]
    if status == "damaged":
        return [f"[$error]{line}[/]" for line in drawing.prose(reason, width)]
    if status == "died":
        lines = [f"[$error]{line}[/]" for line in drawing.prose(reason or "its process is gone", width)]
        return [*lines, resume]
    lines = []
    if state.get("write_error"):
        lines.append("[$error]✗[/] can't write to disk: records are kept in memory")
    elif state.get("save_error"):
        lines.append(f"[$error]✗[/] last save failed: {drawing.name(str(state['save_error']))}")
    elif state.get("disk_warning"):
        lines.append(f"[$warning]▲[/] disk filling up: {drawing.name(str(state['disk_warning']))}")
    if state.get("exact") is False:
        reasons = "; ".join(map(str, state.get("not_exact_because", [])))
        lines.append(f"[$warning]▲[/] not bit-exact: {drawing.name(reasons)}")
    if message := state.get("message"):
        lines.append(f"[$text-muted]{drawing.name(str(message))}[/]")
    if status == "stopped":
        lines.append(resume)
    return lines
