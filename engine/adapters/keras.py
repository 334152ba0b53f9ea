"""A callback for Keras: `model.fit(…, callbacks=[torchdeck.KerasCallback("name")])`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..recording.recorder import Recorder, record
from .steering import missing, stop_is_asked

try:
    from keras.callbacks import Callback
except ModuleNotFoundError as error:
    raise missing("keras") from error


class KerasCallback(Callback):
    """Records losses and metrics of batches and epochs; P and X pause and stop the training."""

    def __init__(self, name: str, config: object = None, *, runs: str | Path | None = None) -> None:
        """Record into a new directory in the folder `runs`; the run begins with the training."""
        super().__init__()
        self.run: Recorder | None = None
        self._name, self._config, self._runs = name, config, runs
        self._step = 0
        self._is_stopped = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begin the run."""
        epochs, steps = self.params.get("epochs") or 0, self.params.get("steps") or 0
        self.run = record(self._name, self._config, runs=self._runs, epochs=epochs, steps=epochs * steps)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record a batch; Keras' figures are means of its epoch so far."""
        self._step += 1
        if self.run is None:
            return
        self.run.log(logs or {}, step=self._step, lr=self._rate())
        if stop_is_asked(self.run):
            self.model.stop_training = self._is_stopped = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the evaluation of an epoch."""
        values = {name: value for name, value in (logs or {}).items() if name.startswith("val_")}
        if self.run is not None and values:
            self.run.log(values, step=self._step, epoch=epoch + 1)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """End the run."""
        if self.run is not None:
            self.run.finish("stopped" if self._is_stopped else "finished")

    def _rate(self) -> float:
        return float(self.model.optimizer.learning_rate)
