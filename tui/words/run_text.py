"""A run's state as text: the lines of the train pane, made from the reader's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from torchdeck.engine.files.json_values import number
from torchdeck.engine.plurals import plural

from .. import drawing
from ..plain_text import printable, printable_lines
from .epoch_columns import epoch_columns
from .figures import byte_size, duration, figure
from .metric_text import metric_text, metric_title, score_name

if TYPE_CHECKING:
    from torchdeck.engine.config import RunConfig
    from torchdeck.engine.runs.on_disk.metrics_record import EpochRecord
    from torchdeck.engine.runs.on_disk.state_file import StateFile
    from torchdeck.engine.runs.reader import Progress

# An event stays on the screen this long, even if saves follow it.
_STAYS_SECONDS = 20.0
RESUME_ADVICE = "press 5 then r to resume from the newest checkpoint"
# A run with one of these statuses has a message that may need more than a line.
ENDED_BADLY = ("failed", "died", "damaged")

# Events whose text is shown as it is.
TOLD_AS_WRITTEN = (
    "note",
    "directory_moved",
    "directory_deleted",
    "rescued",
    "stopped_early",
    "disk_filling",
    "stalled",
    "out_of_memory",
    "rolled_back",
    "callback_failed",
    "profiled",
    "compiled",
    "recompiled",
    "gradients",
    "loss",
    "advice",
    "lock_lost",
)

STATUS_STYLES = {
    "preparing": "yellow",
    "running": "green",
    "paused": "yellow",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
    "died": "red",
    "damaged": "red",
}
STATUS_TONES = {
    "preparing": ("$warning", "●"),
    "running": ("$success", "●"),
    "paused": ("$warning", "●"),
    "finished": ("$success", "✓"),
    "stopped": ("$warning", "■"),
    "failed": ("$error", "✗"),
    "died": ("$error", "✗"),
    "damaged": ("$error", "✗"),
}
"""Theme variable and glyph of each status."""

_REASONS = {
    "epoch": "at the end of the epoch",
    "interval": "on the step schedule",
    "minutes": "on the time schedule",
    "asked": "on request",
    "stop": "before stopping",
}
# Letters of the marks in a chart.
_MARKS = {"resumed_from": "R", "paused": "P", "out_of_memory": "M", "rolled_back": "B"}
# Settings that can change while a run trains: letter in a chart, and name.
_SETTINGS = {
    "optimizer.lr": ("L", "learning rate"),
    "training.epochs": ("E", "epochs"),
    "training.clip_norm": ("C", "clip norm"),
}
_PHASES = {
    "decoding": "decoding the data",
    "compiling": "compiling the model",
    "evaluating": "evaluating",
    "saving": "saving",
}


def nothing_live(status: str) -> str:
    """Say why a run with this status can't be paused, saved, stopped or changed, and what to do."""
    return f"this run is {status}: {'press s to start another' if status == 'finished' else RESUME_ADVICE}"


def invitation(draft: RunConfig) -> tuple[Text, Text, Text]:
    """Write the pane's text while no run is shown: which key starts what, and where earlier runs are."""
    optimizer = f"{draft.optimizer.name} with learning rate {figure(draft.optimizer.lr)}"
    epochs = plural(draft.training.epochs, "epoch")
    words = Text()
    words.append("\n  s", style="bold").append(f"  start {printable(draft.name)}:\n     ")
    words.append(f"{printable(draft.model.name)} on {printable(draft.data.dataset)}, {epochs}, {printable(optimizer)}")
    words.append("\n  3", style="bold").append("  change its settings")
    words.append("\n  5", style="bold").append("  list all runs, and resume one")
    return Text("No run is shown yet.", style="bold"), Text(), words


def preparing_lines(message: str) -> tuple[Text, Text]:
    """Write the pane's text from the start of a run to its first record."""
    return Text("● preparing", style="yellow"), Text(f"{printable(message)} …" if message else "", style="dim")


