"""Notify the user by a command or a webhook when a run ends, fails or stalls.

All of it happens in the process that trains, so that it works with no screen attached, and beside the training, which
never waits for it. If that process is killed, the one that watches it notifies. A failure is reported in the
run's log.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..config import NotifyConfig
from ..config.secret_keys import REDACTED
from ..config.secret_settings import MissingSecretError, secret_value
from ..errors import TorchdeckError
from ..runs.on_disk.state_file import StateFile
from ..runs.reader import RunReader
from ..runs.writer import RunWriter

# A command or a server that takes longer is given up.
_TIMEOUT_SECONDS = 20.0
# Of what a command prints, so much is printed.
_MOST_OUTPUT = 64 << 10
# A shorter word of a command is no token.
_LONG_WORD = 6
# How often the watch looks whether a run still moves, at most.
_LOOK_SECONDS = 5.0
# Name of the threads that send.
_THREAD = "notify"


@dataclass(frozen=True)
class Notice:
    """Content of a notification about a run.

    Attributes:
        run: the name of its directory.
        path: its directory.
        status: finished, stopped, failed, died or stalled.
        text: all of it as one line for a person.
        host: the machine it runs on.
        epoch: the epoch it was in, from 1; 0 before the first.
        step: optimizer steps done.
        metrics: validation metrics of its newest epoch.
    """

    run: str
    path: str
    status: str
    text: str
    host: str
    epoch: int
    step: int
    metrics: dict[str, float] = field(default_factory=dict)


class RunNotifier:
    """Watches one run while it trains and notifies about its end. A context manager around the training."""

    def __init__(self, config: NotifyConfig, run: RunWriter) -> None:
        self._config = config
        self._run = run
        self._began = time.monotonic()
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._config.stalled_minutes:
            self._watch = threading.Thread(target=self._watch_for_stalls, name="stall watch", daemon=True)
            self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._watch is not None:
            self._watch.join()

    def tell_end(self, status: str, error: str = "") -> None:
        """Tell how the run ended, unless that is not asked for or it was too short for anybody to have left."""
        minutes = (time.monotonic() - self._began) / 60
        if status in self._config.on and minutes >= self._config.after_minutes:
            self._tell(status, f"{status}: {error}" if error else status)

    def _watch_for_stalls(self) -> None:
        limit = 60 * self._config.stalled_minutes
        seen, since, is_told = self._mark(), time.monotonic(), False
        while not self._over.wait(min(_LOOK_SECONDS, limit / 4)):
            mark = self._mark()
            if mark != seen or mark[0] != "running":
                seen, since = mark, time.monotonic()
                if is_told:
                    self._run.event("note", text="the run is making progress again")
                is_told = False
            elif not is_told and time.monotonic() - since >= limit:
                is_told = True
                text = f"stalled: no step for {self._config.stalled_minutes:g} minutes while {mark[1] or 'training'}"
                self._run.event("stalled", text=text, step=mark[2])
                if "stalled" in self._config.on:
                    self._tell("stalled", text)

    def _mark(self) -> tuple[Any, ...]:
        """Changes whenever the run gets on."""
        state = self._run.state()
        return tuple(state.get(name) for name in ("status", "phase", "step", "message"))

    def _tell(self, status: str, words: str) -> None:
        notice = _notice(self._run.path, self._run.state(), status, words)
        # Not a daemon: the process ends when the notification is sent, or after the time limit.
        threading.Thread(target=send, args=(self._config, notice), name=_THREAD).start()


def wait_until_told() -> None:
    """Wait for what is being sent, for a process that ends without waiting for its threads."""
    for thread in threading.enumerate():
        if thread.name == _THREAD:
            thread.join()


def tell_death(run: Path, held: Path, why: str, config: NotifyConfig) -> None:
    """Notify that a run's process has died, if failures are notified. For another process than that; waits.

    Args:
        run: the run's directory, as the notification names it.
        held: the same by way of a descriptor.
        why: why it died.
        config: whom to notify.

    Raises:
        RunError: it is not the directory of a run.
    """
    state = RunReader(held).state()
    minutes = (time.time() - float(state.get("started") or 0)) / 60
    if "failed" in config.on and minutes >= config.after_minutes:
        send(config, _notice(run, state, "died", f"died: {why}"))


def _notice(run: Path, state: StateFile, status: str, words: str) -> Notice:
    metrics = {name: float(value) for name, value in (state.get("metrics") or {}).items()}
    host, epoch, step = socket.gethostname(), int(state.get("epoch", 0)), int(state.get("step", 0))
    shown = "".join(f", {name} {value:.4g}" for name, value in list(metrics.items())[:3])
    text = f"{run.name} on {host} {words} (epoch {epoch}, step {step:,}{shown})"
    return Notice(run.name, str(run), status, text, host, epoch, step, metrics)


def send(config: NotifyConfig, notice: Notice) -> None:
    """Run the command and call the webhook, as far as they are set. Failures are printed, never raised."""
    ways = (("notify.command", _run_command, config.command), ("notify.webhook", _call_webhook, config.webhook))
    for setting, way, target in ways:
        if not target.strip():
            continue
        try:
            way(secret_value(setting, target), notice)
        except (OSError, ValueError, subprocess.SubprocessError, TorchdeckError) as error:
            reason = _without_secrets(error)
            if isinstance(error, urllib.error.HTTPError):
                # It holds the connection.
                error.close()
            print(
                f"torchdeck: no notification that {notice.run} {notice.status}: {setting}: {reason}", file=sys.stderr
            )


def _without_secrets(error: Exception) -> str:
    """Why a notification was not sent. Commands and addresses hold tokens, and errors repeat them."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit status {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no end after {_TIMEOUT_SECONDS:g} seconds"
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}{_redirection(error)}"
    if isinstance(error, _UnsetVariableError | MissingSecretError):
        return str(error)
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return type(cause).__name__


