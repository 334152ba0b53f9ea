"""What processes that train together agree on between two steps: commands, and when to record and save.

They take the same steps in the same order, so whatever depends on a clock or on a command from outside is decided
once. A small message goes around every tenth of a second or so; it is begun at one meeting and looked at in the next,
so that no process waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from ..distributed.process_group import ProcessGroup
from ..runs.commands import Command
from ..runs.control import Control
from .boundary import NOTHING, Due

_MEETING_SECONDS = 0.1
_MOST_STEPS = 1000
_PAUSED_SECONDS = 0.5


class AgreedControl(Control):
    """Commands that all processes obey at the same step: what the first one's control was given.

    Of the others' controls, only a request to stop is heeded: a signal may reach any process.
    """

    def __init__(self, group: ProcessGroup, asked: Control) -> None:
        """Obey nothing yet.

        Args:
            group: the processes.
            asked: this process's own control.
        """
        super().__init__()
        self._group = group
        self._asked = asked

    def taken(self) -> list[Command]:
        """What this process was asked for since the last call, as far as the others shall obey it."""
        commands = self._asked.take()
        if self._group.is_first:
            return commands
        return [command for command in commands if command["cmd"] == "stop"]

    def obey(self, commands: list[Command]) -> None:
        """Hand commands to the loop."""
        for command in commands:
            super().submit(command)

    def obey_all(self, own: list[Command]) -> None:
        """Hand every process's commands to the loop, in the order of the processes. All of them call it."""
        for commands in self._group.gathered(own):
            self.obey(commands)

    def wait(self, timeout: float | None = None) -> bool:
        """While paused: wait for a command to any process."""
        while not self.pending:
            if self._group.is_first:
                self._asked.wait(_PAUSED_SECONDS)
            self.obey_all(self.taken())
        return True


class AgreedBoundary:
    """The boundaries of processes that train together; every one of them is at the same place."""

    def __init__(
        self,
        group: ProcessGroup,
        control: AgreedControl,
        drain_is_due: Callable[[], bool],
        save_is_due: Callable[[], bool],
    ) -> None:
        """Meet for the first time at the first boundary.

        Args:
            group: the processes.
            control: is given the commands.
            drain_is_due, save_is_due: the first process's are asked.
        """
        self._group, self._control = group, control
        self._drain_is_due, self._save_is_due = drain_is_due, save_is_due
        self._every = self._left = 1
        self._met = time.monotonic()
        self._own: list[Command] = []
        self._under_way: tuple[Any, torch.Tensor] | None = None

    def after_step(self) -> Due:
        """See `Boundary.after_step`."""
        self._left -= 1
        return self._meet() if self._left <= 0 else NOTHING

    def between_batches(self) -> None:
        """See `Boundary.between_batches`. A drain or a save that was due then comes later."""
        self.after_step()

    def leave(self) -> None:
        """See `Boundary.leave`. A message that is never received could hold up the end of the group."""
        if self._under_way is not None:
            self._under_way[0].wait()
            self._under_way = None

    def _meet(self) -> Due:
        due = NOTHING if self._under_way is None else self._heard(*self._under_way)
        self._under_way = self._said()
        self._left = self._every
        return due

    def _said(self) -> tuple[Any, torch.Tensor]:
        """Commands of any process are counted; the rest is the first one's."""
        self._own += self._control.taken()
        drain = save = every = 0
        if self._group.is_first:
            now = time.monotonic()
            drain = int(self._drain_is_due())
            save = int(bool(drain) and self._save_is_due())
            steps = self._every * _MEETING_SECONDS / max(now - self._met, 1e-6)
            every = max(1, min(2 * self._every, int(steps), _MOST_STEPS))
            self._met = now
        message = torch.tensor([len(self._own), drain, save, every])
        return dist.all_reduce(message, group=self._group.control, async_op=True), message

    def _heard(self, work: Any, message: torch.Tensor) -> Due:
        work.wait()
        commands, drain, save, self._every = message.tolist()
        if commands:
            own, self._own = self._own, []
            self._control.obey_all(own)
        return Due(bool(drain), bool(save))
