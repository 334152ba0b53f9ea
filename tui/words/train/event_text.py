"""Events of a run as text: letters over its curves, the newest one, and a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchdeck.engine.files.json_values import number, whole_number
from torchdeck.engine.plurals import plural

from ... import drawing
from ...plain_text import printable
from ..event_levels import GLYPHS, TONES, event_level
from ..figures import byte_size, figure

# An event stays on the screen this long, even if saves follow it.
_STAYS_SECONDS = 20.0

_REASONS = {
    "epoch": "at the end of the epoch",
    "interval": "on the step schedule",
    "minutes": "on the time schedule",
    "asked": "on request",
    "stop": "before stopping",
    "recorded": "by its program",
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
# Glyphs of events that say that something was done as asked.
_DONE = {"saved": "↓", "set": "S", "resumed_from": "R"}
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
    if event.get("kind") == "ended":
        return printable(": ".join(str(event[key]) for key in ("status", "error") if event.get(key)))
    # A kind without words of its own is shown by its fields.
    known = {key: value for key, value in event.items() if key not in ("kind", "time") and value is not None}
    words = ", ".join(f"{key} {_shown(value)}" for key, value in known.items())
    return printable(words or str(event.get("kind")).replace("_", " "))


def _line(told: tuple[str, str, str]) -> str:
    glyph, tone, text = told
    return f"[{tone}]{glyph}[/] {drawing.name(text)}"


def _told(event: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Glyph, theme variable and text of an event; None if it is not shown."""
    text = _text(event)
    if text is None:
        return None
    kind, level, mark = event.get("kind"), event_level(event), _mark(event)
    if kind in _DONE:
        return mark[0] if mark is not None else _DONE[str(kind)], "$success", text
    glyph = "·" if level == "info" else GLYPHS[level]
    return mark[0] if mark is not None else glyph, TONES[level], text


def _text(event: Mapping[str, Any]) -> str | None:
    """What an event says, as plain text; None for kinds without words of their own."""
    if isinstance(text := event.get("text"), str):
        return text
    error = event.get("error")
    match event.get("kind"):
        case "saved":
            reason = _REASONS.get(str(event.get("reason")), str(event.get("reason")))
            size = f", {byte_size(event['bytes'])}" if isinstance(event.get("bytes"), int) else ""
            return f"saved {event.get('file')} {reason}{size}"
        case "save_failed" | "saver_failed":
            return f"SAVE FAILED, training continues: {error}"
        case "old_checkpoints_kept":
            return f"old checkpoints are kept, as they can't be removed: {error}"
        case "state_not_written" | "evaluation_not_written":
            return f"{event['kind'].partition('_')[0]}.json was not written: {error}"
        case "compile_failed":
            return f"torch.compile failed, running eager: {event.get('reason')}"
        case "left_out":
            return _left_out(event.get("files"))
        case "set":
            name = _SETTINGS.get(str(event.get("key")), ("", str(event.get("key"))))[1]
            change = f"{name}: {_shown(event.get('before'))} → {_shown(event.get('after'))}"
            return f"{change} at step {whole_number(event.get('step'))}"
        case "resumed_from":
            return f"resumed from {event.get('checkpoint')}"
        case "paused":
            return "paused"
        case _:
            return None


def _left_out(files: Any) -> str:
    """Which files of the data are left out: the first of them with its problem, and how many there are."""
    known = files if isinstance(files, list) else []
    first = ": ".join(map(str, known[0])) if known and isinstance(known[0], list) else ""
    return f"{plural(len(known), 'file')} of the data left out{f', first {first}' if first else ''}"


def _time(event: Mapping[str, Any]) -> float:
    return number(event.get("time")) or 0.0


def _shown(value: Any) -> str:
    known = number(value)
    return str(value) if known is None else figure(known)
