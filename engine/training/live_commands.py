"""Commands of the user to a live run, executed between two steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from ..config import RunConfig
from ..config.file import replace_value
from ..errors import ConfigError
from ..runs.commands import Command, StopAfter
from ..runs.control import Control
from ..runs.writer import RunWriter
from .state import Position


class Steered(Protocol):
    """Operations of commands on a run in training, between two steps."""

    @property
    def config(self) -> RunConfig:
        """The run's config, with the number of epochs that holds now."""

    @property
    def position(self) -> Position:
        """Where training stands."""

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step; of parameter groups with rates of their own, the first one's."""

    @property
    def clip_norm(self) -> float:
        """The largest norm of the gradients; 0 for no clipping."""

    def set_learning_rate(self, rate: float) -> None:
        """Scale all that the schedule gives from here on so that the next step has this rate, which is not 0."""

    def set_clip_norm(self, norm: float) -> None:
        """Clip the gradients to this norm from the next step on; 0 for no clipping."""

    def set_epochs(self, config: RunConfig) -> None:
        """Train on with a config that has another number of epochs, exactly as a resume from here with it would."""

    def save(self, reason: str) -> None:
        """Save a checkpoint of this step."""

    def profile(self, steps: int) -> None:
        """Profile the next steps."""

    def standing_still(self) -> AbstractContextManager[None]:
        """Nothing trains in here, and the run's clock stands."""


class LiveCommands:
    """Takes commands from a `Control` and applies them to a run in training. All in the engine's thread.

    Attributes:
        stop_after: where the run is to stop; empty to continue.
    """

    def __init__(self, steered: Steered, control: Control, run: RunWriter) -> None:
        self.stop_after: Literal[""] | StopAfter = ""
        self._steered = steered
        self._control = control
        self._run = run
        self._waiting: deque[Command] = deque()
        self._save_is_asked = False

    def obey(self) -> None:
        """Do what was asked since the last call. Call it at a step boundary."""
        for command in self._commands():
            self._do(command)
        self._save_if_asked()

    def stop_is_asked(self) -> bool:
        """Obey, and return whether to stop immediately; for loops other than steps, such as an evaluation's."""
        if self._control.pending:
            self.obey()
        return self.stop_after == "step"

    def _commands(self) -> Iterator[Command]:
        """The commands that wait, one by one: what a pause leaves over is still there after it."""
        self._waiting.extend(self._control.take())
        while self._waiting:
            yield self._waiting.popleft()

    def _do(self, command: Command) -> None:
        if command["cmd"] == "save":
            self._save_is_asked = True
        elif command["cmd"] == "stop":
            self.stop_after = command.get("after", "step")
            if self.stop_after == "epoch":
                self._run.update_state(message="stops after this epoch")
        elif command["cmd"] == "pause":
            self._pause()
        elif command["cmd"] == "profile":
            self._steered.profile(command["steps"])
        elif command["cmd"] == "set":
            self._set(command["key"], command["value"])

    def _save_if_asked(self) -> None:
        if self._save_is_asked:
            self._save_is_asked = False
            self._steered.save("asked")

    def _pause(self) -> None:
        """Wait for resume or stop; everything else is done meanwhile."""
        step = self._steered.position.step
        with self._steered.standing_still():
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
        steered, sets_rate = self._steered, key == "optimizer.lr"
        before = steered.learning_rate if sets_rate else steered.clip_norm
        if sets_rate and before == 0:
            self._run.event("note", text="the learning rate stays: its schedule has already reached 0")
            return
        steered.save(f"before {key}")
        if sets_rate:
            steered.set_learning_rate(value)
        else:
            steered.set_clip_norm(value)
        self._say_set(key, before, value)

    def _set_epochs(self, epochs: int) -> None:
        """Another length of the run: into its `run.toml`, and the schedule as a resume with that length has it."""
        steered = self._steered
        before, current = steered.config.training.epochs, steered.position.epoch + 1
        if epochs == before:
            return
        if epochs < current:
            self._run.event(
                "note", text=f"training.epochs stays {before}: {epochs} is less than the current epoch {current}"
            )
            return
        try:
            config = replace_value(steered.config, "training.epochs", str(epochs))
        except ConfigError as error:
            self._run.event("note", text=f"training.epochs stays {before}: {error}")
            return
        steered.save("before training.epochs")
        steered.set_epochs(config)
        self._run.replace_config(config)
        self._say_set("training.epochs", before, epochs)

    def _say_set(self, key: str, before: float, after: float) -> None:
        self._run.event("set", key=key, before=before, after=after, step=self._steered.position.step)
