"""Reader of a run of another trainer, with what `RunReader` offers of torchdeck's own."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..config.file import flat_values
from ..errors import RecordedRunError
from ..metric_names import TRAINING_SCORE
from ..runs.on_disk.directory import ENDED_STATUSES, LIVE_STATUSES
from ..runs.on_disk.gradient_records import GradientRecords
from ..runs.on_disk.metrics_record import EpochRecord, ResultRecord
from ..runs.on_disk.recorded_config import plain_settings
from ..runs.on_disk.series import Points
from ..runs.on_disk.state_file import BestResult, StateFile
from ..runs.progress import Progress
from ..runs.rank_states import RankState
from ..runs.saving.checkpoint_index import CheckpointInfo, recorded_infos
from ..runs.saving.recorded_checkpoints import RecordedCheckpoint
from .history import History
from .source import Facts, Source
from .tail import PIECE_BYTES

QUIET = "quiet"
"""Status of a run that does not say whether it has ended, and has written nothing for a while."""
QUIET_SECONDS = 120.0

_FACTS_SECONDS = 2.0
# Of the bytes that a look may read: those of torchdeck's own records, which hold hundreds of steps each, are read
# faster.
_SHARE_OF_BYTES = 8


class ForeignReader:
    """Reads a run of another trainer, live or not; each poll reads only what is new. Never writes, never raises.

    Attributes:
        path: the run's folder or file.
        source_title: what wrote it.
    """

    def __init__(self, path: Path, source: Source, title: str) -> None:
        """Nothing is read yet.

        Args:
            path: the run's folder or file.
            source: reads its files.
            title: name of its format.
        """
        self.path = path
        self.source_title = title
        self._source = source
        self._history = History()
        self._facts = Facts()
        self._facts_at = -math.inf
        self._status = ""
        self._gradients = GradientRecords(path)

    @property
    def has_more(self) -> bool:
        """Whether the last `poll` left figures for the next one."""
        return self._source.has_more

    @property
    def skipped_lines(self) -> int:
        """Always 0: other programs write much that is not a figure."""
        return 0

    def poll(self, max_bytes: int | None = None) -> bool:
        """Read what is new, about `max_bytes` of it, or everything. True when anything changed."""
        changed = self._read(max_bytes // _SHARE_OF_BYTES if max_bytes is not None else PIECE_BYTES)
        while max_bytes is None and self._source.has_more:
            self._read(PIECE_BYTES)
        now = time.monotonic()
        if changed or now - self._facts_at >= _FACTS_SECONDS:
            facts, self._facts_at = self._source.facts(), now
            changed = changed or facts != self._facts
            self._facts = facts
        status = self.status()
        changed = changed or status != self._status
        self._status = status
        return changed

    def _read(self, max_bytes: int) -> bool:
        figures = self._source.read(max_bytes)
        if self._source.was_replaced:
            self._history = History()
        self._history.add(figures)
        return bool(figures) or self._source.was_replaced

    def config(self) -> RunConfig:
        """Raises RecordedRunError: torchdeck has no config of it."""
        raise RecordedRunError(
            f"{self.path.name}: was trained by another program ({self.source_title}), so it can't be resumed, forked "
            "or evaluated here; start it again with its own program"
        )

    def settings(self) -> dict[str, Any]:
        """Its program's settings by dotted key, as far as its files hold them."""
        flat = flat_values(plain_settings(self._facts.settings))
        return {key: ", ".join(map(str, value)) if isinstance(value, list) else value for key, value in flat.items()}

    def damage(self) -> list[str]:
        """What of its files can't be read."""
        return [f"damaged: {self._source.problem}"] if self._source.problem else []

    def info(self) -> dict[str, Any]:
        """What wrote it, and when it began."""
        return {"source": self.source_title, "created": self._facts.started}

    def classes(self) -> list[str]:
        """Unknown."""
        return []

    def state(self) -> StateFile:
        """What its files say of where it stands."""
        facts, history = self._facts, self._history
        state: StateFile = {
            "status": self.status(),
            "epoch": history.epoch,
            "epochs": facts.epochs,
            "step": history.last_step,
            "total_steps": facts.total_steps,
            "started": facts.started,
            "updated": facts.modified,
            "error": facts.error or None,
            "message": self._source.problem,
            "reads_commands": False,
        }
        return state

    def is_alive(self) -> bool:
        """Whether it wrote something a short while ago and has not said that it ended."""
        return self.status() in LIVE_STATUSES

    def owner_pid(self) -> int | None:
        """Unknown."""
        return None

    def status(self) -> str:
        """What its files say, else "running" while they grow, and "quiet" from a while after."""
        if self._facts.status in ENDED_STATUSES:
            return self._facts.status
        return "running" if time.time() - self._facts.modified < QUIET_SECONDS else QUIET

    def series(self, name: str) -> Points:
        """One curve, by its torchdeck name. Raises KeyError."""
        return self._history.points(name)

    @property
    def series_names(self) -> tuple[str, ...]:
        """What `series` can be asked for."""
        return self._history.names

    def gradients(self) -> GradientRecords:
        """None of torchdeck's form."""
        return self._gradients

    def gradients_so_far(self) -> GradientRecords:
        """None of torchdeck's form."""
        return self._gradients

    @property
    def score(self) -> str:
        """What its training steps measure beside their loss: "accuracy" or "mae"."""
        scores = dict.fromkeys(TRAINING_SCORE.values())
        known = {name for name in self.series_names if len(self.series(name)[0])}
        return next((name for name in scores if f"train/{name}" in known), TRAINING_SCORE["classes"])

    @property
    def headline(self) -> str:
        """The metric that its best evaluation is told by."""
        best = self.best()
        return best["metric"] if best is not None and best["metric"] != "loss" else self.score

    def events(self) -> list[dict[str, Any]]:
        """None."""
        return []

    def system(self) -> dict[str, Any]:
        """None."""
        return {}

    def ranks(self) -> list[RankState]:
        """Unknown."""
        return []

    def system_samples(self) -> Sequence[dict[str, Any]]:
        """None."""
        return ()

    def epoch_records(self) -> list[EpochRecord]:
        """The evaluations whose epoch its files name."""
        return self._history.epochs()

    def evaluation_records(self) -> list[ResultRecord]:
        """The evaluations."""
        return self._history.evaluations()

    def latest_metrics(self) -> dict[str, float]:
        """The metrics of the newest evaluation."""
        evaluations = self._history.evaluations()
        return dict(evaluations[-1]["validation"]) if evaluations else {}

    def evaluation(self) -> dict[str, Any]:
        """Unknown in full."""
        return {}

    def best(self) -> BestResult | None:
        """The best evaluation by its most telling metric."""
        found = [record for record in self._history.evaluations() if record.get("is_best")]
        if not found:
            return None
        rated = found[-1]["rated"]
        return {
            "metric": rated["metric"], "value": rated["value"], "epoch": found[-1]["epoch"], "step": found[-1]["step"]
        }  # fmt: skip

    def progress(self) -> Progress:
        """How far it is, as far as its files say."""
        history, facts = self._history, self._facts
        left = facts.total_steps - history.last_step
        is_known = self.is_alive() and facts.total_steps > 0 and left >= 0
        return Progress(
            epoch=history.epoch,
            epochs=facts.epochs,
            step=history.last_step,
            total_steps=facts.total_steps,
            step_in_epoch=0,
            steps_per_epoch=0,
            samples_per_s=0.0,
            eta_seconds=left * history.seconds_per_step if is_known else math.nan,
            lr=history.rate,
            phase="",
        )

    def checkpoints(self) -> list[CheckpointInfo]:
        """The checkpoints beside its files, the newest first."""
        if not math.isfinite(self._facts_at):
            self._facts = self._source.facts()
        recorded = [RecordedCheckpoint(str(path.absolute()), 0, 0, {}, False, 0.0) for path in self._facts.checkpoints]
        return list(reversed(recorded_infos(recorded)))
