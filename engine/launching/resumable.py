"""Whether training can go on from a checkpoint: it is complete, and of the model that the config builds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError

if TYPE_CHECKING:
    from ..build import Prepared

# Arguments of optimizers that need averages which a checkpoint without them doesn't hold.
_STATE_CREATING = {"optimizer.amsgrad", "optimizer.centered"}


def check_complete(checkpoint: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError when a part is missing that going on needs."""
    needed = (
        "model_state_dict",
        "optimizer_state_dict",
        "scheduler_state_dict",
        "position",
        "totals",
        "rng",
        "config",
        "environment",
        "data_fingerprint",
        "best",
        "early_stopping",
        "evaluated_step",
    )
    missing = [name for name in needed if name not in checkpoint]
    if missing:
        raise CheckpointError(f"{path}: can't be gone on from: it lacks {', '.join(missing)}")


def check_fits(prepared: Prepared, checkpoint: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError when the model that was built is another than the checkpoint's."""
    from ..config.file import parse_config
    from ..models.weights import model_shapes
    from ..models.weights_mapping import same_names
    from ..training.environment import changed_settings

    saved_shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint["model_state_dict"].items()}
    problems = same_names(saved_shapes, model_shapes(prepared.model)).describe()
    if problems:
        raise CheckpointError(f"{path} does not fit the model {prepared.config.model.name}: {problems}")
    changed = changed_settings(parse_config(checkpoint["config"], str(path)), prepared.config)
    if "optimizer.name" in changed:
        return
    trained = sum(parameter.requires_grad for parameter in prepared.model.parameters())
    saved = sum(len(group["params"]) for group in checkpoint["optimizer_state_dict"]["param_groups"])
    if trained != saved:
        raise CheckpointError(
            f"{path}: its optimizer trains {saved} tensors, and with model.freeze as it is now there are {trained}; "
            f"to train other parts, start a new run with model.weights = '{path}'"
        )
    for name in sorted(_STATE_CREATING & changed.keys()):
        raise CheckpointError(f"{name} can't be changed while a run goes on: {path} has no averages for it")
