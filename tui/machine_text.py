"""Where a run's time goes and what it takes of its machine, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tui.text import byte_size

_NAMES = {
    "computing": "compute",
    "data": "data",
    "evaluation": "evaluation",
    "saving": "saving",
    "compiling": "compiling",
}
# Above this share, waiting for data is what a run could be made faster by.
_STARVED = 0.25


def machine_line(state: Mapping[str, Any], system: Mapping[str, Any], *, is_live: bool) -> Text:
    """Shares of the run's time, then processor, memory and GPU while it lives.

    Args:
        state: the run's state.
        system: its newest sample of the machine; empty when there is none.
        is_live: whether the sample tells of now.
    """
    line = Text(no_wrap=True, overflow="ellipsis", style="dim")
    for name, share in time_shares(state).items():
        style = "yellow" if name == "data" and share >= _STARVED else ""
        line.append("  " if line else "")
        line.append(f"{_NAMES[name]} {share:.0%}", style=style)
    if is_live and system:
        line.append(f"{'  │  ' if line else ''}CPU {_number(system, 'cpu'):.0%}")
        line.append(f"  RAM {byte_size(_number(system, 'memory'))}")
        line.append(f"  {_gpu(system.get('gpu'))}" if state.get("uses_gpu") else "")
    return line


def time_shares(state: Mapping[str, Any]) -> dict[str, float]:
    """What the run's time was spent on, as shares of all of it; those that round to nothing are left out."""
    seconds = state.get("seconds")
    if not isinstance(seconds, dict):
        return {}
    known = {name: float(seconds[name]) for name in _NAMES if isinstance(seconds.get(name), int | float)}
    total = sum(known.values())
    shares = {name: spent / total for name, spent in known.items()} if total > 0 else {}
    return {name: share for name, share in shares.items() if share >= 0.005 or name in ("computing", "data")}


def _gpu(sample: Any) -> str:
    if not isinstance(sample, dict):
        return "GPU unknown"
    words = []
    if "utilisation" in sample:
        words.append(f"{_number(sample, 'utilisation'):.0%}")
    if "memory_used" in sample:
        words.append(f"{byte_size(_number(sample, 'memory_used'))} of {byte_size(_number(sample, 'memory_total'))}")
    if "power" in sample:
        words.append(f"{_number(sample, 'power'):.0f} W")
    if "temperature" in sample:
        words.append(f"{_number(sample, 'temperature'):.0f} °C")
    return f"GPU {' '.join(words)}"


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
