"""How much an event of a run matters, by its kind: one table for the log, the list of events and the first line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Level = Literal["info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("info", "warning", "error")
TONES: dict[Level, str] = {"info": "$text-muted", "warning": "$warning", "error": "$error"}
GLYPHS: dict[Level, str] = {"info": " ", "warning": "▲", "error": "✗"}

EVENT_LEVELS: dict[str, Level] = {
    "advice": "warning",
    "callback_failed": "error",
    "compile_failed": "warning",
    "compiled": "info",
    "died": "error",
    "directory_deleted": "error",
    "directory_moved": "info",
    "disk_filling": "warning",
    "ended": "info",
    "evaluation_not_written": "warning",
    "forked_from": "info",
    "gradients": "warning",
    "left_out": "warning",
    "lock_lost": "warning",
    "loss": "warning",
    "not_logged": "warning",
    "not_written": "error",
    "note": "info",
    "old_checkpoints_kept": "warning",
    "out_of_memory": "warning",
    "paused": "info",
    "profiled": "info",
    "recompiled": "warning",
    "rescued": "error",
    "resumed": "info",
    "resumed_from": "info",
    "rolled_back": "warning",
    "save_failed": "error",
    "saved": "info",
    "saver_failed": "error",
    "set": "info",
    "stalled": "warning",
    "state_not_written": "warning",
    "stopped_early": "info",
}
"""The level of every kind of event that a run records."""


def event_level(event: Mapping[str, Any]) -> Level:
    """How much an event matters. One of a later version is information."""
    kind = str(event.get("kind"))
    if kind == "ended" and event.get("status") == "failed":
        return "error"
    return EVENT_LEVELS.get(kind, "info")