def _redirection(error: urllib.error.HTTPError) -> str:
    """Where an answer sends the notification to, without what may be a token in that address."""
    target = urllib.parse.urlsplit(urllib.parse.urljoin(error.url, error.headers.get("Location", "")))
    if not 300 <= error.code < 400 or not target.hostname:
        return ""
    return f" and redirects to {target.hostname}, which is not followed: set the address that is to be notified"


class _NotRedirected(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the user chose the server, and a POST that is redirected arrives without its content."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Leave the answer to be an error."""


class _UnsetVariableError(ValueError):
    """The environment variable that a setting names isn't set."""


def _run_command(command: str, notice: Notice) -> None:
    """Run a shell command with the notice in its environment. What it prints is printed, without what it holds.

    Raises:
        OSError, SubprocessError: it can't be started, fails, or takes too long.
    """
    names = {"run": notice.run, "path": notice.path, "status": notice.status, "text": notice.text}
    variables = {f"TORCHDECK_{name.upper()}": value.replace("\0", "") for name, value in names.items()}
    # A file rather than a pipe, whose end would not come before that of a program left in the background.
    with tempfile.TemporaryFile() as output:
        try:
            subprocess.run(
                command,
                shell=True,
                check=True,
                timeout=_TIMEOUT_SECONDS,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **variables},
            )
        finally:
            output.seek(0)
            printed = output.read(_MOST_OUTPUT).decode(errors="replace")
            sys.stderr.write(_without_parts_of(command, printed))


def _without_parts_of(command: str, printed: str) -> str:
    """What a command printed, without words of the command itself: shells and programs repeat them, tokens too."""
    program, _, _ = command.strip().partition(" ")
    whole = {command, os.path.expandvars(command)}
    words = {word for text in whole for word in re.split(r"[^\w.-]+", text.strip().removeprefix(program))}
    for word in sorted((whole | words) - {program}, key=len, reverse=True):
        if len(word) >= _LONG_WORD:
            printed = printed.replace(word, REDACTED)
    return printed


def _call_webhook(url: str, notice: Notice) -> None:
    """POST the notice as JSON, to an address or the one in an environment variable, which `$NAME` names.

    `text` is what Slack and Mattermost show, `content` what Discord shows.

    Raises:
        OSError, ValueError: no connection, the server answered with an error, or the variable isn't set.
    """
    if url.startswith("$"):
        name = url.removeprefix("$")
        url = os.environ.get(name, "")
        if not url:
            raise _UnsetVariableError(f"the environment variable {name} is not set")
    body = json.dumps({**asdict(notice), "content": notice.text}, allow_nan=False, default=str)
    request = urllib.request.Request(
        url, data=body.encode(), headers={"Content-Type": "application/json", "User-Agent": "torchdeck"}
    )
    with urllib.request.build_opener(_NotRedirected).open(request, timeout=_TIMEOUT_SECONDS) as answer:
        answer.read(1024)
