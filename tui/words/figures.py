"""Numbers, sizes and times as text, for both the command line and the panes."""

from __future__ import annotations

import math


def progress_words(what: str, done: int, total: int) -> str:
    """Say what is under way, with its numbers if there are any: `listing files 4,200 …`, `measuring 3 of 8 …`."""
    count = f" {done:,} of {total:,}" if total else f" {done:,}" if done else ""
    return f"{what}{count} …"


def duration(seconds: float) -> str:
    """Write a duration, short enough for a column: 0.2 s, 42 s, 3 min 05 s, 2 h 14 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def step_time(seconds: float) -> str:
    """Write the time of a training step: 9.87 ms, 1.2 s."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else duration(seconds)


def rough_duration(seconds: float) -> str:
    """Write an age in one unit: <1m, 5m, 3h, 12d."""
    if seconds < 60:
        return "<1m"
    for unit, size, limit in (("m", 60, 60), ("h", 3600, 48)):
        if seconds < size * limit:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds // 86400)}d"


def byte_size(count: float) -> str:
    """Write a number of bytes with a unit: 512 B, 1.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def flops_per_sample(flops: float) -> str:
    """Write the floating-point operations of one sample's forward pass: "4.76 MFLOPs/sample"."""
    for unit in ("", "k", "M", "G"):
        if flops < 999.5:
            return f"{flops:.3g} {unit}FLOPs/sample"
        flops /= 1000
    return f"{flops:.3g} TFLOPs/sample"


def percent(share: float | None) -> str:
    """Write a share between 0 and 1 in percent; "–" if it is unknown or not finite."""
    return "–" if share is None or not math.isfinite(share) else f"{share:.2%}"


def figure(value: float | None, digits: int = 4) -> str:
    """Write a number with `digits` significant digits; "–" if it is unknown or not finite."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"
