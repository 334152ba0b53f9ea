"""A new run that begins where another one was: from its weights, or from its whole state with other settings."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..config.file import config_from_values, config_values, dump_config, parse_config
from ..config.starting_weights import weights_from
from ..errors import CheckpointError
from ..runs.browsing.references import run_of, step_file_of
from ..runs.on_disk.directory import config_damage
from ..runs.on_disk.state_file import ForkOrigin, StateFile
from ..runs.saving.checkpoint_format import Checkpoint
from ..tensor_files.checkpoint_file import inspect_checkpoint
from .another_loop import state_of_another_loop
from .continuation import Continuation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..build import Prepared
    from ..training.foreign_state import ForeignState

_LONGEST_NAME = 80
_SUFFIX = "-fork"


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
    run = run_of(path)
    if run is not None and (damage := config_damage(run)):
        print(f"torchdeck: {run.name}: {damage}; the fork has the config in {path.name}", file=sys.stderr)
    if not report.config and base is None:
        raise CheckpointError(
            f"{path}: not a torchdeck checkpoint, so it has no config; name one with --config PRESET|FILE.toml to "
            "take its weights, optimizer state and epoch, and add --weights to take only its weights"
        )
    if run is not None:
        # `last.pt` and `best.pt` name other files as soon as the parent trains on.
        path = path.with_name(step_file_of(path))
    values = config_values(base if base is not None else parse_config(report.config, str(path)))
    values["name"] = values["name"].removesuffix(_SUFFIX)[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX
    values["start_from"] = ""
    if weights_only:
        entry = "ema_state_dict" if averaged else "model_state_dict" if report.config else ""
        values["model"] |= weights_from(str(path.absolute()), entry)
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
    if not inspect_checkpoint(path).is_own:
        taken = state_of_another_loop(prepared, path)
        outside: ForkOrigin = {"run": "", "checkpoint": path.name}
        return Fork(
            checkpoint=taken.state,
            event={**outside, "epoch": taken.state.epoch, **taken.exactness},
            state_fields={"forked_from": outside, **taken.exactness},
        )
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
