"""Output of a run without the studio: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from torchdeck.engine.launching.followed_run import FollowedRun
from torchdeck.engine.runs.reader import RunReader

from .plain_text import printable
from .process.terminal_notice import notice_for
from .words.event_levels import event_level
from .words.figures import duration, figure
from .words.metric_text import best_words, metric_title
from .words.shell_text import shell_command
from .words.train.epoch_columns import epoch_columns
from .words.train.event_text import event_line
from .words.train.run_text import unwritten_words

# Without a terminal, print a line at least this often, so that a log shows that the run is alive.
_PLAIN_SECONDS = 60.0
# Problems that the run itself prints, or that its end tells.
_PRINTED = ("left_out", "ended", "died")


class Display:
    """Shows the progress of a run, read from its directory.

    Attributes:
        is_live: whether there is a terminal for progress bars.
    """

    def __init__(self, file: TextIO, *, quiet: bool) -> None:
        self._console = _Console(file=file, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self.is_live = self._console.is_terminal and not quiet
        self._reader: RunReader | None = None
        self._shown_epochs = 0
        self._shown_events = 0
        self._last_line = time.monotonic()
        self._message = ""
        self._write_error = ""
        self._bars = _bars(self._console) if self.is_live else None
        self._task = self._bars.add_task("", total=None, steps="", figures="") if self._bars is not None else None
        if self._bars is not None:
            self._bars.start()

    def update(self, run: FollowedRun) -> None:
        """Show what is new since the last call."""
        if self._quiet:
            return
        if run.path is None:
            self._prepare(run.message)
            return
        if self._reader is None or self._reader.path != run.path:
            # The directory of a live run may be renamed. The records in it are those that were shown.
            self._reader = RunReader(run.path)
            self._say(f"run {run.path}")
        self._reader.poll()
        if run.write_error != self._write_error:
            self._write_error = run.write_error
            self._say(unwritten_words(run.write_error))
        self._show_events(self._reader)
        self._show_epochs(self._reader)
        self._show_progress(self._reader)

    def finish(self, run: FollowedRun) -> None:
        """Show how the run ended."""
        self.update(run)
        if self._bars is not None:
            self._bars.stop()
        if self._quiet or self._reader is None:
            return
        best = self._reader.best()
        words = f"{run.status} at epoch {self._reader.progress().epoch}"
        if best:
            words += f"; best {best_words(best)}"
        self._say(words)
        if run.status == "stopped":
            self._say(f"to resume: {shell_command('resume', self._reader.path)}")
        if self.is_live:
            self._console.file.write(notice_for(self._reader, run.status, os.environ))
            self._console.file.flush()

    def end_bars(self) -> None:
        """Print plain lines from now on: the terminal is gone."""
        self.is_live = False
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None

    def _prepare(self, message: str) -> None:
        if message == self._message:
            return
        self._message = message
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, description=printable(message))

    def _show_events(self, reader: RunReader) -> None:
        events = reader.events()
        for event in events[self._shown_events :]:
            if text := _event_line(event):
                self._say(text)
        self._shown_events = len(events)

    def _show_epochs(self, reader: RunReader) -> None:
        records = reader.epoch_records()
        for record in records[self._shown_epochs :]:
            figures = {"train": "", "validation": "", "ema": ""}
            for column in epoch_columns(records, reader.score, reader.headline):
                title = metric_title(column.name).removeprefix("macro ")
                figures[column.part] += f" {title} {column.text(record)}"
            parts = [f"{part}{words}" for part, words in figures.items() if words and record.get(part)]
            best = "  best" if record.get("is_best") else ""
            self._say(f"epoch {record['epoch']:>3}  {'  '.join(parts)}  {duration(record['seconds'])}{best}")
        self._shown_epochs = len(records)

    def _show_progress(self, reader: RunReader) -> None:
        progress = reader.progress()
        figures = (
            f"{progress.samples_per_s:,.0f} samples/s  ETA {duration(progress.eta_seconds)}  lr {figure(progress.lr)}"
            if progress.samples_per_s
            else ""
        )
        description = f"epoch {progress.epoch}/{progress.epochs} {progress.phase}"
        if self._bars is not None and self._task is not None:
            self._bars.update(
                self._task,
                description=description,
                total=progress.total_steps or None,
                completed=progress.step,
                steps=f"{progress.step:,}/{progress.total_steps:,} steps" if progress.total_steps else "",
                figures=figures,
            )
        elif time.monotonic() - self._last_line >= _PLAIN_SECONDS and progress.total_steps:
            self._say(f"{description}  step {progress.step:,}/{progress.total_steps:,}  {figures}")

    def _say(self, text: str) -> None:
        self._last_line = time.monotonic()
        # A full disk under our output must not stop the run.
        with contextlib.suppress(OSError):
            self._console.print(Text(printable(text)))


class _Console(Console):
    """A console that goes silent when its reader has gone; rich would end the process and the training with it."""

    def on_broken_pipe(self) -> None:
        """Print nothing from now on."""
        self.quiet = True


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(),
        TextColumn("{task.fields[steps]}", markup=False),
        TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True)),
        console=console,
        refresh_per_second=4,
        transient=True,
    )


def _event_line(event: dict[str, Any]) -> str:
    """One line for an event that matters at the command line; '' for others."""
    kind = event.get("kind")
    if kind == "resumed_from":
        exact = (
            "bit-exact" if event.get("exact") else "not bit-exact: " + "; ".join(event.get("not_exact_because", []))
        )
        skipped = "".join(f"\nskipped {item['file']}: {item['reason']}" for item in event.get("skipped", []))
        return f"resumed from {event.get('checkpoint')} at step {event.get('step')}, {exact}{skipped}"
    if kind == "forked_from" and not event.get("exact"):
        reasons = "\n".join(f"  {reason}" for reason in event.get("not_exact_because", []))
        return f"started from {event.get('checkpoint')} after epoch {event.get('epoch')}, not bit-exact:\n{reasons}"
    if isinstance(text := event.get("text"), str):
        return text
    return event_line(event) if event_level(event) != "info" and kind not in _PRINTED else ""
