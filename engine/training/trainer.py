"""The training loop: epochs of steps, evaluation, checkpoints, and the commands that a live run obeys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal

from torch import Tensor, nn

from ..config import RunConfig
from ..config.file import dump_config, parse_config
from ..data.loading.batch_loader import BatchLoader, TrainingData
from ..data.loading.batching import optimizer_steps
from ..randomness import StepRandomness
from ..runs.control import Control
from ..runs.writer import RunWriter
from .callbacks import CallbackRun, Callbacks
from .clock import TrainingClock
from .compute.compiled_run import CompiledRun
from .compute.evaluation import Evaluation, evaluate
from .compute.memory_recovery import Parts, RecoveringEvaluation, RecoveringStep, parts_in_words
from .compute.objective import DecisiveMetrics, Objective
from .compute.placement import Placement
from .compute.step import Batch, TrainStep
from .environment import changed_settings, describe_environment
from .gradient_watch import GradientWatch
from .live_commands import LiveCommands
from .optimization.optimizers import build_optimizer
from .optimization.schedules import Schedule, build_schedule
from .profiling import Profiling
from .resume_with_changes import restore_changed
from .saving import Saving
from .state import Position, new_run_state
from .status import TrainingStatus
from .step_records import StepRecords
from .time_breakdown import TimeShares
from .validation import Validated, Validation

Outcome = Literal["finished", "stopped"]


class Trainer:
    """Trains a model on a data set, writing everything it does to a run directory.

    Knows nothing of a screen: it is watched through the directory and controlled through `control`, whose commands
    it obeys between steps. All its work happens in the thread that calls `fit`.

    Attributes:
        rollbacks: how often the run went back to a good state after it had diverged.
        times: where the time goes.
        saving: takes its checkpoints.
        profiling: watches steps when it is told to.
    """

    def __init__(
        self,
        config: RunConfig,
        data: TrainingData,
        model: nn.Module,
        placement: Placement,
        objective: Objective,
        run: RunWriter,
        control: Control,
    ) -> None:
        """Set up optimizer, schedule and step for a model that lies on its device, as does the objective.

        Raises:
            ConfigError: an optimizer or schedule that can't be built on this model.
        """
        self.config = config
        self.data = data
        self.model = model
        self.placement = placement
        self.objective = objective
        self.steps_per_epoch = optimizer_steps(data.train.num_batches, config)
        self.optimizer = build_optimizer(config.optimizer, model)
        self.schedule = self._build_schedule()
        self.step = TrainStep.of(config, model, self.optimizer, objective, placement)
        self.state = new_run_state(
            config, model, self.optimizer, self.schedule, self.step.scaler, objective, self._identity()
        )
        self.rollbacks = 0
        self.times = TimeShares()
        self.profiling = Profiling(run, placement.device)
        self._run = run
        self._control = control
        self._commands = LiveCommands(self, control, run)
        self._clock = TrainingClock()
        self._randomness = StepRandomness(config.seed, placement.device)
        self._set_up_steps()
        self._set_up_records()

    def _identity(self) -> dict[str, Any]:
        return {
            "config": dump_config(self.config),
            "classes": list(self.data.classes),
            "data_fingerprint": self.data.fingerprint,
            "environment": describe_environment(self.config, self.placement),
        }

    def _set_up_steps(self) -> None:
        """What a step goes through beside the step itself."""
        config = self.config
        self._watch = GradientWatch(self.model, config.training.probe_every, has_scaler=self.step.scaler is not None)
        self._recovering = RecoveringStep(
            self.step, self._seed_step, lambda parts: self._say_out_of_memory(parts, "training")
        )
        self._recovering_evaluation = RecoveringEvaluation(lambda parts: self._say_out_of_memory(parts, "evaluation"))
        self._waits_for_compile = config.training.compile
        self._compiled = CompiledRun(
            config.training,
            self.step,
            self.placement.device,
            self._run,
            self._report,
            runs_eager=self._is_odd_batch,
        )
        seen = CallbackRun(self.state, config, self._run.path, stop=lambda: self._control.submit({"cmd": "stop"}))
        self.callbacks = Callbacks(config.callbacks, seen, self._say_callback_failed)
        self.callbacks.listen_to(self.step)

    def _set_up_records(self) -> None:
        """What is told and kept of a run."""
        config, run = self.config, self._run
        self._status = TrainingStatus(
            config, self.state, self.step, self._recovering, self.times, run, steps_per_epoch=self.steps_per_epoch
        )
        self._records = StepRecords(
            self.state, self.objective, self._watch, self._clock, run, report=lambda: self._report("training")
        )
        self._validation = Validation(config, self.state, run, self.steps_per_epoch)
        self.saving = Saving(
            config.checkpoint,
            self.state,
            self.callbacks,
            self._clock,
            run,
            self._live_settings,
            self.placement.device,
        )

    def _build_schedule(self) -> Schedule:
        return build_schedule(
            self.config.schedule,
            self.optimizer,
            steps_per_epoch=self.steps_per_epoch,
            epochs=self.config.training.epochs,
            watched=DecisiveMetrics.of(self.config, self.objective).schedule,
        )

    def _say_callback_failed(self, name: str, method: str, error: str) -> None:
        self._run.event(
            "callback_failed",
            text=f"{name}: {method} raised {error}; it is not called again, training goes on",
            step=self.state.position.step,
        )

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Go on where `checkpoint` (as `load_checkpoint` returns it) was saved, with this trainer's settings.

        Raises:
            CheckpointError: it is of another model, or lacks a part.
        """
        saved = parse_config(checkpoint["config"], "the checkpoint's config")
        changed = changed_settings(saved, self.config)
        restore_changed(self.state, checkpoint, saved, self.config, changed)
        if "training.clip_norm" not in changed:
            self.step.clip_norm = checkpoint["live_settings"].get("training.clip_norm", self.step.clip_norm)
        self.callbacks.load_state_dict(checkpoint.get("callbacks", []))
        self._records.discard()
        self.rollbacks = int(checkpoint["live_settings"].get("rollbacks", 0))
        self._recovering.largest_part = int(checkpoint["live_settings"].get("largest_part", 0))
        self._recovering_evaluation.largest_part = int(checkpoint["live_settings"].get("evaluation_part", 0))
        self._clock.start_at(self.state.totals.seconds)

    def fit(self) -> Outcome:
        """Train from the current position to the last epoch, or until told to stop.

        Returns:
            "finished" after the last epoch, "stopped" when a command ended it earlier; either is saved.

        Raises:
            NonFiniteLossError: the loss or a weight became NaN or infinite.
        """
        self._clock.resume()
        self.times.start()
        self._records.go_on()
        self.model.train()
        self._report("training")
        self.callbacks.call("on_run_start")
        while not self._is_complete():
            self._train_epoch()
            if self._commands.stop_after == "step":
                break
            if self.state.early_stopping.is_over:
                break
            if not self._finish_epoch():
                break
            if self._commands.stop_after:
                break
        finished = self._is_complete()
        if not finished or self.state.position.step_in_epoch:
            self.save("early stop" if finished else "stop")
        outcome: Outcome = "finished" if finished else "stopped"
        self.callbacks.call("on_run_end", outcome=outcome)
        return outcome

    def _is_complete(self) -> bool:
        """Whether nothing is left to train: all epochs are done, or the validation metric no longer improves."""
        return self.state.position.epoch >= self.config.training.epochs or self.state.early_stopping.is_over

    def _train_epoch(self) -> None:
        """Train what is left of the current epoch, or until a stop."""
        self.model.train()
        if self._validation.is_due_at_step() and not self._measure_between_epochs():
            return
        position, records, profiling = self.state.position, self._records, self.profiling
        keep = records.log.add
        save_every, measure_every = self.config.checkpoint.every_steps, self.config.evaluation.every_steps
        averages = self.state.averages
        train = self._first_compiled_step if self._waits_for_compile else self._recovering
        tells_start, tells_end = map(self.callbacks.has, ("on_step_start", "on_step_end"))
        self.callbacks.call("on_epoch_start")
        for window in self.times.waited_for(self.windows()):
            self._randomness.seed_step(position.step)
            learning_rate = self.schedule.learning_rate
            self.step.probe = self._watch.due(position.step + 1)
            if tells_start:
                self.callbacks.call("on_step_start")
            loss, logits = train(window)
            train = self._recovering
            self.schedule.after_step()
            position.step += 1
            position.step_in_epoch += 1
            if averages is not None:
                averages.after_step(position.step)
            keep(loss, logits, [targets for _, targets in window], learning_rate)
            if profiling.is_on:
                profiling.after_step(position.step)
            if tells_end:
                self.callbacks.call("on_step_end", loss=loss)
            if records.is_due():
                records.drain()
                if self.saving.is_due():
                    self.save("minutes")
            if measure_every and self._validation.is_due_at_step() and not self._measure_between_epochs():
                break
            if save_every and position.step % save_every == 0:
                self.save("interval")
            if self._control.pending:
                self._commands.obey()
            if self._commands.stop_after == "step":
                break
        records.drain()

    def advance(self, window: list[Batch]) -> None:
        """Do a step that is not recorded."""
        self._seed_step()
        with self.step.unwatched():
            self._recovering(window)
        self.schedule.after_step()
        self.state.position.step += 1
        self.state.position.step_in_epoch += 1
        if self.state.averages is not None:
            self.state.averages.after_step(self.state.position.step)

    def stop_is_asked(self) -> bool:
        """Whether a stop at the next step was asked for."""
        return self._commands.stop_is_asked()

    def windows(self) -> Iterator[list[Batch]]:
        """The rest of this epoch's batches, in windows of one optimizer step each."""
        accumulate = self.config.training.accumulate
        start = self.state.position.step_in_epoch * accumulate
        batches = self.data.train.batches(self.state.position.epoch, start)
        if accumulate == 1:
            for batch in batches:
                yield [batch]
            return
        while window := list(islice(batches, accumulate)):
            yield window

    def _first_compiled_step(self, window: list[Batch]) -> tuple[Tensor, list[Tensor]]:
        """The run's first step when it is compiled."""
        self._waits_for_compile = False
        with self.times.spent_on("compiling"):
            result = self._compiled.first_step(window, lambda: self._seeded_step(window))
        # Compiling is no part of the seconds that steps take.
        self._records.go_on()
        return result

    def _is_odd_batch(self, samples: int) -> bool:
        """Whether a batch is the smaller last one of its split; a graph of its own would not pay."""
        if self.config.training.compile_dynamic == "always":
            return False
        loader = self.data.train if self.model.training else self.data.validation
        recovering = self._recovering if self.model.training else self._recovering_evaluation
        return not recovering.largest_part and samples < min(loader.batch_size, loader.num_samples)

    def _seeded_step(self, window: list[Batch]) -> tuple[Tensor, list[Tensor]]:
        self._seed_step()
        return self._recovering(window)

    def _seed_step(self) -> None:
        self._randomness.seed_step(self.state.position.step)

    def _say_out_of_memory(self, parts: Parts, what: str) -> None:
        self._run.event(
            "out_of_memory",
            text=parts_in_words(parts, what),
            step=self.state.position.step,
            largest_part=parts.largest,
        )
        self._report("training")

    def _measure_between_epochs(self) -> bool:
        """Measure the weights in the middle of an epoch. False when training is to end here."""
        self._records.drain()
        validated = self._measured()
        if validated is None:
            return False
        position = self.state.position
        where = {"epoch": position.epoch + 1, "step": position.step, "t": self._clock.seconds()}
        self._run.record({"kind": "evaluation", **where, **validated.record})
        if validated.is_best and (self.config.checkpoint.every_epochs or self.config.checkpoint.every_steps):
            self.save("best", metrics=validated.raw.metrics, is_best=True)
        self._report("training")
        self._records.go_on()
        return not self.state.early_stopping.is_over

    def _finish_epoch(self) -> bool:
        """Measure, record and save at the end of an epoch. False when a stop interrupted the evaluation."""
        validated = None
        if self._validation.is_due_after_epoch():
            validated = self._measured()
            if validated is None:
                return False
        self.schedule.after_epoch()
        metrics = validated.raw.metrics if validated is not None else {}
        is_best = validated is not None and validated.is_best
        self._run.record(
            {
                "kind": "epoch",
                "epoch": self.state.position.epoch + 1,
                "step": self.state.position.step,
                "t": self._clock.seconds(),
                "seconds": self._clock.seconds() - self.state.totals.epoch_began,
                "lr": self.schedule.learning_rate,
                "train": self.state.totals.epoch_metrics(self.objective),
                **(validated.record if validated is not None else {"validation": {}}),
            }
        )
        self.callbacks.call("on_epoch_end", metrics=dict(metrics))
        self.state.position.epoch += 1
        self.state.position.step_in_epoch = 0
        self.state.totals.begin_epoch(self._clock.seconds())
        every, last = self.config.checkpoint.every_epochs, self._is_complete()
        if last or (every and (is_best or self.state.position.epoch % every == 0)):
            self.save("epoch", metrics=metrics, is_best=is_best)
        self._compiled.say_recompiled(self.state.position.step)
        self._report("training")
        if self._control.pending:
            self._commands.obey()
        self._records.go_on()
        return True

    def _measured(self) -> Validated | None:
        self.callbacks.call("on_evaluation_start")
        validated = self._validation.measure(self._evaluate)
        if validated is not None:
            self.callbacks.call("on_evaluation_end", metrics=dict(validated.raw.metrics))
        return validated

    def _evaluate(self) -> Evaluation | None:
        self._report("evaluating")
        with self.times.evaluating():
            return self._recovering_evaluation(self.data.validation, self._evaluate_on)

    def _evaluate_on(self, loader: BatchLoader) -> Evaluation | None:
        self._seed_step()
        return evaluate(self.model, loader, self.objective, self.placement, interrupted=self._commands.stop_is_asked)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let the run's clock stand in here, with everything recorded that was done."""
        self._records.drain()
        self._clock.pause()
        self._report("training", status="paused")
        with self.times.spent_on("paused"):
            yield
        self._clock.resume()
        self._records.go_on()
        self._report("training", status="running")

    @property
    def position(self) -> Position:
        """Where training stands."""
        return self.state.position

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.schedule.learning_rate

    def set_learning_rate(self, rate: float) -> None:
        """Scale all that the schedule gives from here on so that the next step has this rate, which is not 0."""
        self.schedule.scale(rate / self.schedule.learning_rate)

    @property
    def clip_norm(self) -> float:
        """The largest norm of the gradients; 0 for no clipping."""
        return self.step.clip_norm

    def set_clip_norm(self, norm: float) -> None:
        """Clip the gradients to this norm from the next step on."""
        self.step.clip_norm = norm

    def profile(self, steps: int) -> None:
        """Profile the next steps."""
        self.profiling.start(steps)

    def set_epochs(self, config: RunConfig) -> None:
        """Train on with another number of epochs: exactly what a resume from here with that number would do."""
        saved, self.config = self.config, config
        self._validation.config = self._status.config = config
        position = self.state.position
        # The new optimizer goes on in this very memory.
        checkpoint = self.saving.copied_state()
        self.optimizer = build_optimizer(config.optimizer, self.model)
        self.schedule = self._build_schedule()
        self.step.optimizer = self.state.optimizer = self.optimizer
        self.state.schedule = self.schedule
        self.state.identity["config"] = dump_config(config)
        restore_changed(self.state, checkpoint, saved, config, changed_settings(saved, config))
        # The loop that is under way counts on in this very object.
        self.state.position = position
        self._report("training")

    def save_from_outside(self) -> bool:
        """Save in another thread's stead that waits for data or evaluates and can't be told to stop.

        Returns:
            Whether it was saved: then the engine's thread takes no further step, and the process has to end. False
            when that thread is between two boundaries; it obeys a stop by itself.
        """
        self.times.is_given_up = True
        if not self.times.is_at_boundary:
            self.times.is_given_up = False
            return False
        self.save("stop")
        return True

    def save(self, reason: str, metrics: dict[str, float] | None = None, is_best: bool = False) -> None:
        """Snapshot the state at this step boundary and hand it to the writer."""
        self._records.drain()
        with self.times.spent_on("saving"):
            self.saving.save(reason, metrics or {}, is_best)

    def _live_settings(self) -> dict[str, float]:
        return {
            "training.clip_norm": self.step.clip_norm,
            "largest_part": self._recovering.largest_part,
            "evaluation_part": self._recovering_evaluation.largest_part,
            "rollbacks": self.rollbacks,
        }

    def _report(self, phase: str, **fields: Any) -> None:
        self._status.report(phase, **fields)
