"""Commands to a run whose process is on another machine: files in the run's directory, where no socket reaches.

commands/<time>-<id>.json     a command, renamed into place by its sender
commands/<time>-<id>.answer   what the run's process says to it; removed by the sender
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import cast

from ..errors import RunError
from ..files.documents import DocumentError, parse_json
from ..files.durable import atomic_write
from ..files.json_values import to_json
from ..files.regular_file import open_regular_file
from .commands import Answer, Command

SPOOL = "commands"
ANSWER_SECONDS = 20.0
"""How long an answer is waited for: network file systems show what others wrote after some seconds."""

_MAX_BYTES = 64 << 10
_LOOK_SECONDS = 0.2
# Answers that nobody fetched, and commands that came when the run had ended.
_STALE_SECONDS = 600.0


def send_by_spool(run: Path, command: Command, timeout: float = ANSWER_SECONDS) -> Answer:
    """Leave a command in a run's directory, and wait for the answer.

    Raises:
        RunError: the directory can't be written, or no answer came; the command is taken back then.
    """
    name = f"{time.time_ns()}-{uuid.uuid4().hex}"
    asked, answered = run / SPOOL / f"{name}.json", run / SPOOL / f"{name}.answer"
    try:
        asked.parent.mkdir(mode=0o700, exist_ok=True)
        atomic_write(asked, to_json({"id": name, **command}), durable=False, mode=0o600)
    except OSError as error:
        raise RunError(
            f"{run.name}: the command can't be left in {asked.parent}: {error.strerror or error}"
        ) from error
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        # A listing, unlike a look at a name, is not kept by network file systems.
        if answered.name in os.listdir(answered.parent):
            reply = parse_json(_own_file(answered))
            answered.unlink(missing_ok=True)
            return cast("Answer", reply)
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(OSError):
        asked.unlink()
    raise RunError(f"{run.name}: its process on another machine has not answered within {timeout:.0f} s")


def answer_spool(held: Path, reply_to: Callable[[bytes], Answer]) -> None:
    """Answer what was left in a run's directory. Files of other users, links and what is too long are ignored.

    Args:
        held: the directory.
        reply_to: takes a command as JSON, and answers it.
    """
    try:
        names = sorted(os.listdir(held / SPOOL))
    except OSError:
        # Nobody on another machine has sent anything.
        return
    for name in names:
        path = held / SPOOL / name
        with contextlib.suppress(OSError, DocumentError):
            if name.endswith(".json"):
                asked = _own_file(path)
                # Removed first: a command that can't be removed would be done again and again.
                path.unlink()
                atomic_write(path.with_suffix(".answer"), to_json(reply_to(asked)), durable=False, mode=0o600)
            elif time.time() - path.lstat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _own_file(path: Path) -> bytes:
    """The content of a small file of this user. Raises OSError."""
    descriptor = open_regular_file(path)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid not in (os.geteuid(), 0) or status.st_size > _MAX_BYTES:
            raise PermissionError(f"{path} is another user's, or too long")
        return file.read(_MAX_BYTES)
