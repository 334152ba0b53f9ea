"""What everything that shows a run may ask of it, be it of torchdeck or of another trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ..config import RunConfig
from .on_disk.gradient_records import GradientRecords
from .on_disk.metrics_record import EpochRecord, ResultRecord
from .on_disk.series import Points
from .on_disk.state_file import BestResult, StateFile
from .progress import Progress
from .rank_states import RankState
from .saving.checkpoint_index import CheckpointInfo


class RunView(Protocol):
    """A run that is read: a directory of torchdeck's, or what another trainer writes. See `RunReader`."""

    path: Path

    @property
    def has_more(self) -> bool:
        """Whether the last `poll` left records for the next one."""

    @property
    def skipped_lines(self) -> int:
        """Records that could not be understood."""

    @property
    def series_names(self) -> tuple[str, ...]:
        """What `series` can be asked for."""

    @property
    def score(self) -> str:
        """What is measured of every training step beside its loss."""

    @property
    def headline(self) -> str:
        """The metric that says most of the run besides its loss."""

    def poll(self, max_bytes: int | None = None) -> bool:
        """Read what is new, about `max_bytes` of it. True when anything changed."""

    def config(self) -> RunConfig:
        """The run's config. Raises ConfigError where torchdeck has none."""

    def settings(self) -> dict[str, Any]:
        """Settings by dotted key, of whatever program."""

    def damage(self) -> list[str]:
        """What can't be read, each with the reason."""

    def info(self) -> dict[str, Any]:
        """What was noted of it once: source, host, versions, classes."""

    def classes(self) -> list[str]:
        """Names of the classes; empty if unknown."""

    def state(self) -> StateFile:
        """Where it stands, as far as its program says."""

    def is_alive(self) -> bool:
        """Whether a process trains it now, as far as that can be known."""

    def owner_pid(self) -> int | None:
        """Process that trains it; None if no process does, or if that is unknown."""

    def status(self) -> str:
        """Its status."""

    def series(self, name: str) -> Points:
        """One curve. Raises KeyError."""

    def gradients(self) -> GradientRecords:
        """What was written about its gradients, read up to now."""

    def gradients_so_far(self) -> GradientRecords:
        """Like `gradients`, read by `poll`."""

    def events(self) -> list[dict[str, Any]]:
        """What happened, the oldest first."""

    def system(self) -> dict[str, Any]:
        """The newest sample of its machine; empty if there is none."""

    def ranks(self) -> list[RankState]:
        """Where each process of a run of several stands; none for a run of one, and where it is not known."""

    def system_samples(self) -> Sequence[dict[str, Any]]:
        """The newest samples of its machine, oldest first."""

    def epoch_records(self) -> list[EpochRecord]:
        """The completed epochs."""

    def evaluation_records(self) -> list[ResultRecord]:
        """The evaluations."""

    def latest_metrics(self) -> dict[str, float]:
        """The metrics of the newest evaluation."""

    def evaluation(self) -> dict[str, Any]:
        """The newest evaluation in full; empty if unknown."""

    def best(self) -> BestResult | None:
        """The best evaluation so far."""

    def progress(self) -> Progress:
        """How far it is."""

    def checkpoints(self) -> list[CheckpointInfo]:
        """Its checkpoints, the newest first."""
