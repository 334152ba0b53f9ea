"""Continuing from a checkpoint: whether it can be done with the config there is now, and whether bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from ..runs.on_disk.state_file import StateFile
from ..runs.saving.checkpoint_format import Checkpoint, SavedPosition, is_own, require_known_format

if TYPE_CHECKING:
    from ..build import Prepared
    from ..training.environment import Conditions

# What resuming needs of a checkpoint, and what each part is.
_PARTS: dict[str, type] = {
    "model_state_dict": dict,
    "optimizer_state_dict": dict,
    "scheduler_state_dict": dict,
    "position": dict,
    "totals": dict,
    "rng": dict,
    "config": str,
    "environment": dict,
    "data_fingerprint": str,
    "best": dict,
    "early_stopping": dict,
    "evaluated_step": int,
}
# Arguments of optimizers that need averages which a checkpoint without them doesn't hold.
_STATE_CREATING = {"optimizer.amsgrad", "optimizer.centered"}


@dataclass(frozen=True)
class Continuation:
    """The state in a checkpoint, which fits a run that is prepared.

    Attributes:
        path: the checkpoint.
        state: its content.
        inexact: why the result will differ from that of the uninterrupted run; empty where it won't by a bit.
    """

    path: Path
    state: Checkpoint
    inexact: list[str]

    @classmethod
    def of(cls, prepared: Prepared, path: Path, state: Checkpoint | None = None) -> Continuation:
        """Check a checkpoint against the model, the settings, the data and the machine of a prepared run.

        Args:
            prepared: the run.
            path: the checkpoint.
            state: its content, as `load_state` returned it; None to load it.

        Raises:
            CheckpointError: it can't be read, lacks a part, or is of another model.
        """
        from ..training.environment import Conditions, inexact_because

        state = state if state is not None else load_state(path)
        saved = Conditions.saved_in(state, path)
        now = Conditions.now(prepared.config, prepared.placement, prepared.sources)
        _check_fits(prepared, saved, state, path)
        return cls(path, state, inexact_because(saved, now))

    @property
    def position(self) -> SavedPosition:
        """Where training stands."""
        return self.state["position"].copy()

    @property
    def exactness(self) -> StateFile:
        """What the run records of it."""
        return {"exact": not self.inexact, "not_exact_because": self.inexact}


def load_state(path: Path) -> Checkpoint:
    """The content of a checkpoint that training can continue from.

    Raises:
        CheckpointError: it can't be read, another program wrote it, it lacks a part, or a part is not what it should
            be.
    """
    from ..runs.saving.checkpoint import load_checkpoint

    state = load_checkpoint(path)
    if not is_own(state):
        raise CheckpointError(
            f"{path}: not a torchdeck checkpoint, so there is no run to continue; to start a run from "
            f"its weights, optimizer state and epoch: torchdeck fork {path} --config PRESET|FILE.toml"
        )
    require_known_format(state, path)
    parts: Mapping[str, Any] = state
    missing = [name for name in _PARTS if name not in parts]
    if missing:
        raise CheckpointError(f"{path}: can't be resumed from: it lacks {', '.join(missing)}")
    wrong = [name for name, kind in _PARTS.items() if not isinstance(parts[name], kind)]
    position = state["position"]
    if not wrong and any(type(position.get(name)) is not int for name in ("epoch", "step", "step_in_epoch")):
        wrong.append("position")
    if wrong:
        raise CheckpointError(f"{path}: can't be resumed from: its {', '.join(wrong)} is not what torchdeck saves")
    return state


def newest_state(run: Path) -> tuple[Path, Checkpoint, list[tuple[Path, str]]]:
    """The newest checkpoint of a run that training can continue from.

    Returns:
        Its path, its content, and the newer ones that were skipped, each with the reason.

    Raises:
        RunError: the run has none; the text says what is wrong with each.
    """
    from ..runs.saving.checkpoint import newest_valid_checkpoint

    loaded: list[Checkpoint] = []
    path, skipped = newest_valid_checkpoint(run, lambda path: loaded.append(load_state(path)))
    return path, loaded[-1], skipped


def _check_fits(prepared: Prepared, saved: Conditions, state: Checkpoint, path: Path) -> None:
    """Raise CheckpointError when the model that was built is another than the checkpoint's."""
    from ..config.changed_settings import changed_settings
    from ..models.weights import model_shapes
    from ..models.weights_mapping import same_names

    saved_shapes = {name: tuple(tensor.shape) for name, tensor in state["model_state_dict"].items()}
    problems = same_names(saved_shapes, model_shapes(prepared.model)).describe()
    if problems:
        raise CheckpointError(f"{path} does not fit the model {prepared.config.model.name}: {problems}")
    changed = changed_settings(saved.config, prepared.config)
    if "optimizer.name" in changed:
        return
    trained = sum(parameter.requires_grad for parameter in prepared.model.parameters())
    known = sum(len(group["params"]) for group in state["optimizer_state_dict"]["param_groups"])
    if trained != known:
        raise CheckpointError(
            f"{path}: its optimizer trains {known} tensors, but the current model.freeze leaves {trained}; "
            f"to train other parts, start a new run with model.weights = '{path}'"
        )
    for name in sorted(_STATE_CREATING & changed.keys()):
        raise CheckpointError(f"{name} can't be changed in a resume: {path} has no state for it")
