"""What `train`, `resume` and `fork` print with `--json`: a run at its end, or one that has begun in the background."""

from __future__ import annotations

from typing import TypedDict

from torchdeck.engine.runs.browsing.references import last_checkpoint
from torchdeck.engine.runs.on_disk.state_file import BestResult
from torchdeck.engine.runs.reader import RunReader


class EndedRun(TypedDict):
    """The state of a run when the command ends.

    Attributes:
        run: name of its directory, which identifies the run.
        path: directory of the run.
        status: finished, stopped, failed or died.
        epoch: current or last epoch, from 1; 0 before the first.
        step: completed optimizer steps.
        metrics: validation metrics of the newest evaluation; empty before the first.
        best: the best evaluation so far; None before the first.
        checkpoint: path of the newest checkpoint; None where there is none.
        error: why the run failed; None when it didn't.
    """

    run: str
    path: str
    status: str
    epoch: int
    step: int
    metrics: dict[str, float]
    best: BestResult | None
    checkpoint: str | None
    error: str | None


class DetachedRun(TypedDict):
    """A run that has begun in the background: with --detach.

    Attributes:
        run: name of its directory, which identifies the run.
        path: directory of the run.
        pid: the process that trains it.
    """

    run: str
    path: str
    pid: int


def summary(reader: RunReader) -> EndedRun:
    """Describe the state of a run: the document that `train --json` prints at the end."""
    reader.poll()
    state, progress = reader.state(), reader.progress()
    newest = last_checkpoint(reader.path)
    return {
        "run": reader.path.name,
        "path": str(reader.path),
        "status": reader.status(),
        "epoch": progress.epoch,
        "step": progress.step,
        "metrics": reader.latest_metrics(),
        "best": reader.best(),
        "checkpoint": str(newest) if newest is not None else None,
        "error": state.get("error"),
    }
