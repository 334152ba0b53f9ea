"""A logger for Lightning: `Trainer(logger=torchdeck.LightningLogger("name"))`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..recording.recorder import Recorder, record
from .steering import missing, stop_is_asked

try:
    from lightning.pytorch.loggers.logger import Logger
    from lightning.pytorch.utilities import rank_zero_only
except ModuleNotFoundError as error:
    raise missing("lightning") from error


class LightningLogger(Logger):
    """Records what a LightningModule logs, its hyperparameters and checkpoints; P and X pause and stop the trainer."""

    def __init__(self, name: str, *, runs: str | Path | None = None) -> None:
        """Record into a new directory in the folder `runs`; the run begins with the first figures."""
        super().__init__()
        self._name, self._runs = name, runs
        self._settings: dict[str, Any] = {}
        self._trainer: Any = None
        self._listed: set[str] = set()
        self._recorder: Recorder | None = None

    @property
    def experiment(self) -> Recorder | None:
        """The recorded run; None before the first figures: Lightning looks here before it tells the settings."""
        return self._recorder

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._name

    @property
    def version(self) -> str:
        """Name of its directory; empty before it begins."""
        return self._recorder.path.name if self._recorder is not None and self._recorder.path else ""

    def log_hyperparams(self, params: Mapping[str, Any] | Any, *args: Any, **named: Any) -> None:
        """Keep settings for the run's list."""
        self._settings |= dict(params if isinstance(params, Mapping) else vars(params))

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Get to know the trainer."""
        self._trainer = model.trainer

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record figures; Lightning counts steps and epochs from 0."""
        run, values = self._run(), dict(metrics)
        epoch = values.pop("epoch", None)
        is_evaluation = any(name.startswith(("val", "test")) for name in values)
        run.log(
            values,
            step=None if step is None else step + 1,
            epoch=int(epoch) + 1 if epoch is not None and is_evaluation else None,
        )
        # Of several processes, this one can't end the others.
        if getattr(self._trainer, "world_size", 0) == 1 and stop_is_asked(run):
            self._trainer.should_stop = True

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """List checkpoints that are new."""
        scores = dict(checkpoint_callback.best_k_models)
        for path in [*scores, checkpoint_callback.last_model_path, checkpoint_callback.best_model_path]:
            if path and path not in self._listed:
                self._listed.add(path)
                score = {checkpoint_callback.monitor: scores[path]} if scores.get(path) is not None else None
                self._run().checkpoint(path, score if checkpoint_callback.monitor else None)

    def finalize(self, status: str) -> None:
        """End the run."""
        error = sys.exception()
        if self._recorder is None:
            return
        if status == "success":
            self._recorder.finish("finished")
        elif error is None or isinstance(error, KeyboardInterrupt):
            self._recorder.finish("stopped")
        else:
            self._recorder.finish("failed", f"{type(error).__name__}: {error}")

    def _run(self) -> Recorder:
        if self._recorder is None:
            epochs = getattr(self._trainer, "max_epochs", None) or 0
            rank = getattr(rank_zero_only, "rank", 0)
            self._recorder = record(self._name, self._settings, runs=self._runs, epochs=max(epochs, 0), rank=rank)
        return self._recorder
