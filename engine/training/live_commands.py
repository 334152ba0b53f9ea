"""What the user asks of a live run, done between two of its steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from ..config.file import replace_value
from ..errors import ConfigError
from ..runs.control import Control
from ..runs.writer import RunWriter

if TYPE_CHECKING:
    from .trainer import Trainer


class LiveCommands:
    """Takes commands from a `Control` and does them to a trainer. All in the engine's thread.

    Attributes:
        stop_after: where the run is to stop; empty while it shall go on.
    """

    def __init__(self, trainer: Trainer, control: Control, run: RunWriter) -> None:
        self.stop_after: Literal["", "step", "epoch"] = ""
        self._trainer = trainer
        self._control = control
        self._run = run
        self._waiting: deque[dict[str, Any]] = deque()
        self._save_is_asked = False

    def obey(self) -> None:
        """Do what was asked since the last call. Call it at a step boundary."""
        for command in self._commands():
            self._do(command)
        self._save_if_asked()

    def stop_is_asked(self) -> bool:
        """Obey, and say whether to stop at once; for loops that are no steps, such as an evaluation's."""
        if self._control.pending:
            self.obey()
        return self.stop_after == "step"

    def _commands(self) -> Iterator[dict[str, Any]]:
        """The commands that wait, one by one: what a pause leaves over is still there after it."""
        self._waiting.extend(self._control.take())
        while self._waiting:
            yield self._waiting.popleft()

    def _do(self, command: dict[str, Any]) -> None:
        name = command["cmd"]
        if name == "save":
            self._save_is_asked = True
        elif name == "stop":
            self.stop_after = command.get("after", "step")
            if self.stop_after == "epoch":
                self._run.update_state(message="stops after this epoch")
        elif name == "pause":
            self._pause()
        elif name == "profile":
            self._trainer.profiling.start(command["steps"])
        elif name == "set":
            self._set(command["key"], command["value"])

    def _save_if_asked(self) -> None:
        if self._save_is_asked:
            self._save_is_asked = False
            self._trainer.save("asked")

    def _pause(self) -> None:
        """Wait for resume or stop; everything else is done meanwhile."""
        step = self._trainer.state.position.step
        with self._trainer.standing_still():
            self._run.event("paused", step=step)
            self._wait_while_paused()
            self._run.event("resumed", step=step)

    def _wait_while_paused(self) -> None:
        while True:
            for command in self._commands():
                if command["cmd"] == "stop":
                    self._do(command)
                if command["cmd"] in ("resume", "stop"):
                    return
                if command["cmd"] != "pause":
                    self._do(command)
                    self._save_if_asked()
            self._control.wait(timeout=None)

    def _set(self, key: str, value: float) -> None:
        """Change a setting between two steps, with a checkpoint of the state before."""
        if key == "training.epochs":
            self._set_epochs(int(value))
            return
        trainer = self._trainer
        before = trainer.schedule.learning_rate
        if key == "optimizer.lr" and before == 0:
            self._run.event("note", text="the learning rate stays: its schedule has brought it to 0, the run's end")
            return
        trainer.save(f"before {key}")
        if key == "optimizer.lr":
            trainer.schedule.scale(value / before)
        else:
            before, trainer.step.clip_norm = trainer.step.clip_norm, value
        self._say_set(key, before, value)

    def _set_epochs(self, epochs: int) -> None:
        """Another length of the run: into its `run.toml`, and the schedule as a resume with that length has it."""
        trainer = self._trainer
        before, current = trainer.config.training.epochs, trainer.state.position.epoch + 1
        if epochs == before:
            return
        if epochs < current:
            self._run.event(
                "note", text=f"training.epochs stays {before}: {epochs} is less than epoch {current}, which has begun"
            )
            return
        try:
            config = replace_value(trainer.config, "training.epochs", str(epochs))
        except ConfigError as error:
            self._run.event("note", text=f"training.epochs stays {before}: {error}")
            return
        trainer.save("before training.epochs")
        trainer.replan(config)
        self._run.replace_config(config)
        self._say_set("training.epochs", before, epochs)

    def _say_set(self, key: str, before: float, after: float) -> None:
        self._run.event("set", key=key, before=before, after=after, step=self._trainer.state.position.step)
