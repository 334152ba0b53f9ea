"""Handle a NaN or infinite loss or weight: find the module where it started, then stop or roll back."""

from __future__ import annotations

import contextlib
import copy
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..distributed.ranks import ALONE, Ranks
from ..errors import CheckpointError, RunError
from ..run_files import CHECKPOINTS
from ..runs.saving.checkpoint_format import Checkpoint, is_own, require_known_format
from ..runs.writer import RunWriter
from .nonfinite import NonFiniteLossError

if TYPE_CHECKING:
    from .compute.step import Batch
    from .trainer import Outcome, Trainer

# The steps since the last good state are done again to find the module, for no longer than this.
_REPLAY_SECONDS = 60.0


def fit_past_divergence(trainer: Trainer, run: RunWriter, ranks: Ranks = ALONE) -> Outcome:
    """Train to the end. A NaN or infinite loss is reported with the module where it started.

    With `training.on_nonfinite = "rollback"` the run then goes back to its last good checkpoint, and on with a lower
    learning rate.

    Raises:
        NonFiniteLossError: it diverged, and shall stop or has gone back often enough.
    """
    while True:
        try:
            return trainer.fit()
        except NonFiniteLossError as error:
            failure = error
        rollbacks = trainer.live.rollbacks
        good, name = _last_good(trainer, run, ranks)
        where = _where(trainer, failure, good, ranks)
        training = trainer.config.training
        if training.on_nonfinite == "stop" or good is None or rollbacks >= training.max_rollbacks:
            often = f" It rolled back {rollbacks} times without success." * (rollbacks > 0)
            raise NonFiniteLossError(f"{failure}.{where}{often}", failure.step)
        _go_back(trainer, run, good, rollbacks + 1, f"{str(failure).split(' (', 1)[0]}.{where} Back to {name}")


def _last_good(trainer: Trainer, run: RunWriter, ranks: Ranks) -> tuple[Checkpoint | None, str]:
    """The newest state known to be good, and its name: a checkpoint, else the run's start. The first process's."""
    from ..runs.saving.checkpoint import load_checkpoint, newest_valid_checkpoint

    run.flush()
    path: Path | None = None
    if ranks.is_first:
        with contextlib.suppress(RunError, CheckpointError):
            path = newest_valid_checkpoint(run.held)[0]
    # By its name: a directory that is held by a descriptor is this process's alone.
    name = ranks.agreed(path.name if path is not None else "")
    try:
        if not name:
            return trainer.saving.start, "the run's start"
        path = run.held / CHECKPOINTS / name
        content = load_checkpoint(path)
        if is_own(content):
            require_known_format(content, path)
            return content, path.name
    except (RunError, CheckpointError):
        pass
    return trainer.saving.start, "the run's start"


def _go_back(trainer: Trainer, run: RunWriter, good: Checkpoint, rollbacks: int, why: str) -> None:
    position = good["position"]
    run.go_back(
        trainer.config,
        at_step=position["step"],
        at_epoch=position["epoch"],
        evaluated_step=good["evaluated_step"],
    )
    trainer.restore(good)
    # The good state may itself have come after an earlier way back.
    factor = trainer.config.training.rollback_lr_factor
    trainer.state.schedule.scale(factor ** (rollbacks - trainer.live.rollbacks))
    trainer.live.rollbacks = rollbacks
    rate = f"{trainer.state.schedule.learning_rate:g}"
    run.event(
        "rolled_back",
        text=f"{why}, learning rate {rate} ({rollbacks} of {trainer.config.training.max_rollbacks})",
        step=position["step"],
        learning_rate=trainer.state.schedule.learning_rate,
    )


def _where(trainer: Trainer, failure: NonFiniteLossError, good: Checkpoint | None, ranks: Ranks) -> str:
    """A sentence about where it began; empty when that can't be found out. Of several processes, all look in step."""
    if failure.step == 0:
        names = [name for name, weight in trainer.model.named_parameters() if not bool(weight.isfinite().all())]
        return f" The first such weight is {names[0]}." if names else ""
    if good is None:
        return ""
    # A copy: an optimizer keeps using the memory that it is restored from.
    trainer.restore(copy.deepcopy(good))
    end = time.monotonic() + _REPLAY_SECONDS
    while trainer.state.position.epoch < trainer.config.training.epochs:
        for window in trainer.windows():
            if trainer.state.position.step + 1 == failure.step:
                return _first_of_all(ranks.gathered(_first_nonfinite(trainer, window)))
            if ranks.agreed(time.monotonic() > end or trainer.stop_is_asked()):
                return ""
            trainer.advance(window)
        trainer.state.position.count_epoch()
        trainer.state.schedule.after_epoch()
    return ""


def _first_of_all(found: list[str]) -> str:
    """What the first process that found something says of it."""
    for rank, where in enumerate(found):
        if where:
            return f" {where}{f', in process {rank}' if len(found) > 1 else ''}."
    return " Every module's output was finite, only the loss is not."


def _first_nonfinite(trainer: Trainer, window: list[Batch]) -> str:
    """Do a step again with a look at every module's output. Empty where all are finite."""
    found: list[str] = []
    if not all(_is_finite(inputs) for inputs, _ in window):
        found.append("The batch itself has non-finite values: check the data and the transforms")

    def look(name: str, module: nn.Module) -> Any:
        def hook(_module: nn.Module, _arguments: Any, output: Any) -> None:
            if not found and not _is_finite(output):
                found.append(f"It started in the output of {name or 'the model'} ({type(module).__name__})")

        return hook

    handles = [module.register_forward_hook(look(name, module)) for name, module in trainer.model.named_modules()]
    try:
        # Hooks of a compiled model would be compiled into it.
        with torch.compiler.set_stance("force_eager"):
            trainer.advance(window)
    finally:
        for handle in handles:
            handle.remove()
    return next(iter(found), "")


def _is_finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return True
