"""The progress of long work in one line."""

from __future__ import annotations

from ..drawing import bar, fits, name

_LONGEST_BAR = 30
_SHORTEST_BAR = 6


def progress_line(what: str, done: int, total: int, width: int) -> str:
    """Write `measuring train  4,200 of 60,000 ━━━╸─── Esc stops it`; what has no room is left out.

    Args:
        what: current work, as plain text.
        done: items done.
        total: items in all; 0 if unknown, which leaves out the bar.
        width: cells of the line.
    """
    count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
    line = f"{name(what, width)}"
    if count:
        line = fits(line, f"  [b]{count}[/]", width)
    if total:
        for length in (_LONGEST_BAR, _LONGEST_BAR // 2, _SHORTEST_BAR):
            drawn = f"  {bar(done / total, length)}"
            if fits(line, drawn, width) != line:
                line += drawn
                break
    return fits(line, "  [b $key]Esc[/] [$text-muted]stops it[/]", width)
