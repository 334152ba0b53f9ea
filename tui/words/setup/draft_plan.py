"""What a draft's run will be, as lines of a panel: problems, steps, time, memory, disk, schedule, command."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torchdeck.engine.config import RunConfig

from ...drawing import fits, left, marked, name, pair, prose, right, trace
from ..figures import byte_size, duration, step_time

if TYPE_CHECKING:
    from torchdeck.engine.preflight.measured_step import StepMeasurement
    from torchdeck.engine.preflight.memory_estimate import MemoryEstimate
    from torchdeck.engine.preflight.outline import RunOutline

_LABEL = 7
_AXIS = 8
_LEAST_PLOT = 10
# In markup, a backslash before a bracket would mean that bracket.
_CONTINUED = " [$text-disabled]\\ [/]"


@dataclass(frozen=True)
class DraftPlan:
    """What is known of a draft's run so far.

    Attributes:
        draft: the config.
        is_checked: whether its settings were checked.
        error: why it could not start; empty if nothing is known to be in its way.
        off: by key, why settings have no effect.
        outline: steps and learning rate; None until they are known.
        outline_error: why they are unknown.
        memory: estimated memory of a step; None until it is known.
        memory_error: why it is unknown.
        measured: a real step; None if none was measured.
        notes: remarks of the dry run.
        is_built: whether a dry run built and checked everything.
        work: what is being done now; empty for nothing.
        work_error: why a measurement failed.
        planning: what is being found out now for steps or memory; empty for nothing.
        free_disk: free bytes where the run would be stored; 0 if unknown.
    """

    draft: RunConfig
    is_checked: bool = False
    error: str = ""
    off: dict[str, str] = field(default_factory=dict)
    outline: RunOutline | None = None
    outline_error: str = ""
    memory: MemoryEstimate | None = None
    memory_error: str = ""
    measured: StepMeasurement | None = None
    notes: tuple[str, ...] = ()
    is_built: bool = False
    work: str = ""
    work_error: str = ""
    planning: str = ""
    free_disk: int = 0


def plan_lines(
    plan: DraftPlan, problem: str, idle: Sequence[tuple[str, str]], command: str, width: int, height: int
) -> list[str]:
    """The panel of the plan: problems first, the shell command last; blank lines only where there is room.

    Args:
        plan: what is known.
        problem: what is wrong with the draft or with an edit of it; empty if nothing is.
        idle: changed settings without an effect: label and reason.
        command: shell command that starts the draft.
        width: cells.
        height: lines that have room.
    """
    head = _verdict(plan, problem, width)
    for label, reason in idle:
        head.append(fits(f"[$warning]▲[/] [b]{name(label, 24)}[/] has no effect", f": {name(reason)}", width))
    for note in plan.notes:
        head += marked("[$warning]▲[/]", note, width)
    if plan.work_error:
        head += marked("[$error]✗[/]", plan.work_error, width)
    facts = _facts(plan, width)
    shown = command_lines(command, width)
    gaps = 2 if height - len(head) - len(facts) - len(shown) >= 2 else 0
    # At least one line of the command is seen, whatever else there is to say.
    room = max(1, height - len(head) - len(facts) - gaps)
    if len(shown) > room:
        shown = [
            fits(f"{shown[0].removesuffix(_CONTINUED)} …", "   [b $key]y[/] [$text-muted]copies all[/]", width),
            *shown[1:room],
        ][:room]
    gap = [""] * (gaps // 2)
    above = [*head, *(gap if facts else []), *facts][: max(0, height - len(shown) - gaps // 2)]
    return [*above, *gap, *shown]


def _verdict(plan: DraftPlan, problem: str, width: int) -> list[str]:
    if problem:
        lines = marked("[$error]▲[/]", problem, width)
    elif not plan.is_checked:
        lines = ["[$text-muted]checking …[/]"]
    else:
        lines = ["[$success]✓[/] ready to start"]
        if plan.is_built:
            lines.append("[$success]✓[/] data, model and loss fit together")
    return [*lines, f"[$text-muted]{name(plan.work, width)}[/]"] if plan.work else lines


def _facts(plan: DraftPlan, width: int) -> list[str]:
    draft, outline = plan.draft, plan.outline
    lines: list[str] = []
    if outline is not None:
        steps = outline.steps_per_epoch * outline.epochs
        note = f"{outline.steps_per_epoch:,} per epoch × {outline.epochs:,}"
        lines.append(pair("steps", f"[b]{steps:,}[/]", _LABEL, note=note, room=width))
        batch = draft.loader.batch_size * draft.training.accumulate
        note = f"{draft.training.accumulate} × {draft.loader.batch_size:,}" if draft.training.accumulate > 1 else ""
        note = note or f"of {outline.samples:,} samples"
        lines.append(pair("batch", f"[b]{batch:,}[/]", _LABEL, note=note, room=width))
        lines.append(_time(plan, steps, width))
    elif plan.outline_error:
        lines += _labeled("steps", plan.outline_error, width)
    elif plan.planning:
        lines.append(pair("steps", f"[$text-muted]{name(plan.planning, width)}[/]", _LABEL))
    if plan.memory is not None:
        lines += _memory(plan.memory, width)
        if outline is not None:
            lines.append(_disk(plan, outline, plan.memory, width))
    elif plan.memory_error:
        lines += _labeled("memory", plan.memory_error, width)
    elif plan.planning and (outline is not None or plan.outline_error):
        lines.append(pair("memory", f"[$text-muted]{name(plan.planning, width)}[/]", _LABEL))
    return lines


def _labeled(label: str, text: str, width: int) -> list[str]:
    """A label and muted prose behind it, two lines at most."""
    said = prose(text, width - _LABEL - 1)[:2]
    return [pair(label if at == 0 else "", f"[$text-muted]{line}[/]", _LABEL) for at, line in enumerate(said)]


def _time(plan: DraftPlan, steps: int, width: int) -> str:
    if plan.measured is None:
        measures = "  [b $key]m[/] [$text-muted]measures a step[/]"
        return fits(pair("time", "[$text-muted]not measured[/]", _LABEL), measures, width)
    seconds = plan.measured.seconds
    step = f"{step_time(seconds)} per step"
    return pair("time", f"about [b]{duration(seconds * steps)}[/]", _LABEL, note=step, room=width)


def _memory(memory: MemoryEstimate, width: int) -> list[str]:
    tone = "b" if memory.fits else "b $error"
    value = f"[{tone}]{byte_size(memory.peak)}[/] of {byte_size(memory.free)}"
    note = f"{memory.precision} on {memory.device}" if memory.fits else "does not fit"
    return [pair("memory", value, _LABEL, note=note, room=width)]


def _disk(plan: DraftPlan, outline: RunOutline, memory: MemoryEstimate, width: int) -> str:
    size, saves = memory.parameters + memory.buffers + memory.averages + memory.optimizer_state, outline.saves
    free = f"{byte_size(plan.free_disk)} free" if plan.free_disk else ""
    is_full = 0 < plan.free_disk < saves.kept * size
    times = f"{'' if saves.is_exact else 'at least '}{saves.count:,} ×"
    value = f"{times} [{'b $error' if is_full else 'b'}]{byte_size(size)}[/], {saves.kept:,} kept"
    return pair("saves", value, _LABEL, note=free, room=width)


def command_lines(command: str, width: int) -> list[str]:
    """A shell command over several lines, each but the last continued with a backslash."""
    words = shlex.split(command)
    parts = [shlex.join(words[:3])]
    rest = words[3:]
    while rest:
        count = 2 if rest[0] == "--set" else 1
        parts.append(f"    {shlex.join(rest[:count])}")
        rest = rest[count:]
    lines = []
    for at, part in enumerate(parts):
        head = "[$text-disabled]$[/] " if at == 0 else ""
        tail = _CONTINUED if at + 1 < len(parts) else ""
        lines.append(f"{head}{name(part, max(8, width - 2 * (at == 0) - 3 * bool(tail)))}{tail}")
    return lines


def schedule_title(outline: RunOutline | None) -> str:
    """Title of the panel of the schedule, with the highest rate."""
    if outline is None or not outline.rates:
        return "Schedule"
    return f"Schedule  [not bold][$series-3]━[/] lr [b]{_rate(outline.peak)}[/] at its peak[/]"


def schedule_lines(outline: RunOutline | None, error: str, width: int, height: int) -> list[str]:
    """The learning rate over the epochs as a line, with its range at the left and epochs below.

    Args:
        outline: what is known of the run; None if nothing is yet.
        error: why nothing is known; empty while it is being found out.
        width: cells.
        height: lines that have room.
    """
    if outline is None:
        return prose(error, width)[:height] if error else ["[$text-muted]planning …[/]"]
    if not outline.rates:
        return prose(outline.rates_note, width)[:height]
    note = prose(outline.rates_note, width) if outline.rates_note and height > _LEAST_PLOT else []
    plot, across = height - 1 - len(note), width - _AXIS
    if plot < 1 or across < _LEAST_PLOT:
        return [f"[$text-muted]lr[/] [b]{_rate(outline.peak)}[/]"]
    high, low = max(outline.rates), min(outline.rates)
    if math.isclose(high, low):
        drawn = ["" if at != plot // 2 else trace(outline.rates, across, 1, "$series-3")[0] for at in range(plot)]
        labels = ["" if at != plot // 2 else _rate(high) for at in range(plot)]
    else:
        drawn = trace(outline.rates, across, plot, "$series-3")
        labels = [_rate(high) if at == 0 else _rate(low, 2) if at == plot - 1 else "" for at in range(plot)]
    lines = [
        f"[$text-muted]{right(label, _AXIS - 2)}[/] [$grid]│[/]{line}"
        for label, line in zip(labels, drawn, strict=True)
    ]
    return [*lines, f"{' ' * _AXIS}{_epoch_axis(outline.epochs, across)}", *note]


def _epoch_axis(epochs: int, width: int) -> str:
    """Numbers of epochs below a plot of the whole run."""
    step = next(each for each in _nice_steps() if epochs / each * 8 <= width or each >= epochs)
    line = ""
    for epoch in range(0, epochs + 1, step):
        at = round(epoch / epochs * (width - 1))
        label = str(epoch)
        begin = min(max(0, at - len(label) // 2), width - len(label))
        if begin >= len(line) + (1 if line else 0):
            line = line.ljust(begin) + label
    return f"[$text-muted]{left(line, width)}[/]"


def _nice_steps() -> list[int]:
    return [factor * 10**power for power in range(7) for factor in (1, 2, 5)]


def _rate(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}g}".replace("e-0", "e-")
