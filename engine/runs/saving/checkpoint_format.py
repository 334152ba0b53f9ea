"""What a checkpoint of torchdeck holds: captured by a run in training, restored by whatever continues from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeGuard

from ...errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1


class SavedPosition(TypedDict):
    """Where training stood.

    Attributes:
        epoch: epochs completed.
        step_in_epoch: optimizer steps done in the epoch under way.
        step: optimizer steps done in the whole run.
    """

    epoch: int
    step_in_epoch: int
    step: int


class _Totals(TypedDict):
    loss: float
    score: float
    samples: int
    seconds: float
    epoch_began: float


class SavedTotals(_Totals, total=False):
    """What the epoch under way has added up to, and the clock.

    Attributes:
        loss: sum over its samples, by their weights.
        weight: sum of these weights; missing where each is 1.
        score: sum over its samples of what is measured of a step beside its loss.
        samples: samples trained on in the epoch.
        seconds: training time of the run.
        epoch_began: training time at which the epoch began, in seconds.
        counts: what was predicted in it, int64 on the CPU, as `PredictionCounts` counts; None before its first step.
        counted: samples that these counts are of; missing, as they are, in checkpoints of earlier versions.
    """

    weight: float
    counts: Tensor | None
    counted: int


class _Best(TypedDict):
    metric: str
    value: float
    epoch: int
    step: int


class SavedBest(_Best, total=False):
    """The best result so far; `value` is NaN before the first.

    Attributes:
        larger_is_better: which way the metric improves; None or missing: as torchdeck's metric of this name.
    """

    larger_is_better: bool | None


class SavedStopping(TypedDict):
    """How long the validation metric has not improved; `best` is NaN before the first evaluation."""

    metric: str
    best: float
    best_step: int
    waited: int


class CallbackState(TypedDict):
    """What a callback returned from its `state_dict`: None where it has none or it can't be held."""

    name: str
    state: Any


class _Always(TypedDict):
    torchdeck_format: int
    epoch: int
    model_state_dict: dict[str, Tensor]
    optimizer_state_dict: dict[str, Any]
    scheduler_state_dict: dict[str, Any]
    scaler_state_dict: dict[str, Any] | None
    position: SavedPosition
    totals: SavedTotals
    rng: dict[str, Any]
    best: SavedBest
    early_stopping: SavedStopping
    evaluated_step: int
    metrics: dict[str, float]
    live_settings: dict[str, float]
    config: str
    classes: list[str]
    data_fingerprint: str
    environment: dict[str, Any]


class Checkpoint(_Always, total=False):
    """A run's complete state between two steps; its tensors are on the CPU.

    `epoch`, `model_state_dict` and `optimizer_state_dict` are the names of PyTorch's own tutorial.

    Attributes:
        torchdeck_format: `FORMAT`.
        epoch: epochs completed.
        scaler_state_dict: of the GradScaler; None where the run has none.
        rng: states of Python's and NumPy's generators; those of torch follow from seed and step.
        evaluated_step: optimizer steps done when the weights were last measured.
        metrics: validation metrics at this point; empty where it was not evaluated.
        live_settings: settings that were changed while the run went on.
        config: the run's config as TOML.
        classes: names of the classes or labels; empty where targets are numbers.
        data_fingerprint: tells other data from these.
        environment: hardware and versions that decide about the bits.
        callbacks: states of the user's callbacks; missing where they were not asked.
        ema_state_dict: the moving average of the weights; only where one is kept.
        ema_updates: how often that was updated.
    """

    callbacks: list[CallbackState]
    ema_state_dict: dict[str, Tensor]
    ema_updates: int


def is_own(content: Mapping[str, Any]) -> TypeGuard[Checkpoint]:
    """Whether a run of torchdeck wrote a checkpoint, in whatever version, as `CheckpointReport.is_own` says of a file.

    Its parts are not looked at: a damaged one may lack some.
    """
    return "torchdeck_format" in content


def require_known_format(content: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError for a checkpoint of torchdeck whose format this version does not know."""
    if (version := content.get("torchdeck_format")) != FORMAT:
        raise CheckpointError(
            f"{path}: has torchdeck's checkpoint format {str(version)[:20]}, and this version reads format {FORMAT}; "
            "use the version that saved it, or a newer one"
        )
