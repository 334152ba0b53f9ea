"""Why a run ended without saying so: what its host, its log and its last samples still tell."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

from engine.runs.directory import LOG_FILE, SYSTEM_FILE, read_state
from engine.runs.provenance import boot_id
from engine.runs.regular_file import open_regular_file

_TAIL_BYTES = 16 << 10
_LONGEST = 300
# Below so much available memory (and below this share of what the run itself took) the kernel ends processes.
_SCARCE_BYTES = 256 << 20
_SCARCE_SHARE = 0.05
# What is printed when a process ends by itself, the most telling first; the last of them in the log counts. The name
# of an exception counts only at the very end: programs also print those that they have dealt with.
_SIGNS = (
    re.compile(r"Fatal Python error: ([^\n]+)"),
    re.compile(r"((?:CUDA|HIP|cuDNN|NCCL)\b[^\n]*\berror\b[^\n]*)", re.IGNORECASE),
    re.compile(r"([^\n]*(?:out of memory|Cannot allocate memory|MemoryError|std::bad_alloc)[^\n]*)", re.IGNORECASE),
    re.compile(r"(terminate called[^\n]*|Segmentation fault|Bus error|Illegal instruction|Aborted)"),
    re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception): [^\n]+)(?=\n*\Z)", re.MULTILINE),
)


def why_died(run: Path) -> str:
    """The likeliest reason, in one line, why nobody trains a run that never said how it ended.

    Reads the ends of its log and of its samples. Never raises; what is not known is said to be so.
    """
    state = read_state(run)
    host, boot = state.get("host"), state.get("boot_id")
    if isinstance(host, str) and host and host != socket.gethostname():
        return f"its process on {host} is gone, or can't be seen from here"
    if isinstance(boot, str) and boot and boot_id() and boot != boot_id():
        return "the machine was restarted while it trained"
    log = _tail(run / LOG_FILE).decode("utf-8", "replace")
    for sign in _SIGNS:
        if found := sign.findall(log):
            return str(found[-1]).strip()[:_LONGEST]
    if _was_memory_scarce(run):
        return "its process ended when the machine's memory was used up: probably killed by the kernel"
    return "its process ended without a word, as by SIGKILL or a power cut"


def _was_memory_scarce(run: Path) -> bool:
    """Whether the newest sample saw next to no memory left beside what the run took."""
    for line in reversed(_tail(run / SYSTEM_FILE).split(b"\n")):
        try:
            sample: Any = json.loads(line)
            free, taken = sample["memory_free"], sample["memory"]
            return bool(free < max(_SCARCE_BYTES, _SCARCE_SHARE * taken))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return False


def _tail(path: Path) -> bytes:
    try:
        with os.fdopen(open_regular_file(path), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES)
    except OSError:
        return b""
