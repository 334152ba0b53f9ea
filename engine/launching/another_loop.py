"""Continuing from the checkpoint of another loop: its weights, optimizer state and epoch, as far as they fit a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from ..runs.on_disk.state_file import StateFile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..build import Prepared
    from ..training.foreign_state import ForeignState

# As PyTorch's tutorial on saving names them, its examples, and many loops.
_WEIGHTS = ("model_state_dict", "state_dict", "model")
_OPTIMIZER = ("optimizer_state_dict", "optimizer")


@dataclass(frozen=True)
class TakenState:
    """The state in a file of another loop, and what a run records of its exactness.

    Attributes:
        state: weights, optimizer state and completed epochs, which fit the run.
        inexact: why the result will differ from that of the other loop, had it trained on.
    """

    state: ForeignState
    inexact: list[str]

    @property
    def exactness(self) -> StateFile:
        """What the run records of it."""
        return {"exact": False, "not_exact_because": self.inexact}


def state_of_another_loop(prepared: Prepared, path: Path) -> TakenState:
    """The state that another loop saved, as far as it fits a prepared run.

    Raises:
        CheckpointError: it can't be read, or holds the state of another model or optimizer.
        ConfigError: nothing is left to train.
    """
    from ..build import refuse_used_up_epochs
    from ..runs.saving.checkpoint import load_checkpoint
    from ..training.foreign_state import NOT_EXACT, ForeignState, states_by_parameter
    from ..training.optimization.optimizers import build_optimizer

    content = load_checkpoint(path)
    weights = _weights_for(prepared.model, content, path)
    reasons = list(NOT_EXACT)
    saved = next((content[name] for name in _OPTIMIZER if name in content), None)
    states = None
    if saved is None:
        reasons.append(f"the optimizer: the file has no {' or '.join(_OPTIMIZER)}, so it starts afresh")
    else:
        own = build_optimizer(prepared.config.optimizer, prepared.model)
        try:
            states = states_by_parameter(saved, prepared.model, own)
        except CheckpointError as error:
            raise CheckpointError(
                f"{path}: its optimizer state {error}; set the optimizer that it was trained with, or take only its "
                f"weights: torchdeck fork {path} --weights, or model.weights in place of start_from"
            ) from None
    epoch = content.get("epoch", 0)
    if type(epoch) is not int or epoch < 0:
        raise CheckpointError(f"{path}: its epoch is {epoch!r}, and should be a number of epochs, 0 or more")
    refuse_used_up_epochs(path, epoch, prepared.config.training.epochs)
    return TakenState(ForeignState(weights, states, epoch), reasons)


def _weights_for(model: nn.Module, content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The tensors of a file by the model's names. Raises CheckpointError when one is missing or has another shape."""
    from ..models.weights import model_shapes, problem_of
    from ..models.weights_mapping import map_weights

    found = next((content[name] for name in _WEIGHTS if isinstance(content.get(name), dict)), None)
    if found is None:
        held = ", ".join(str(name) for name in list(content)[:6])
        raise CheckpointError(
            f"{path}: holds no {' or '.join(_WEIGHTS)} (it has {held}), so there is no training to continue; take its "
            "weights with model.weights"
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items() if hasattr(tensor, "shape")}
    try:
        mapping = map_weights(shapes, model_shapes(model))
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from None
    if problem := problem_of(mapping, ()):
        raise CheckpointError(f"{path} does not fit the model: {problem}")
    return {name: found[in_file] for name, in_file in mapping.matched.items()}
