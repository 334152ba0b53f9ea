"""One line about where a run spends its time and how much of its machine it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from torchdeck.engine.files.json_values import number, numbers

from .figures import byte_size

_NAMES = {
    "computing": "compute",
    "data": "data",
    "evaluation": "evaluation",
    "saving": "saving",
    "compiling": "compiling",
}
# Above this share, the run is limited by waiting for data.
_STARVED = 0.25


@dataclass(frozen=True)
class _Piece:
    """A part of the line; if not all of them fit, those with the highest rank are dropped first."""

    text: str
    rank: int
    style: str = ""
    is_of_machine: bool = False


def machine_line(state: Mapping[str, Any], system: Mapping[str, Any], *, is_live: bool, width: int = 200) -> Text:
    """Describe shares of the run's time and, while it is live, CPU, memory and GPU.

    Args:
        state: state of the run.
        system: newest sample of the machine; empty if there is none.
        is_live: whether the sample is current.
        width: maximum width in cells; a narrow line omits the least important parts.
    """
    pieces = [*_time_pieces(state), *(_machine_pieces(state, system) if is_live and system else ())]
    line = _joined(pieces)
    while line.cell_len > width and any(piece.rank for piece in pieces):
        pieces.remove(max(pieces, key=lambda piece: piece.rank))
        line = _joined(pieces)
    return line


def _joined(pieces: Sequence[_Piece]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis", style="dim")
    for index, piece in enumerate(pieces):
        begins_machine = piece.is_of_machine and index > 0 and not pieces[index - 1].is_of_machine
        line.append("  │  " if begins_machine else "  " if index else "")
        line.append(piece.text, style=piece.style)
    return line


def _time_pieces(state: Mapping[str, Any]) -> list[_Piece]:
    ranks = {"computing": 0, "data": 0, "compiling": 4, "evaluation": 5, "saving": 6}
    return [
        _Piece(f"{_NAMES[name]} {share:.0%}", ranks[name], "yellow" if name == "data" and share >= _STARVED else "")
        for name, share in time_shares(state).items()
    ]


def _machine_pieces(state: Mapping[str, Any], system: Mapping[str, Any]) -> list[_Piece]:
    words = [(f"CPU {_number(system, 'cpu'):.0%}", 3), (f"RAM {byte_size(_number(system, 'memory'))}", 2)]
    if state.get("uses_gpu"):
        words += _gpu(system.get("gpu"))
    return [_Piece(text, rank, is_of_machine=True) for text, rank in words]


def time_shares(state: Mapping[str, Any]) -> dict[str, float]:
    """Shares of the run's time by activity; shares that round to 0 are omitted."""
    seconds = numbers(state.get("seconds"))
    known = {name: seconds[name] for name in _NAMES if name in seconds}
    total = sum(known.values())
    shares = {name: spent / total for name, spent in known.items()} if total > 0 else {}
    return {name: share for name, share in shares.items() if share >= 0.005 or name in ("computing", "data")}


def _gpu(sample: Any) -> list[tuple[str, int]]:
    """The known facts about the GPU, each with its rank."""
    if not isinstance(sample, dict):
        return [("GPU unknown", 0)]
    words = [(f"GPU {_number(sample, 'utilisation'):.0%}" if "utilisation" in sample else "GPU", 0)]
    if "memory_used" in sample:
        used, total = _number(sample, "memory_used"), _number(sample, "memory_total")
        words.append((f"{byte_size(used)} of {byte_size(total)}", 0))
    if "power" in sample:
        words.append((f"{_number(sample, 'power'):.0f} W", 7))
    if "temperature" in sample:
        words.append((f"{_number(sample, 'temperature'):.0f} °C", 8))
    return words


def _number(values: Mapping[str, Any], name: str) -> float:
    return number(values.get(name)) or 0.0
