"""The user's own code at the events of a run: called where it asks to be, kept from harming the run."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..config import Component, RunConfig
from ..errors import ConfigError
from ..randomness import generators_kept
from ..runs.saving.checkpoint_format import CallbackState
from ..tensor_files.plain_content import check_plain
from ..user_code import call_user_code, check_arguments, load_object
from .compute.step import TrainStep
from .snapshot import Snapshot
from .state import RunState

EVENTS = (
    "on_run_start",
    "on_run_end",
    "on_epoch_start",
    "on_epoch_end",
    "on_step_start",
    "on_forward",
    "on_backward",
    "on_step_end",
    "on_evaluation_start",
    "on_evaluation_end",
)
_WANTED = "a class, or a function that returns an object, with methods such as on_epoch_end(run, metrics)"


class CallbackRun:
    """View of the run for callbacks; the first argument of each of their methods.

    Attributes:
        path: the run's directory, where a callback may write files of its own.
        stop: ends the run after this step, saved.
    """

    def __init__(self, state: RunState, path: Path, stop: Callable[[], object]) -> None:
        self.path = path
        self.stop = stop
        self._state = state

    @property
    def config(self) -> RunConfig:
        """The run's config."""
        return self._state.config

    @property
    def model(self) -> nn.Module:
        """The model in training."""
        return self._state.model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Its optimizer."""
        return self._state.optimizer

    @property
    def epoch(self) -> int:
        """The current epoch, from 1."""
        return self._state.position.epoch + 1

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self._state.position.step


class Callbacks:
    """The callbacks of a run. A method that raises is reported and not called again; the run continues."""

    def __init__(
        self, components: Sequence[Component], run: CallbackRun, report: Callable[[str, str, str], None]
    ) -> None:
        """Make the user's objects.

        Args:
            components: `path/to/file.py:factory` with its arguments, each.
            run: run for the callbacks.
            report: called on a failure with the callback's name, its method, and the error in one line.

        Raises:
            ConfigError, UserCodeError: a file, a name or arguments that are wrong, or a factory that raised.
        """
        self.run = run
        self._report = report
        self._names = [component.name for component in components]
        self._objects = [_made(component) for component in components]
        self._methods: dict[str, list[tuple[str, Any, Callable[..., Any]]]] = {}
        for event in EVENTS:
            self._methods[event] = [
                (name, made, getattr(made, event))
                for name, made in zip(self._names, self._objects, strict=True)
                if callable(getattr(made, event, None))
            ]

    def has(self, event: str) -> bool:
        """Whether any of them implements an event: nothing has to be done for one that none does."""
        return bool(self._methods[event])

    def call(self, event: str, **arguments: Any) -> None:
        """Call an event's methods in the order of the config."""
        for entry in list(self._methods[event]):
            name, made, method = entry
            with nullcontext() if getattr(made, "shares_rng", False) else generators_kept(with_cuda=True):
                try:
                    method(self.run, **arguments)
                except Exception as error:
                    self._methods[event].remove(entry)
                    self._tell(name, event, error)

    def listen_to(self, step: TrainStep) -> None:
        """Send the events inside a step, if a callback implements them."""
        if self.has("on_forward"):
            step.after_forward = lambda logits, loss: self.call("on_forward", logits=logits, loss=loss)
        if self.has("on_backward"):
            step.after_backward = lambda: self.call("on_backward")

    def state_dict(self, snapshot: Snapshot) -> list[CallbackState]:
        """The callbacks' own states, for a checkpoint; what a checkpoint can't hold is reported and left out."""
        states: list[CallbackState] = []
        for name, made in zip(self._names, self._objects, strict=True):
            state = None
            if callable(getattr(made, "state_dict", None)):
                with generators_kept(with_cuda=True):
                    try:
                        state = made.state_dict()
                        check_plain(state)
                    except Exception as error:
                        state = None
                        self._tell(name, "state_dict", error)
            states.append({"name": name, "state": snapshot.copied(state)})
        return states

    def load_state_dict(self, states: Sequence[CallbackState]) -> None:
        """Restore the state of each callback; one that is new in the config starts fresh."""
        waiting = list(states)
        for name, made in zip(self._names, self._objects, strict=True):
            saved = next((state for state in waiting if state["name"] == name), None)
            if saved is None:
                continue
            waiting.remove(saved)
            if saved["state"] is not None and callable(getattr(made, "load_state_dict", None)):
                try:
                    made.load_state_dict(saved["state"])
                except Exception as error:
                    self._tell(name, "load_state_dict", error)

    def _tell(self, name: str, method: str, error: Exception) -> None:
        traceback.print_exception(error, file=sys.stderr)
        self._report(name, method, f"{type(error).__name__}: {error}".split("\n", 1)[0])


def check_callbacks(components: Sequence[Component]) -> None:
    """Check that each callback can be loaded with its arguments. Raises ConfigError, UserCodeError."""
    for component in components:
        if ":" not in component.name:
            raise ConfigError(f"callbacks: '{component.name}': must be path/to/file.py:name of {_WANTED}")
        check_arguments(load_object(component.name, _WANTED), component.arguments, f"callback {component.name}")


def _made(component: Component) -> Any:
    return call_user_code(load_object(component.name, _WANTED), component.arguments, f"callback {component.name}")
