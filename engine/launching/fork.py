"""A new run that begins where another one was: from its weights, or from its whole state with other settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..config.file import config_from_values, config_values, dump_config, parse_config
from ..errors import CheckpointError, RunError
from ..runs.browsing.references import run_of, step_file_of
from ..runs.on_disk.state_file import ForkOrigin, StateFile
from ..runs.saving.checkpoint_format import Checkpoint
from ..tensor_files.checkpoint_file import inspect_checkpoint
from .continuation import Continuation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..build import Prepared

_LONGEST_NAME = 80
_SUFFIX = "-fork"


@dataclass(frozen=True)
class Fork:
    """The state that a run begins with.

    Attributes:
        checkpoint: content from `load_checkpoint`, without the parent's best result.
        event: event that the new run records.
        state_fields: likewise, for its state.
    """

    checkpoint: Checkpoint
    event: dict[str, Any]
    state_fields: StateFile


def fork_config(
    path: Path, *, weights_only: bool = False, averaged: bool = False, overrides: Sequence[str] = ()
) -> RunConfig:
    """The config of a run that begins from a checkpoint: the parent's own, with the changes that are asked for.

    Args:
        path: a checkpoint of torchdeck.
        weights_only: take over the weights, and begin at the first epoch with a new optimizer.
        averaged: take over the averaged (EMA) weights; only with `weights_only`.
        overrides: ``KEY=VALUE`` changes.

    Raises:
        CheckpointError: it can't be read or holds no config.
        ConfigError: a change that is not allowed.
    """
    report = inspect_checkpoint(path)
    if not report.config:
        raise CheckpointError(
            f"{path}: not a torchdeck checkpoint, so there is no run to fork; use model.weights in your own config to "
            "load its weights"
        )
    if run_of(path) is not None:
        # `last.pt` and `best.pt` name other files as soon as the parent trains on.
        path = path.with_name(step_file_of(path))
    values = config_values(parse_config(report.config, str(path)))
    values["name"] = values["name"].removesuffix(_SUFFIX)[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX
    values["start_from"] = ""
    if weights_only:
        entry = "ema_state_dict" if averaged else "model_state_dict"
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
        RunError: nothing is left to train.
    """
    config, path = prepared.config, Path(prepared.config.start_from)
    continuation = Continuation.of(prepared, path)
    position, state = continuation.position, continuation.state
    if position["epoch"] >= config.training.epochs:
        raise RunError(
            f"{path}: has trained {position['epoch']} epochs, and training.epochs = {config.training.epochs} leaves "
            f"none; set more, such as training.epochs = {position['epoch'] * 2}"
        )
    run = run_of(path)
    origin: ForkOrigin = {"run": run.name if run is not None else "", "checkpoint": path.name}
    return Fork(
        # The best checkpoint is a file of the parent: the new run finds its own.
        checkpoint={**state, "best": {**state["best"], "metric": ""}},
        event={**origin, "step": position["step"], "epoch": position["epoch"], **continuation.exactness},
        state_fields={"forked_from": origin, **continuation.exactness},
    )
