"""A callback for Hugging Face's Trainer: `Trainer(callbacks=[torchdeck.HuggingFaceCallback("name")])`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..recording.recorder import Recorder, record
from .steering import missing, stop_is_asked

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise missing("transformers") from error

# Of the whole run, in the last line of figures.
_SUMS = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss")


class HuggingFaceCallback(TrainerCallback):
    """Records what the Trainer logs, its arguments and checkpoints; P and X pause and stop it."""

    def __init__(self, name: str, *, runs: str | Path | None = None) -> None:
        """Record into a new directory in the folder `runs`; the run begins with the training."""
        self.run: Recorder | None = None
        self._name, self._runs = name, runs
        self._is_stopped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Begin the run."""
        rank = 0 if state.is_world_process_zero else 1
        epochs, steps = round(args.num_train_epochs), state.max_steps
        self.run = record(self._name, args.to_dict(), runs=self._runs, epochs=epochs, steps=steps, rank=rank)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **named: Any) -> None:
        """Record figures; an evaluation is one of the epoch that it ends."""
        values = {name: value for name, value in (logs or {}).items() if name != "epoch" and name not in _SUMS}
        is_evaluation = any(name.startswith("eval_") for name in values)
        if self.run is not None and values:
            epoch = round(state.epoch) if is_evaluation and state.epoch else None
            self.run.log(values, step=state.global_step, epoch=epoch)

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Do what the user asks for; of several processes, this one can't end the others."""
        if self.run is not None and args.world_size == 1 and stop_is_asked(self.run):
            control.should_training_stop = self._is_stopped = True

    def on_save(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """List the checkpoint."""
        if self.run is not None:
            self.run.checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}", step=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """End the run."""
        if self.run is not None:
            self.run.finish("stopped" if self._is_stopped else "finished")
