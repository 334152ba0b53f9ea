"""A tracker for Accelerate: `Accelerator(log_with=torchdeck.AccelerateTracker("name"))`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..recording.recorder import Recorder, record
from .steering import missing

try:
    from accelerate.tracking import GeneralTracker
except ModuleNotFoundError as error:
    raise missing("accelerate") from error


class AccelerateTracker(GeneralTracker):
    """Records what `accelerator.log` is given. Accelerate calls it in the main process only.

    Attributes:
        tracker: the recorded run, from `accelerator.init_trackers` on; `tracker.commands()` has the studio's keys.
    """

    name = "torchdeck"
    requires_logging_directory = False
    main_process_only = True
    tracker: Recorder | None = None

    def __init__(self, run_name: str, *, runs: str | Path | None = None) -> None:
        """Record into a new directory in the folder `runs`."""
        super().__init__()
        self.run_name, self._runs = run_name, runs

    def start(self) -> None:
        """Wait for the settings, which come next."""

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Begin the run with its settings."""
        self.tracker = record(self.run_name, dict(values), runs=self._runs, rank=0)

    def log(self, values: Mapping[str, Any], step: int | None = None, **named: Any) -> None:
        """Record figures; `epoch=` makes an evaluation a line in the table of epochs."""
        if self.tracker is None:
            self.store_init_configuration({})
        assert self.tracker is not None
        self.tracker.log(values, step=step, epoch=named.get("epoch"))

    def finish(self) -> None:
        """End the run."""
        if self.tracker is not None:
            self.tracker.finish()
