"""What the processes of a run other than the first have in place of its writer: nothing is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

from ..config import RunConfig
from .on_disk.metrics_record import MetricsRecord
from .on_disk.state_file import StateFile
from .saving.checkpoint_format import Checkpoint
from .writer import RunWriter


class Onlooker(RunWriter):
    """A writer of a run that another process writes. Events go to this process's own output."""

    def __init__(self, path: Path) -> None:
        """Look at the run in a directory. Nothing is opened, and `RunWriter`'s own files are not there."""
        self.path = path
        self.on_moved = lambda: None
        self.relocation = ""
        self._state: StateFile = {}

    @property
    def held(self) -> Path:
        """The run's directory."""
        return self.path

    def keep_ownership(self) -> None:
        """See `RunWriter.keep_ownership`."""

    def follow_directory(self) -> None:
        """See `RunWriter.follow_directory`."""

    def rescue(self) -> None:
        """See `RunWriter.rescue`."""

    def go_back(self, config: RunConfig, at_step: int, at_epoch: int, evaluated_step: int) -> None:
        """See `RunWriter.go_back`."""

    def record(self, record: MetricsRecord) -> None:
        """See `RunWriter.record`."""

    def write_evaluation(self, evaluation: dict[str, Any]) -> None:
        """See `RunWriter.write_evaluation`."""

    def probe(self, record: dict[str, Any]) -> None:
        """See `RunWriter.probe`."""

    def event(self, kind: str, **fields: Any) -> None:
        """Print what has a text: it may be of this process alone."""
        if text := fields.get("text"):
            print(f"{kind}: {text}", file=sys.stderr)

    def update_state(self, **fields: Unpack[StateFile]) -> None:
        """Keep it for `state`."""
        self._state.update(fields)

    def replace_config(self, config: RunConfig) -> None:
        """See `RunWriter.replace_config`."""

    def save_checkpoint(
        self,
        state: Checkpoint,
        *,
        step: int,
        epoch: int,
        metrics: dict[str, float],
        reason: str,
        is_best: bool = False,
        is_last: bool = False,
        when_done: Callable[[], object] = lambda: None,
    ) -> None:
        """Give the state back at once."""
        when_done()

    def state(self) -> StateFile:
        """What this process was told."""
        return self._state.copy()

    @property
    def save_error(self) -> str:
        """Always empty."""
        return ""

    def flush(self) -> None:
        """See `RunWriter.flush`."""

    def close(self, status: str, error: str | None = None) -> None:
        """See `RunWriter.close`."""
