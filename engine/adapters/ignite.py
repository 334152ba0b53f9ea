"""A handler for PyTorch-Ignite: `torchdeck.IgniteHandler("name").attach(trainer, {"val": evaluator}, optimizer)`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..recording.recorder import Recorder, record
from .steering import missing, stop_is_asked

try:
    import ignite.distributed as idist
    from ignite.engine import Engine, Events
except ModuleNotFoundError as error:
    raise missing("pytorch-ignite") from error


class IgniteHandler:
    """Records the trainer's output and the evaluators' metrics; P and X pause and stop the trainer."""

    def __init__(self, name: str, config: object = None, *, runs: str | Path | None = None) -> None:
        """Record into a new directory in the folder `runs`; the run begins with the training."""
        self.run: Recorder | None = None
        self._name, self._config, self._runs = name, config, runs
        self._is_stopped = False

    def attach(self, trainer: Engine, evaluators: Mapping[str, Engine] | None = None, optimizer: Any = None) -> None:
        """Listen to engines: a trainer whose output is the loss, or figures by name, and evaluators by split."""
        trainer.add_event_handler(Events.STARTED, self._begin)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._step, optimizer)
        for split, evaluator in (evaluators or {}).items():
            evaluator.add_event_handler(Events.COMPLETED, self._evaluated, trainer, split)
        trainer.add_event_handler(Events.COMPLETED, self._end)
        trainer.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _begin(self, trainer: Engine) -> None:
        epochs, steps = trainer.state.max_epochs or 0, trainer.state.epoch_length or 0
        rank = idist.get_rank()
        self.run = record(self._name, self._config, runs=self._runs, epochs=epochs, steps=epochs * steps, rank=rank)

    def _step(self, trainer: Engine, optimizer: Any) -> None:
        assert self.run is not None
        output = trainer.state.output
        values = dict(output) if isinstance(output, Mapping) else {"loss": output}
        rates = {"lr": optimizer.param_groups[0]["lr"]} if optimizer is not None else {}
        self.run.log({**values, **rates}, step=trainer.state.iteration)
        # Of several processes, this one can't end the others.
        if idist.get_world_size() == 1 and stop_is_asked(self.run):
            self._is_stopped = True
            trainer.terminate()

    def _evaluated(self, evaluator: Engine, trainer: Engine, split: str) -> None:
        if self.run is not None:
            values = {f"{split}_{name}": value for name, value in evaluator.state.metrics.items()}
            self.run.log(values, step=trainer.state.iteration, epoch=trainer.state.epoch)

    def _end(self) -> None:
        assert self.run is not None
        self.run.finish("stopped" if self._is_stopped else "finished")

    def _fail(self, trainer: Engine, error: BaseException) -> None:
        if self.run is not None:
            self.run.finish("failed", f"{type(error).__name__}: {error}")
        # Where there is a handler, Ignite does not raise it itself.
        raise error
