"""A trainer from its parts: model, optimizer and schedule on their device, and everything that watches and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import torch

from ..config import TrainingConfig
from ..data.loading.batching import optimizer_steps, rank_part, train_batching
from ..data.loading.collation import with_collate
from ..distributed.ranks import ALONE, Ranks
from ..models.recomputation import recompute_activations
from ..randomness import StepRandomness
from ..training.bookkeeping import Bookkeeping, Watchers
from ..training.boundary import Boundary
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


def assemble_trainer(
    prepared: Prepared, data: TrainingData, run: RunWriter, control: Control, ranks: Ranks = ALONE
) -> Trainer:
    """A trainer that stands before its first step.

    Args:
        prepared: the checked run; its model is moved to its device.
        data: the loaders.
        run: takes what is written of the training.
        control: commands to it.
        ranks: the processes that train together.

    Raises:
        ConfigError: an optimizer or schedule that can't be built on this model.
        UserCodeError: a callback that can't be made.
    """
    config = prepared.config
    step = _step_on_device(prepared)
    # Norms of shards are not those of the weights.
    probe_every = 0 if step.passes_are_shared else config.training.probe_every
    state = _first_state(prepared, data, step)

    def report(**fields: Unpack[StateFile]) -> None:
        # Made below: the status tells of settings of what computes the steps, which reports in its turn.
        status.report(**fields)

    seeds = _StepSeeds(StepRandomness(state.config.seed, step.placement.device), state.position, ranks.rank)
    _join(step, prepared, state, seeds, ranks)
    executor = _executor(config.training, step, data, state, run, report, seeds, ranks)
    live, times, clock = LiveSettings(executor), TimeShares(), TrainingClock()
    status = TrainingStatus(state, live, times, run)
    gradients = GradientWatch(step.model, probe_every, has_scaler=step.scaler is not None)
    records = StepRecords(
        state, step.objective, gradients, clock, run, report=lambda: report(phase="training"), ranks=ranks
    )
    callbacks = _callbacks(state, step, run, control)
    saving = Saving(state, live, callbacks, clock, run, step.placement.device, is_written=ranks.is_first)
    obeyed, boundary = _agreed(control, records, saving, ranks)
    return Trainer(
        state,
        live,
        executor,
        Validation(state, run),
        saving,
        Watchers(callbacks, gradients, Profiling(run, step.placement.device)),
        Bookkeeping(run, status, records, clock, times),
        obeyed,
        boundary,
    )


def _agreed(control: Control, records: StepRecords, saving: Saving, ranks: Ranks) -> tuple[Control, Boundary | None]:
    """What the loop obeys, and what is due in it, where several processes have to agree on that."""
    if ranks.world == 1:
        return control, None
    from ..distributed.process_group import ProcessGroup
    from ..training.agreed_boundary import AgreedBoundary, AgreedControl

    assert isinstance(ranks, ProcessGroup)
    agreed = AgreedControl(ranks, control)
    return agreed, AgreedBoundary(ranks, agreed, records.is_due, saving.is_due_by_time)


def _join(step: TrainStep, prepared: Prepared, state: RunState, seeds: _StepSeeds, ranks: Ranks) -> None:
    """Let a step be computed by several processes, or in shards."""
    from ..training.compute.sharded_step import ShardedStep

    batching = train_batching(prepared.sources.train, prepared.config)
    accumulate, position = prepared.config.training.accumulate, state.position
    # What a collate_fn makes of samples, targets included, is its own business.
    targets_tell_samples = with_collate(prepared.sources.train, prepared.config.loader).collate is None

    def samples_of_batches() -> list[int]:
        first = position.step_in_epoch * accumulate
        return [batching.samples_of(batch) for batch in range(first, min(first + accumulate, batching.num_batches))]

    def samples_of_step() -> int | None:
        return sum(samples_of_batches()) if targets_tell_samples else None

    if isinstance(step, ShardedStep):
        step.join(ranks, rank_part(prepared.config, ranks), seeds.seed_shard, samples_of_batches)
    elif ranks.world > 1:
        from ..training.compute.reduced_step import ReducedStep

        assert isinstance(step, ReducedStep)
        step.join(ranks, samples_of_step)


def _step_on_device(prepared: Prepared) -> TrainStep:
    placement = prepared.placement
    is_sharded = prepared.config.parallel.strategy == "fsdp" and placement.processes > 1
    model = prepared.model if is_sharded else prepared.model.to(placement.device)
    if prepared.config.parallel.sync_batch_norm and placement.processes > 1:
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    if placement.channels_last:
        model = model.to(memory_format=torch.channels_last)
    kind: type[TrainStep] = TrainStep
    if is_sharded:
        from ..training.compute.fully_sharded_step import FullyShardedStep as kind
        from ..training.compute.fully_sharded_step import shard_model

        # A wrapper has to be inside of what is sharded.
        recompute_activations(model, prepared.config.training.recompute)
        model = shard_model(model, placement.device, placement.processes)
    elif prepared.config.parallel.exact_shards:
        from ..training.compute.sharded_step import ShardedStep as kind
    elif placement.processes > 1:
        from ..training.compute.reduced_step import ReducedStep as kind
    optimizer = build_optimizer(prepared.config.optimizer, model)
    return kind.of(prepared.config, model, optimizer, prepared.objective, placement)


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
    seeds: _StepSeeds,
    ranks: Ranks,
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
        seed=seeds.seed,
        on_split=say_split,
        report=report,
        ranks=ranks,
    )


class _StepSeeds:
    """Seeds the step at which a run stands, as this process draws in it."""

    def __init__(self, randomness: StepRandomness, position: Position, rank: int) -> None:
        self._randomness = randomness
        self._position = position
        self._rank = rank

    def seed(self) -> None:
        self._randomness.seed_step(self._position.step, self._rank)

    def seed_shard(self, shard: int) -> None:
        self._randomness.seed_step(self._position.step, shard)


def _callbacks(state: RunState, step: TrainStep, run: RunWriter, control: Control) -> Callbacks:
    def say_failed(name: str, method: str, error: str) -> None:
        text = f"{name}: {method} raised {error}; it is not called again, training continues"
        run.event("callback_failed", text=text, step=state.position.step)

    seen = CallbackRun(state, run.path, stop=lambda: control.submit({"cmd": "stop"}))
    callbacks = Callbacks(state.config.callbacks, seen, say_failed)
    callbacks.listen_to(step)
    return callbacks
