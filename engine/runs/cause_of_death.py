"""Find why a run ended without a final status, from its watcher, host, log and last system samples."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files.documents import DocumentError, parse_json
from ..files.json_values import number, to_json
from ..files.regular_file import open_for_appending, open_regular_file
from ..machine.process_identity import boot_id
from ..machine.signal_names import signal_name
from ..run_files import EVENTS_FILE, LOG_FILE, SYSTEM_FILE
from .on_disk.directory import read_state
from .on_disk.state_file import StateFile

_TAIL_BYTES = 16 << 10
_LONGEST = 300
# Below so much available memory (and below this share of what the run itself took) the kernel ends processes.
_SCARCE_BYTES = 256 << 20
_SCARCE_SHARE = 0.05
# Output of a process that ends by itself, most informative first; the last match in the log counts. The name
# of an exception counts only at the very end: programs also print those that they have dealt with.
_SIGNS = (
    re.compile(r"Fatal Python error: ([^\n]+)"),
    re.compile(r"((?:CUDA|HIP|cuDNN|NCCL)\b[^\n]*\berror\b[^\n]*)", re.IGNORECASE),
    re.compile(r"([^\n]*(?:out of memory|Cannot allocate memory|MemoryError|std::bad_alloc)[^\n]*)", re.IGNORECASE),
    re.compile(r"(terminate called[^\n]*|Segmentation fault|Bus error|Illegal instruction|Aborted)"),
    re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception): [^\n]+)(?=\n*\Z)", re.MULTILINE),
)


@dataclass(frozen=True)
class Death:
    """Record of the end of a training process that left no final status.

    Attributes:
        pid: the process.
        time: when, in seconds since 1970.
        signal: number of the signal that ended it; None when none did, or it is not known.
        exit_status: exit status if the process exited by itself; None otherwise or if unknown.
        is_memory_short: whether the kernel ended a process of the machine, this one or another, because memory ran
            out, within seconds before.
    """

    pid: int
    time: float
    signal: int | None
    exit_status: int | None
    is_memory_short: bool


def note_death(run: Path, death: Death) -> None:
    """Append it to the run's events. Raises OSError."""
    line = to_json({"kind": "died", **asdict(death)}) + b"\n"
    if not (_tail(run / EVENTS_FILE) or b"\n").endswith(b"\n"):
        # The process ended while it wrote a line.
        line = b"\n" + line
    descriptor = open_for_appending(run / EVENTS_FILE)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def why_died(run: Path) -> str:
    """The most likely cause of death of a run without a final status, in one line, with its time.

    Reads the ends of its events, its log and its samples. Never raises; an unknown cause is reported as such.
    """
    state = read_state(run)
    host, boot = state.get("host"), state.get("boot_id")
    if isinstance(host, str) and host and host != socket.gethostname():
        return f"its process on {host} is gone or not visible from here{_heard_words(run, state)}"
    heard = _heard_words(run, state)
    death = _noted_death(run, state)
    if death is not None:
        return f"{_words(run, death)}, {_moment(death.time)}"
    if isinstance(boot, str) and boot and boot_id() and boot != boot_id():
        return f"the machine rebooted while it trained{heard}"
    if said := _last_words(run):
        return said
    if _was_memory_scarce(run):
        return f"its process ended when the machine ran out of memory: probably killed by the kernel{heard}"
    return f"its process ended without a message, as with SIGKILL or a power cut{heard}"


def _heard_words(run: Path, state: StateFile) -> str:
    at = _last_heard(run, state)
    return f", last update {_moment(at)}" if at else ""


def _words(run: Path, death: Death) -> str:
    """How the process ended, and what it said last where that may have to do with it."""
    if death.signal == signal.SIGKILL:
        # Nothing it said can have to do with it.
        if death.is_memory_short:
            return "killed by the kernel because memory ran out (SIGKILL)"
        return "killed by another process (SIGKILL)"
    if death.signal is not None:
        name = signal_name(death.signal)
        return f"{said} ({name})" if (said := _last_words(run)) else f"ended by {name}"
    said = _last_words(run)
    if death.exit_status is None:
        return said or "its process ended without a message"
    status = f"exit status {death.exit_status}"
    if not said and death.exit_status - 128 in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        return f"ended immediately by a second {signal_name(death.exit_status - 128)} ({status})"
    return f"{said} ({status})" if said else f"its process exited during the run ({status})"


def _moment(seconds: float) -> str:
    """A time of day, with the day where that is not today's."""
    try:
        then, today = time.localtime(seconds), time.localtime()
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", then)


def _noted_death(run: Path, state: StateFile) -> Death | None:
    """The newest that was noted, if it is that of the process which wrote the state."""
    for record in _records(run / EVENTS_FILE):
        if record.get("kind") == "died":
            values: dict[str, Any] = {name: record.get(name) for name in Death.__dataclass_fields__}
            is_ours = values["pid"] == state.get("pid") and isinstance(values["time"], int | float)
            is_plain = all(value is None or isinstance(value, int | float) for value in values.values())
            return Death(**values) if is_ours and is_plain else None
    return None


def _last_heard(run: Path, state: StateFile) -> float:
    """When it wrote its state or a sample last, in seconds since 1970; 0 when that is not known."""
    sampled = next((record.get("time") for record in _records(run / SYSTEM_FILE)), None)
    return max((at for at in map(number, (state.get("updated"), sampled)) if at is not None), default=0.0)


def _last_words(run: Path) -> str:
    """What the log's end says of an end; empty when it says nothing of one."""
    log = _tail(run / LOG_FILE).decode("utf-8", "replace")
    for sign in _SIGNS:
        if found := sign.findall(log):
            return str(found[-1]).strip()[:_LONGEST]
    return ""


def _was_memory_scarce(run: Path) -> bool:
    """Whether the newest sample saw next to no memory left beside what the run took."""
    for sample in _records(run / SYSTEM_FILE):
        free, taken = sample.get("memory_free"), sample.get("memory")
        if isinstance(free, int | float) and isinstance(taken, int | float):
            return bool(free < max(_SCARCE_BYTES, _SCARCE_SHARE * taken))
    return False


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The records at the end of a file of JSON lines, the newest first; what is not a record is passed over."""
    for line in reversed(_tail(path).split(b"\n")):
        try:
            record = parse_json(line)
        except DocumentError:
            continue
        if isinstance(record, dict):
            yield record


def _tail(path: Path) -> bytes:
    try:
        with os.fdopen(open_regular_file(path), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES)
    except OSError:
        return b""
