"""The processes of a run that several train together, one line each, as markup."""

from __future__ import annotations

from collections.abc import Sequence

from torchdeck.engine.runs.rank_states import RankState

from ... import drawing
from ...plain_text import printable
from ..figures import byte_size, duration

_SILENT_SECONDS = 5.0
_WAITS = 0.1
_NAME_CELLS = 24


def rank_lines(states: Sequence[RankState], now: float, width: int, *, is_live: bool) -> list[str]:
    """A line for each process: where it is, how busy its device, how long a step takes, what it waits for.

    Args:
        states: what each said last, by their numbers.
        now: seconds since the epoch.
        width: cells of a line.
        is_live: whether they are expected to say something.
    """

    return [_line(state, now, width, is_live=is_live) for state in states]


def _line(state: RankState, now: float, width: int, *, is_live: bool) -> str:
    device = str(state.get("device", ""))
    name = printable(f"{state['rank']} {state.get('host', '')} {device}")
    gpu = state.get("gpu") or {}
    use = gpu.get("utilisation", state.get("cpu"))
    memory = gpu.get("memory_used", state.get("memory"))
    facts = []
    silent = now - state["time"]
    if is_live and silent > _SILENT_SECONDS:
        facts.append(f"[$error]last heard of {duration(silent)} ago, {printable(state.get('phase', ''))}[/]")
    else:
        facts.append(f"[b]{f'{use:.0%}' if use is not None else '–'}[/]")
        facts.append(f"[$text-muted]{byte_size(memory)}[/]" if memory is not None else "")
        seconds, waits = state.get("step_seconds"), state.get("waits")
        if seconds:
            facts.append(f"[$text-muted]{1000 * seconds:,.0f} ms per step[/]")
        if waits is not None and waits > _WAITS:
            facts.append(f"[$warning]waits {waits:.0%} for data[/]")
    line = f"[$text-muted]{drawing.left(name, _NAME_CELLS)}[/] {facts[0]}"
    for fact in facts[1:]:
        line = drawing.fits(line, f"  {fact}" if fact else "", width)
    return line
