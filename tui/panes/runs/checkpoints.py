"""The checkpoints of a run, below what the user says of it and why it ended."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from torchdeck.engine.run_files import CHECKPOINTS

from ...drawing import name
from ...keys.bindings import bindings
from ...widgets.rows import Rows
from ...widgets.table import layout
from ...words.metric_text import headline_metric
from ...words.runs.run_lists import CheckpointRow, checkpoint_columns, marks_width, tag_words
from ...words.train.run_text import ENDED_BADLY
from .table import Asking

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.directory import RunSummary
    from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo


@dataclass(frozen=True)
class CheckpointsLook:
    """What was read of the run under the cursor: its checkpoints, and why it ended if it ended badly."""

    run: RunSummary | None
    checkpoints: Sequence[CheckpointInfo]
    reason: str

    def path_of(self, checkpoint: CheckpointInfo) -> Path:
        """The file of one of them."""
        assert self.run is not None
        return self.run.path / CHECKPOINTS / checkpoint.file


def look_at_checkpoints(run: RunSummary | None) -> CheckpointsLook:
    """Read a run's checkpoints and why it ended, if it ended badly. Call it in a thread."""
    from torchdeck.engine.foreign.formats import checkpoints_of
    from torchdeck.engine.runs.cause_of_death import why_died

    if run is None:
        return CheckpointsLook(None, (), "")
    reason = ""
    if run.status in ENDED_BADLY:
        reason = run.error.strip().splitlines()[0] if run.error.strip() else why_died(run.path)
    return CheckpointsLook(run, checkpoints_of(run.path), reason)


class CheckpointTable(Asking, Rows):
    """The checkpoints of the run under the cursor.

    Attributes:
        look: what was read of the run.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("checkpoint_table")

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "") -> None:
        super().__init__(title, id=id, classes=classes)
        self.look = CheckpointsLook(None, (), "")

    @property
    def chosen(self) -> CheckpointInfo | None:
        """The checkpoint under the cursor, if the focus is here."""
        checkpoints = self.look.checkpoints
        return checkpoints[self.cursor] if self.has_focus and 0 <= self.cursor < len(checkpoints) else None

    def offers(self, action: str) -> bool:
        """Offer keys that act on checkpoints only while there are some."""
        return self.count > 0

    def show(self, look: CheckpointsLook, marked: Collection[Path]) -> None:
        """Show the checkpoints of a run.

        Args:
            look: what was read of it.
            marked: files that are marked.
        """
        before, self.look = self.look, look
        run, now = look.run, time.time()
        is_other = before.run is None or run is None or before.run.path != run.path
        self.entitle(f"Checkpoints  [not bold $text-muted]{name(run.name)}[/]" if run is not None else "Checkpoints")
        rows = [CheckpointRow(each, now, look.path_of(each) in marked) for each in look.checkpoints]
        metrics = next((each.metrics for each in look.checkpoints if each.metrics), {})
        metric = headline_metric(metrics, run.best if run is not None else None)
        columns = checkpoint_columns(metric, marks_width(rows))

        def head(width: int) -> list[str]:
            return [*_about(look, width), layout(columns, width).head()]

        def line(index: int, width: int) -> str:
            return layout(columns, width).line(rows[index])

        def nothing(width: int, height: int) -> list[str]:
            return [*_about(look, width), *(["[$text-muted]none yet[/]"] if run is not None else [])]

        self.set_rows(len(rows), line, head=head, empty=nothing, cursor=0 if is_other else None)


def _about(look: CheckpointsLook, width: int) -> list[str]:
    """What the user says of a run, and why it ended badly, above its checkpoints."""
    run = look.run
    if run is None:
        return []
    lines = []
    if run.tags or run.note:
        note = " ".join(run.note.split())
        tags = tag_words(run.tags)
        lines.append(f"{tags}{'  ' * bool(tags and note)}[$text-muted]{name(note)}[/]" if note else tags)
    if look.reason:
        lines.append(f"[$error]✗ {run.status}: {name(look.reason, max(20, width - 30))}[/]  [b $key]r[/] resumes it")
    return lines
