"""Commands to a live run, as its process takes them and as they cross the control socket: what is allowed in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from ..errors import did_you_mean

StopAfter = Literal["step", "epoch"]

_COMMANDS = ("pause", "resume", "save", "stop", "set", "profile")
_PROFILED_STEPS = range(1, 1001)
_STOP_AFTER = ("step", "epoch")
# What can be set while a run goes on, with the smallest value allowed and whether that value itself is.
_SETTINGS = {"optimizer.lr": (0.0, False), "training.clip_norm": (0.0, True), "training.epochs": (1.0, True)}
_WHOLE_SETTINGS = ("training.epochs",)


class SimpleCommand(TypedDict):
    """Pause after the step under way, resume from a pause, or save a checkpoint."""

    cmd: Literal["pause", "resume", "save"]


class _Stop(TypedDict):
    cmd: Literal["stop"]


class StopCommand(_Stop, total=False):
    """Save and end the run.

    Attributes:
        after: at which boundary; "step" where it is missing.
        reason: why, for the record.
    """

    after: StopAfter
    reason: str


class SetCommand(TypedDict):
    """Change a setting of the run: `optimizer.lr`, `training.clip_norm` or `training.epochs`."""

    cmd: Literal["set"]
    key: str
    value: float


class ProfileCommand(TypedDict):
    """Trace the next steps with torch.profiler."""

    cmd: Literal["profile"]
    steps: int


Command = SimpleCommand | StopCommand | SetCommand | ProfileCommand
"""A command to a live run; `cmd` says which."""


class _Answered(TypedDict):
    ok: bool


class Answer(_Answered, total=False):
    """What the run's process answers.

    Attributes:
        ok: whether the command was accepted; it takes effect at the next step.
        error: why it was not.
        protocol: version of the socket's protocol; with `run` and `pid` the answer to "hello".
        run: the name of the run's directory.
        pid: the process that trains it.
    """

    error: str
    protocol: int
    run: str
    pid: int


def problem_with(command: Mapping[str, Any]) -> str:
    """What is wrong with a command from anywhere; empty when it is a `Command`, with values that are allowed."""
    name = command.get("cmd")
    if name not in _COMMANDS:
        return f"{name!r} is not a command{did_you_mean(str(name), _COMMANDS)}"
    if name == "stop" and command.get("after", "step") not in _STOP_AFTER:
        return f"stop after {command['after']!r}: must be one of {', '.join(_STOP_AFTER)}"
    steps = command.get("steps")
    if name == "profile" and (type(steps) is not int or steps not in _PROFILED_STEPS):
        return f"profile {steps!r}: must be a whole number of steps from 1 to {_PROFILED_STEPS[-1]}"
    return _problem_with_setting(command) if name == "set" else ""


def _problem_with_setting(command: Mapping[str, Any]) -> str:
    key, value = command.get("key"), command.get("value")
    if not isinstance(key, str) or key not in _SETTINGS:
        return f"{key!r} can't be changed in a live run{did_you_mean(str(key), _SETTINGS)}"
    least, least_is_allowed = _SETTINGS[key]
    # JSON has whole numbers that no float holds.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if value is None or not is_number or value < least or (value == least and not least_is_allowed):
        return f"{key} = {value!r}: must be a number {'of at least' if least_is_allowed else 'above'} {least:g}"
    if key in _WHOLE_SETTINGS and value != int(value):
        return f"{key} = {value!r}: must be a whole number"
    return ""