def refusal_lines(reason: str, advice: str) -> tuple[Text, Text, Text]:
    """Write the pane's text about a run that could not be started.

    Args:
        reason: why it could not be started.
        advice: keys that change something and try again, as a sentence.
    """
    words = Text(printable_lines(reason), style="red")
    words.append(f"\n\nNothing was written. {advice}.", style="default")
    return Text("● not started", style="red"), Text(), words


def status_forms(name: str, status: str, progress: Progress | None, metrics: Mapping[str, float]) -> tuple[str, ...]:
    """Describe a run for the end of the first line, as markup, from the longest form to the shortest.

    Args:
        name: name of the run; empty if it has none yet.
        status: status from the reader.
        progress: progress of the run; None if unknown.
        metrics: validation metrics of its newest evaluation.
    """
    tone, glyph = STATUS_TONES.get(status, ("$text", "●"))
    dot = f"[{tone}]{glyph}[/]"
    share = progress.step / progress.total_steps if progress is not None and progress.total_steps else None
    percent = f" {share:.0%}" if share is not None else ""
    score = _score_markup(metrics)
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


def _score_markup(metrics: Mapping[str, float]) -> str:
    """The result that a run is judged by, named where it is not the accuracy."""
    if not metrics:
        return ""
    score = score_name(metrics, None)
    named = "" if score == "accuracy" else f"{metric_title(score)} "
    return f"[$best]{drawing.escape(named)}{drawing.escape(metric_text(score, metrics.get(score)))}[/]"


