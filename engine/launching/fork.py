"""A new run that begins where another one was: from its weights, or from its whole state with other settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..config.file import config_from_values, config_values, dump_config, parse_config
from ..errors import CheckpointError
from ..runs.browsing.references import run_of, step_file_of
from ..runs.on_disk.state_file import ForkOrigin, StateFile
from ..runs.saving.checkpoint_format import Checkpoint
from ..tensor_files.checkpoint_file import inspect_checkpoint
from .continuation import Continuation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from ..build import Prepared
    from ..training.foreign_state import ForeignState

_LONGEST_NAME = 80
_SUFFIX = "-fork"
_FORMAT_KEY = "torchdeck_format"
# As PyTorch's tutorial on saving names them, its examples, and many loops.
_WEIGHTS = ("model_state_dict", "state_dict", "model")
_OPTIMIZER = ("optimizer_state_dict", "optimizer")


@dataclass(frozen=True)
class Fork:
    """The state that a run begins with.

    Attributes:
        checkpoint: content from `load_checkpoint`, without the parent's best result; of another loop's file, what of
            it fits the run.
        event: event that the new run records.
        state_fields: likewise, for its state.
    """

    checkpoint: Checkpoint | ForeignState
    event: dict[str, Any]
    state_fields: StateFile


def fork_config(
    path: Path,
    *,
    weights_only: bool = False,
    averaged: bool = False,
    overrides: Sequence[str] = (),
    base: RunConfig | None = None,
) -> RunConfig:
    """The config of a run that begins from a checkpoint: the parent's own, with the changes that are asked for.

    Args:
        path: a checkpoint of torchdeck, or with `base` of any loop.
        weights_only: take over the weights, and begin at the first epoch with a new optimizer.
        averaged: take over the averaged (EMA) weights; only with `weights_only`.
        overrides: ``KEY=VALUE`` changes.
        base: the config to use in place of the checkpoint's own, with the changes in it.

    Raises:
        CheckpointError: it can't be read or holds no config.
        ConfigError: a change that is not allowed.
    """
    report = inspect_checkpoint(path)
    if not report.config and base is None:
        raise CheckpointError(
            f"{path}: not a torchdeck checkpoint, so it has no config; name one with --config PRESET|FILE.toml to "
            "take its weights, optimizer state and epoch, and add --weights to take only its weights"
        )
    if run_of(path) is not None:
        # `last.pt` and `best.pt` name other files as soon as the parent trains on.
        path = path.with_name(step_file_of(path))
    values = config_values(base if base is not None else parse_config(report.config, str(path)))
    values["name"] = values["name"].removesuffix(_SUFFIX)[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX
    values["start_from"] = ""
    if weights_only:
        entry = "ema_state_dict" if averaged else "model_state_dict" if report.config else ""
        values["model"] |= {"pretrained": False, "weights": str(path.absolute()), "weights_entry": entry}
    else:
        values["start_from"] = str(path.absolute())
    config = config_from_values(values, str(path))
    if not overrides:
        return config
    return parse_config(dump_config(config), str(path), overrides)


def parent_of(config: RunConfig) -> dict[str, Any] | None:
    """What `run.json` records of the run that a config's start or weights come from; None when they come from none.

    Needs no torch. A file of weights that lies in no run has no parent.
    """
    file = Path(config.start_from or config.model.weights)
    run = run_of(file) if config.start_from or config.model.weights else None
    if run is None:
        return None
    report = inspect_checkpoint(file)
    return {
        "run": run.name,
        "path": str(run.absolute()),
        "checkpoint": file.name,
        "epoch": report.epoch,
        "step": report.step,
        "kind": "state" if config.start_from else "weights",
    }


def begin_fork(prepared: Prepared) -> Fork:
    """The state in `start_from`, checked against the model and the settings of the new run.

    Raises:
        CheckpointError: it can't be read, lacks a part, or is of another model.
        ConfigError: nothing is left to train.
    """
    from ..build import refuse_used_up_epochs

    config, path = prepared.config, Path(prepared.config.start_from)
    if _FORMAT_KEY not in inspect_checkpoint(path).keys:
        return _begin_from_another_loop(prepared, path)
    continuation = Continuation.of(prepared, path)
    position, state = continuation.position, continuation.state
    refuse_used_up_epochs(path, position["epoch"], config.training.epochs)
    run = run_of(path)
    origin: ForkOrigin = {"run": run.name if run is not None else "", "checkpoint": path.name}
    return Fork(
        # The best checkpoint is a file of the parent: the new run finds its own.
        checkpoint={**state, "best": {**state["best"], "metric": ""}},
        event={**origin, "step": position["step"], "epoch": position["epoch"], **continuation.exactness},
        state_fields={"forked_from": origin, **continuation.exactness},
    )


def _begin_from_another_loop(prepared: Prepared, path: Path) -> Fork:
    """The state that a loop of anybody's saved, as far as it fits."""
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
                f"{path}: its optimizer state {error}; set the optimizer that it was trained with, or take only the "
                "weights: --weights, or model.weights in place of start_from"
            ) from None
    epoch = content.get("epoch", 0)
    if type(epoch) is not int or epoch < 0:
        raise CheckpointError(f"{path}: its epoch is {epoch!r}, and should be a number of epochs, 0 or more")
    refuse_used_up_epochs(path, epoch, prepared.config.training.epochs)
    origin: ForkOrigin = {"run": "", "checkpoint": path.name}
    exactness: StateFile = {"exact": False, "not_exact_because": reasons}
    return Fork(
        checkpoint=ForeignState(weights, states, epoch),
        event={**origin, "epoch": epoch, **exactness},
        state_fields={"forked_from": origin, **exactness},
    )


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
