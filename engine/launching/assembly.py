"""A trainer from its parts: model, optimizer and schedule on their device, and everything that watches and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import torch

from ..config import TrainingConfig
from ..data.loading.batching import optimizer_steps
from ..randomness import StepRandomness
from ..training.bookkeeping import Bookkeeping, Watchers
from ..training.callbacks import CallbackRun, Callbacks
from ..training.compute.executor import Executor
from ..training.compute.memory_recovery import Parts, parts_in_words
from ..training.compute.objective import DecisiveMetrics
from ..training.compute.step import TrainStep
from ..training.environment import describe_environment
from ..training.live_settings import LiveSettings
from ..training.monitors.gradient_watch import GradientWatch
from ..training.optimization.optimizers import build_optimizer
from ..training.optimization.schedules import build_schedule
from ..training.profiling import Profiling
from ..training.records.clock import TrainingClock
from ..training.records.status import TrainingStatus
from ..training.records.step_records import StepRecords
from ..training.records.time_breakdown import TimeShares
from ..training.saving import Saving
from ..training.state import Identity, Position, RunState, new_run_state
from ..training.trainer import Trainer
from ..training.validation import Validation

if TYPE_CHECKING:
    from ..build import Prepared
    from ..data.loading.batch_loader import TrainingData
    from ..runs.control import Control
    from ..runs.on_disk.state_file import Report, StateFile
    from ..runs.writer import RunWriter


def assemble_trainer(prepared: Prepared, data: TrainingData, run: RunWriter, control: Control) -> Trainer:
    """A trainer that stands before its first step.

    Args:
        prepared: the checked run; its model is moved to its device.
        data: the loaders.
        run: takes what is written of the training.
        control: commands to it.

    Raises:
        ConfigError: an optimizer or schedule that can't be built on this model.
        UserCodeError: a callback that can't be made.
    """
    config = prepared.config
    step = _step_on_device(prepared)
    state = _first_state(prepared, data, step)

    def report(**fields: Unpack[StateFile]) -> None:
        # Made below: the status tells of settings of what computes the steps, which reports in its turn.
        status.report(**fields)

    executor = _executor(config.training, step, data, state, run, report)
    live, times, clock = LiveSettings(executor), TimeShares(), TrainingClock()
    status = TrainingStatus(state, live, times, run)
    gradients = GradientWatch(step.model, config.training.probe_every, has_scaler=step.scaler is not None)
    records = StepRecords(state, step.objective, gradients, clock, run, report=lambda: report(phase="training"))
    callbacks = _callbacks(state, step, run, control)
    return Trainer(
        state,
        live,
        executor,
        Validation(state, run),
        Saving(state, live, callbacks, clock, run, step.placement.device),
        Watchers(callbacks, gradients, Profiling(run, step.placement.device)),
        Bookkeeping(run, status, records, clock, times),
        control,
    )


def _step_on_device(prepared: Prepared) -> TrainStep:
    placement = prepared.placement
    model = prepared.model.to(placement.device)
    if placement.channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(prepared.config.optimizer, model)
    return TrainStep.of(prepared.config, model, optimizer, prepared.objective, placement)


def _first_state(prepared: Prepared, data: TrainingData, step: TrainStep) -> RunState:
    config = prepared.config
    steps_per_epoch = optimizer_steps(data.train.num_batches, config)
    schedule = build_schedule(
        config.schedule,
        step.optimizer,
        steps_per_epoch=steps_per_epoch,
        epochs=config.training.epochs,
        watched=DecisiveMetrics.of(config, step.objective).schedule,
    )
    identity: Identity = {
        "classes": list(data.classes),
        "data_fingerprint": data.fingerprint,
        "environment": describe_environment(config, prepared.placement),
    }
    return new_run_state(config, step, schedule, identity, steps_per_epoch=steps_per_epoch)


def _executor(
    config: TrainingConfig,
    step: TrainStep,
    data: TrainingData,
    state: RunState,
    run: RunWriter,
    report: Report,
) -> Executor:
    def say_split(parts: Parts, what: str) -> None:
        text = parts_in_words(parts, what)
        run.event("out_of_memory", text=text, step=state.position.step, largest_part=parts.largest)
        report(phase="training")

    return Executor(
        config,
        step,
        data,
        run,
        seed=_StepSeeds(StepRandomness(state.config.seed, step.placement.device), state.position).seed,
        on_split=say_split,
        report=report,
    )


class _StepSeeds:
    """Seeds the step at which a run stands."""

    def __init__(self, randomness: StepRandomness, position: Position) -> None:
        self._randomness = randomness
        self._position = position

    def seed(self) -> None:
        self._randomness.seed_step(self._position.step)


def _callbacks(state: RunState, step: TrainStep, run: RunWriter, control: Control) -> Callbacks:
    def say_failed(name: str, method: str, error: str) -> None:
        text = f"{name}: {method} raised {error}; it is not called again, training continues"
        run.event("callback_failed", text=text, step=state.position.step)

    seen = CallbackRun(state, run.path, stop=lambda: control.submit({"cmd": "stop"}))
    callbacks = Callbacks(state.config.callbacks, seen, say_failed)
    callbacks.listen_to(step)
    return callbacks
