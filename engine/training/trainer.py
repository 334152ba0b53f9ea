"""The training loop: epochs of steps, evaluation, checkpoints, and the commands that a live run obeys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Literal

from torch import Tensor, nn

from ..config import RunConfig
from ..config.changed_settings import changed_settings
from ..config.file import parse_config
from ..data.loading.batch_loader import TrainingData
from ..runs.control import Control
from ..runs.on_disk.metrics_record import Measured
from ..runs.saving.checkpoint_format import Checkpoint
from .bookkeeping import Bookkeeping, Watchers
from .boundary import Boundary, OwnBoundary
from .compute.evaluation import Evaluation
from .compute.executor import Executor
from .compute.objective import DecisiveMetrics
from .compute.step import Batch
from .live_commands import LiveCommands
from .live_settings import LiveSettings
from .optimization.optimizers import build_optimizer
from .optimization.schedules import build_schedule
from .resume_with_changes import restore_changed
from .saving import Saving
from .state import Position, RunState
from .validation import Validated, Validation

Outcome = Literal["finished", "stopped"]


class Trainer:
    """Trains a model on a data set, writing everything it does to a run directory.

    Knows nothing of a screen: it is watched through the directory and controlled through `control`, whose commands
    it obeys between steps. All its work happens in the thread that calls `fit`. `assemble_trainer` makes one.

    Attributes:
        state: everything that changes while it trains.
        live: settings that change while it trains.
        executor: computes steps and evaluations.
        saving: takes its checkpoints.
        profiling: traces steps when asked to.
        times: where the time goes.
    """

    def __init__(
        self,
        state: RunState,
        live: LiveSettings,
        executor: Executor,
        validation: Validation,
        saving: Saving,
        watchers: Watchers,
        books: Bookkeeping,
        control: Control,
        boundary: Boundary | None = None,
    ) -> None:
        """Train from the state as it is.

        `boundary` says what is due between steps where that is not this process's decision alone.
        """
        self.state = state
        self.live = live
        self.executor = executor
        self.saving = saving
        self.profiling = watchers.profiling
        self.times = books.times
        self._callbacks = watchers.callbacks
        self._gradients = watchers.gradients
        self._run, self._records, self._clock = books.run, books.steps, books.clock
        self._report = books.status.report
        self._control = control
        self._commands = LiveCommands(self, control, books.run)
        self._validation = validation
        self._boundary = boundary or OwnBoundary(books.steps.is_due, saving.is_due_by_time)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where `checkpoint` (as `load_checkpoint` returns it) was saved, with this trainer's settings.

        Everything is taken over in place, so that it may be done between two steps, too; but the batches that the loop
        goes through follow another position only from its next epoch, or from the next `fit`, on.

        Raises:
            CheckpointError: it is of another model, or lacks a part.
        """
        saved = parse_config(checkpoint["config"], "the checkpoint's config")
        changed = changed_settings(saved, self.config)
        restore_changed(self.state, checkpoint, saved, self.config, changed)
        self.live.restore(checkpoint["live_settings"], with_clip_norm="training.clip_norm" not in changed)
        self._callbacks.load_state_dict(checkpoint.get("callbacks", []))
        self._records.discard()
        self._clock.start_at(self.state.totals.seconds)

    def fit(self) -> Outcome:
        """Train from the current position to the last epoch, or until a stop is requested.

        Returns:
            "finished" after the last epoch, "stopped" when a command ended it earlier; either is saved.

        Raises:
            NonFiniteLossError: the loss or a weight became NaN or infinite.
        """
        self._clock.resume()
        self.times.start()
        self._records.go_on()
        self.model.train()
        self._report(phase="training")
        self._callbacks.call("on_run_start")
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
            self.save("early stop" if finished else "stop", is_last=True)
        outcome: Outcome = "finished" if finished else "stopped"
        self._boundary.leave()
        self._callbacks.call("on_run_end", outcome=outcome)
        return outcome

    def _is_complete(self) -> bool:
        """Whether nothing is left to train: all epochs are done, or the validation metric no longer improves."""
        return self.state.position.epoch >= self.config.training.epochs or self.state.early_stopping.is_over

    def _train_epoch(self) -> None:
        """Train what is left of the current epoch, or until a stop."""
        self.model.train()
        if self._validation.is_due_at_step() and not self._measure_between_epochs():
            return
        state, executor, records = self.state, self.executor, self._records
        position, averages = state.position, state.averages
        self._callbacks.call("on_epoch_start")
        for window in self.times.waited_for(self.windows()):
            executor.seed()
            executor.step.probe = self._gradients.due(position.step + 1)
            learning_rate = state.schedule.learning_rate
            self._callbacks.call("on_step_start")
            if executor.compiles_next:
                loss, predictions = self._compile_in_step(window)
            else:
                # In smaller parts when memory runs out; the update is unscaled and clipped.
                loss, predictions = executor.forward_backward(window)
                executor.update()
            state.schedule.after_step()
            position.count_step()
            if averages is not None:
                averages.after_step(position.step)
            records.log.add(loss, predictions, [targets for _, targets in window], learning_rate)
            if self.profiling.is_on:
                self.profiling.after_step(position.step)
            self._callbacks.call("on_step_end", loss=loss)
            due = self._boundary.after_step()
            if due.drain:
                records.drain()
                if due.save:
                    self.save("minutes")
            if self._validation.is_due_at_step() and not self._measure_between_epochs():
                break
            if self.saving.is_due_at_step():
                self.save("interval")
            if self._control.pending:
                self._commands.obey()
            if self._commands.stop_after == "step":
                break
        records.drain()

    def advance(self, window: list[Batch]) -> None:
        """Do a step that is not recorded."""
        state = self.state
        with self.executor.step.unwatched():
            self.executor.whole_step(window)
        state.schedule.after_step()
        state.position.count_step()
        if state.averages is not None:
            state.averages.after_step(state.position.step)

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

    def _compile_in_step(self, window: list[Batch]) -> tuple[Tensor, list[Tensor]]:
        """The run's first step when it is compiled."""
        if self.saving.start is None:
            self.saving.remember_start()
        with self.times.compiling():
            result = self.executor.compile_in_step(window)
        # Compiling is not part of the seconds that steps take.
        self._records.go_on()
        return result

    def _measure_between_epochs(self) -> bool:
        """Measure the weights in the middle of an epoch. False when training is to end here."""
        self._records.drain()
        validated = self._measured()
        if validated is None:
            return False
        position = self.state.position
        self._run.record(
            {
                "kind": "evaluation",
                "epoch": position.epoch + 1,
                "step": position.step,
                "t": self._clock.seconds(),
                **validated.record,
            }
        )
        if validated.is_best and (self.config.checkpoint.every_epochs or self.config.checkpoint.every_steps):
            self.save("best", metrics=validated.raw.metrics, is_best=True)
        self._report(phase="training")
        self._records.go_on()
        return not self.state.early_stopping.is_over

    def _finish_epoch(self) -> bool:
        """Measure, record and save at the end of an epoch. False when a stop interrupted the evaluation."""
        validated = None
        if self._validation.is_due_after_epoch():
            validated = self._measured()
            if validated is None:
                return False
        self.state.schedule.after_epoch()
        metrics = validated.raw.metrics if validated is not None else {}
        is_best = validated is not None and validated.is_best
        measured: Measured = validated.record if validated is not None else {"validation": {}}
        self._run.record(
            {
                "kind": "epoch",
                "epoch": self.state.position.epoch + 1,
                "step": self.state.position.step,
                "t": self._clock.seconds(),
                "seconds": self._clock.seconds() - self.state.totals.epoch_began,
                "lr": self.learning_rate,
                "train": self.state.totals.epoch_metrics(self.executor.step.objective),
                **measured,
            }
        )
        self._callbacks.call("on_epoch_end", metrics=dict(metrics))
        self.state.position.count_epoch()
        self.state.totals.begin_epoch(self._clock.seconds())
        every, last = self.config.checkpoint.every_epochs, self._is_complete()
        if last or (every and (is_best or self.state.position.epoch % every == 0)):
            self.save("epoch", metrics=metrics, is_best=is_best, is_last=last)
        self.executor.say_recompiled(self.state.position.step)
        self._report(phase="training")
        if self._control.pending:
            self._commands.obey()
        self._records.go_on()
        return True

    def _measured(self) -> Validated | None:
        self._callbacks.call("on_evaluation_start")
        validated = self._validation.measure(self._evaluate)
        if validated is not None:
            self._callbacks.call("on_evaluation_end", metrics=dict(validated.raw.metrics))
        return validated

    def _evaluate(self) -> Evaluation | None:
        self._report(phase="evaluating")
        with self.times.evaluating():
            return self.executor.evaluate(self.data.validation, interrupted=self._stop_is_asked_between_batches)

    def _stop_is_asked_between_batches(self) -> bool:
        self._boundary.between_batches()
        return self._commands.stop_is_asked()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let the run's clock stand in here, with everything recorded that was done."""
        self._records.drain()
        self._clock.pause()
        self._report(phase="training", status="paused")
        with self.times.spent_on("paused"):
            yield
        self._clock.resume()
        self._records.go_on()
        self._report(phase="training", status="running")

    @property
    def config(self) -> RunConfig:
        """The run's config, with the number of epochs that holds now."""
        return self.state.config

    @property
    def data(self) -> TrainingData:
        """The loaders."""
        return self.executor.data

    @property
    def model(self) -> nn.Module:
        """The model in training."""
        return self.state.model

    @property
    def position(self) -> Position:
        """Where training stands."""
        return self.state.position

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.state.schedule.learning_rate

    def set_learning_rate(self, rate: float) -> None:
        """Scale all that the schedule gives from here on so that the next step has this rate, which is not 0."""
        self.state.schedule.scale(rate / self.learning_rate)

    @property
    def clip_norm(self) -> float:
        """The largest norm of the gradients; 0 for no clipping."""
        return self.live.clip_norm

    def set_clip_norm(self, norm: float) -> None:
        """Clip the gradients to this norm from the next step on."""
        self.live.clip_norm = norm

    def set_epochs(self, config: RunConfig) -> None:
        """Train on with another number of epochs: exactly what a resume from here with that number would do."""
        state, saved = self.state, self.state.config
        # The new optimizer keeps using this memory.
        checkpoint = self.saving.copied_state()
        state.config = config
        state.optimizer = self.executor.step.optimizer = build_optimizer(config.optimizer, self.model)
        state.schedule = build_schedule(
            config.schedule,
            state.optimizer,
            steps_per_epoch=state.steps_per_epoch,
            epochs=config.training.epochs,
            watched=DecisiveMetrics.of(config, self.executor.step.objective).schedule,
        )
        restore_changed(state, checkpoint, saved, config, changed_settings(saved, config))
        self._report(phase="training")

    def profile(self, steps: int) -> None:
        """Profile the next steps."""
        self.profiling.start(steps)

    def save_from_outside(self) -> str:
        """Save on behalf of the engine's thread while it waits for data, evaluates or compiles and can't stop.

        Returns:
            What was saved, for people: then the engine's thread takes no further step, and the process has to end.
            Empty when that thread is in a step; it obeys a stop by itself when that is done.
        """
        self.times.is_given_up = True
        if self.times.is_at_boundary:
            self.save("stop", is_last=True)
            return "no batch arrived after the stop request: saved at the last step"
        if self.times.is_compiling and self.saving.save_start():
            return "torch.compile did not end after the stop request: saved as before the first step"
        self.times.is_given_up = False
        return ""

    def save(
        self, reason: str, metrics: dict[str, float] | None = None, *, is_best: bool = False, is_last: bool = False
    ) -> None:
        """Snapshot the state at this step boundary and hand it to the writer.

        Args:
            reason: what the save is recorded with.
            metrics: validation metrics at this point.
            is_best: whether they are the best so far.
            is_last: whether the run ends with it, so that no later save makes up for one that fails.
        """
        self._records.drain()
        with self.times.spent_on("saving"):
            self.saving.save(reason, metrics or {}, is_best=is_best, is_last=is_last)