def headline(name: str, status: str, progress: Progress, state: StateFile) -> Text:
    """Write name and status of a run, and its activity if it is not just training."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"● {status}", style=STATUS_STYLES.get(status, "default"))
    line.append(f"  {printable(name)}", style="bold")
    if status in ("preparing", "running") and progress.phase in _PHASES:
        line.append(f"  {_PHASES[progress.phase]}", style="yellow")
    if state.get("write_error"):
        line.append("  can't write to disk: records are kept in memory", style="bold red")
    elif state.get("save_error"):
        line.append("  last save failed", style="bold red")
    elif state.get("disk_warning"):
        line.append("  disk filling up", style="bold yellow")
    if message := state.get("message"):
        line.append(f"  {printable(str(message))}", style="dim")
    if state.get("exact") is False:
        reasons = "; ".join(map(str, state.get("not_exact_because", [])))
        line.append(f"  not bit-exact: {printable(reasons)}", style="yellow")
    return line


def progress_line(progress: Progress, width: int, *, is_live: bool) -> Text:
    """Write epoch and step with a bar, then samples/s, time left and learning rate.

    Args:
        progress: progress of the run.
        width: maximum width in cells.
        is_live: whether to show the rate and the time left.
    """
    words = f"epoch {progress.epoch}/{progress.epochs}  step {progress.step:,}/{progress.total_steps:,} "
    rest = []
    if is_live and progress.samples_per_s:
        rest += [f"{progress.samples_per_s:,.0f} samples/s", f"{duration(progress.eta_seconds)} left"]
    if progress.lr is not None:
        rest.append(f"lr {figure(progress.lr)}")
    # The time left is also in the studio's first line.
    if len(rest) == 3 and len(words) + 5 + len("  ".join(["", *rest])) > width:
        del rest[1]
    tail = "  " + "  ".join(rest) if rest else ""
    cells = max(0, min(40, width - len(words) - len(tail) - 8))
    share = progress.step / progress.total_steps if progress.total_steps else 0.0
    line = Text(words, no_wrap=True, overflow="ellipsis")
    if cells >= 5:
        full = round(cells * share)
        line.append("━" * full, style="green")
        line.append("─" * (cells - full), style="dim")
    line.append(f" {share:4.0%}")
    line.append(tail)
    return line


def epoch_table(records: Sequence[EpochRecord], rows: int) -> Text:
    """Write the newest epochs, newest first, below a line of headings.

    Args:
        records: epoch records of the run, in order.
        rows: number of epochs that fit.
    """
    columns = epoch_columns(records)
    widths = [max(len(column.heading), 10 if column.name == "loss" else 8) for column in columns]
    headings = (f"{column.heading:>{width}}" for column, width in zip(columns, widths, strict=True))
    text = Text("  ".join(["epoch", *headings, "    time"]), style="dim", no_wrap=True)
    for record in list(reversed(records))[: max(0, rows)]:
        figures = (f"{column.text(record):>{width}}" for column, width in zip(columns, widths, strict=True))
        words = [f"{record['epoch']:>5}", *figures, f"{duration(record['seconds']):>8}"]
        text.append("\n" + "  ".join(words), style="default")
        if record.get("is_best"):
            text.append("  ★ best", style="green")
    return text


def marks(events: Sequence[dict[str, Any]]) -> list[tuple[float, str]]:
    """The steps of events that explain a bend in a curve, each with a letter: see `_MARKS` and `_SETTINGS`."""
    found = []
    for event in events:
        letter = _MARKS.get(str(event.get("kind")))
        if event.get("kind") == "set":
            letter = _SETTINGS.get(str(event.get("key")), ("S", ""))[0]
        step = event.get("step")
        if letter and isinstance(step, int) and step > 0:
            found.append((float(step), letter))
    return found


def last_words(
    status: str, state: StateFile, events: Sequence[dict[str, Any]], why_died: str = "its process is gone"
) -> Text:
    """The line below the progress: an error, the newest save or note, or how to resume a run that ended.

    Args:
        status: status from the reader.
        state: state of the run.
        events: events of the run, oldest first.
        why_died: the likeliest reason, if the status is "died"; what can't be read, if it is "damaged".
    """
    if status == "failed" and state.get("error"):
        words = Text(printable_lines(str(state["error"])), style="red")
        return words.append(f"\npress 6 for its output; {RESUME_ADVICE}", style="dim")
    if status == "damaged":
        return Text(printable_lines(why_died), style="red")
    if status == "died":
        words = Text(printable(why_died), style="red")
        return words.append(f"\n{RESUME_ADVICE}", style="dim")
    words = _newest_text(events) or Text("")
    if status == "stopped":
        words.append("\n" if words else "").append(RESUME_ADVICE, style="dim")
    return words


def _newest_text(events: Sequence[dict[str, Any]]) -> Text | None:
    """The newest event with a text. Other events stay for a while before saves, which may come every second."""
    saved = None
    newest = float(events[-1].get("time", 0.0)) if events else 0.0
    for event in reversed(events):
        if saved is not None and newest - float(event.get("time", 0.0)) > _STAYS_SECONDS:
            break
        if text := _event_text(event):
            if event.get("kind") != "saved":
                return text
            saved = saved or text
    return saved


def event_line(event: dict[str, Any]) -> str:
    """One line for an event of any kind, for the log."""
    text = _event_text(event)
    if text is not None:
        return text.plain
    # A kind without words of its own is shown by its fields.
    known = {key: value for key, value in event.items() if key not in ("kind", "time")}
    words = ", ".join(f"{key} {_shown(value)}" for key, value in known.items())
    return printable(words or str(event.get("kind")).replace("_", " "))


def _event_text(event: dict[str, Any]) -> Text | None:
    kind = event.get("kind")
    if kind == "saved":
        reason = _REASONS.get(str(event.get("reason")), printable(str(event.get("reason"))))
        size = f", {byte_size(event['bytes'])}" if isinstance(event.get("bytes"), int) else ""
        return Text(f"saved {printable(str(event.get('file')))} {reason}{size}", style="dim")
    if kind == "save_failed":
        return Text(f"SAVE FAILED, training continues: {printable(str(event.get('error')))}", style="red")
    if kind == "compile_failed":
        return Text(f"torch.compile failed, running eager: {printable(str(event.get('reason')))}", style="yellow")
    if kind in TOLD_AS_WRITTEN:
        return Text(printable(str(event.get("text"))), style="yellow")
    if kind == "set":
        name = _SETTINGS.get(str(event.get("key")), ("", str(event.get("key"))))[1]
        change = f"{name}: {_shown(event.get('before'))} → {_shown(event.get('after'))} at step {event.get('step')}"
        return Text(printable(change), style="green")
    return None


def _shown(value: Any) -> str:
    known = number(value)
    return str(value) if known is None else figure(known)
