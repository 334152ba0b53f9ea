"""Events of a run as text: letters over its curves, the newest one, and a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchdeck.engine.files.json_values import number, whole_number

from .. import drawing
from ..plain_text import printable
from .figures import byte_size, figure

# An event stays on the screen this long, even if saves follow it.
_STAYS_SECONDS = 20.0

# Events whose text is shown as it is.
TOLD_AS_WRITTEN = (
    "note",
    "directory_moved",
    "directory_deleted",
    "rescued",
    "stopped_early",
    "disk_filling",
    "stalled",
    "out_of_memory",
    "rolled_back",
    "callback_failed",
    "profiled",
    "compiled",
    "recompiled",
    "gradients",
    "loss",
    "advice",
    "lock_lost",
)
# Those of them that are no problem.
_HARMLESS = ("note", "profiled", "compiled", "stopped_early", "directory_moved")

_REASONS = {
    "epoch": "at the end of the epoch",
    "interval": "on the step schedule",
    "minutes": "on the time schedule",
    "asked": "on request",
    "stop": "before stopping",
}
# Letters of the marks in a chart, and what they mean.
_MARKS = {
    "resumed_from": ("R", "resumed"),
    "paused": ("P", "paused"),
    "out_of_memory": ("M", "out of memory"),
    "rolled_back": ("B", "rolled back"),
}
# Settings that can change while a run trains: letter in a chart, and name.
_SETTINGS = {
    "optimizer.lr": ("L", "learning rate"),
    "training.epochs": ("E", "epochs"),
    "training.clip_norm": ("C", "clip norm"),
}
_OTHER_SETTING = ("S", "setting")
_STEP_CELLS = 9


def marks(events: Sequence[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """The steps of events that explain a bend in a curve, each with a letter: see `_MARKS` and `_SETTINGS`."""
    return [(float(event["step"]), mark[0]) for event in events if (mark := _mark(event)) is not None]


def letters_legend(events: Sequence[Mapping[str, Any]]) -> str:
    """What the letters of these events mean, as markup: "L learning rate  R resumed"; empty without any."""
    found = dict(mark for event in events if (mark := _mark(event)) is not None)
    return "  ".join(f"[b]{letter}[/] {meaning}" for letter, meaning in found.items())


def _mark(event: Mapping[str, Any]) -> tuple[str, str] | None:
    step = event.get("step")
    if not isinstance(step, int) or step <= 0:
        return None
    if event.get("kind") == "set":
        return _SETTINGS.get(str(event.get("key")), _OTHER_SETTING)
    return _MARKS.get(str(event.get("kind")))


def newest_event(events: Sequence[Mapping[str, Any]]) -> str:
    """The newest event with a text, as markup. Others stay for a while before saves, which may come every second."""
    saved: tuple[str, str, str] | None = None
    newest = _time(events[-1]) if events else 0.0
    for event in reversed(events):
        if saved is not None and newest - _time(event) > _STAYS_SECONDS:
            break
        if told := _told(event):
            if event.get("kind") != "saved":
                return _line(told)
            saved = saved or told
    return _line(saved) if saved else ""


def event_lines(events: Sequence[Mapping[str, Any]], width: int, height: int) -> list[str]:
    """The newest events, newest first: step, glyph or letter, and the text in full over several lines.

    Of saves, which may come every epoch, only the newest is listed.

    Args:
        events: events of the run, oldest first.
        width: cells of a line.
        height: lines that there is room for.
    """
    lines: list[str] = []
    has_save = False
    for event in reversed(events):
        if len(lines) >= height:
            break
        is_save = event.get("kind") == "saved"
        told = None if is_save and has_save else _told(event)
        has_save = has_save or is_save
        if told is None:
            continue
        glyph, tone, text = told
        step = event.get("step")
        place = f"{step:,}" if isinstance(step, int) else ""
        wrapped = drawing.prose(text, width - _STEP_CELLS - 3)
        head = f"[$text-muted]{drawing.right(place, _STEP_CELLS)}[/] [{tone}]{glyph}[/] "
        lines += [f"{head if number == 0 else ' ' * (_STEP_CELLS + 3)}{part}" for number, part in enumerate(wrapped)]
    return lines[:height]


def event_line(event: Mapping[str, Any]) -> str:
    """One plain line for an event of any kind, for the log."""
    told = _told(event)
    if told is not None:
        return printable(told[2])
    # A kind without words of its own is shown by its fields.
    known = {key: value for key, value in event.items() if key not in ("kind", "time")}
    words = ", ".join(f"{key} {_shown(value)}" for key, value in known.items())
    return printable(words or str(event.get("kind")).replace("_", " "))


def _line(told: tuple[str, str, str]) -> str:
    glyph, tone, text = told
    return f"[{tone}]{glyph}[/] {drawing.name(text)}"


def _told(event: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Glyph, theme variable and text of an event; None if it is not shown."""
    kind = str(event.get("kind"))
    mark = _mark(event)
    letter = mark[0] if mark is not None else ""
    if kind == "saved":
        reason = _REASONS.get(str(event.get("reason")), str(event.get("reason")))
        size = f", {byte_size(event['bytes'])}" if isinstance(event.get("bytes"), int) else ""
        return "↓", "$success", f"saved {event.get('file')} {reason}{size}"
    if kind == "save_failed":
        return "✗", "$error", f"SAVE FAILED, training continues: {event.get('error')}"
    if kind == "compile_failed":
        return "▲", "$warning", f"torch.compile failed, running eager: {event.get('reason')}"
    if kind in TOLD_AS_WRITTEN:
        tone = "$text-muted" if kind in _HARMLESS else "$warning"
        return letter or ("·" if kind in _HARMLESS else "▲"), tone, str(event.get("text"))
    if kind == "set":
        name = _SETTINGS.get(str(event.get("key")), ("", str(event.get("key"))))[1]
        change = f"{name}: {_shown(event.get('before'))} → {_shown(event.get('after'))}"
        return letter or "S", "$success", f"{change} at step {whole_number(event.get('step'))}"
    if kind == "resumed_from":
        return letter or "R", "$success", f"resumed from {event.get('checkpoint')}"
    if kind == "paused":
        return letter or "P", "$warning", "paused"
    return None


def _time(event: Mapping[str, Any]) -> float:
    return number(event.get("time")) or 0.0


def _shown(value: Any) -> str:
    known = number(value)
    return str(value) if known is None else figure(known)
