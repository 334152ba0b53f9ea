"""Where a run spends its time, and how much of its machine it uses, as markup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchdeck.engine.files.json_values import number, numbers

from ... import drawing
from ..figures import byte_size, duration

_NAMES = {
    "computing": ("compute", "$success"),
    "data": ("data", "$series-1"),
    "evaluation": ("evaluation", "$series-2"),
    "saving": ("saving", "$series-4"),
    "compiling": ("compiling", "$series-6"),
}
# Above this share, the run is limited by waiting for data.
_STARVED = 0.25
_SHORTEST_BAR = 6
_HOT = 83.0  # °C: about where a data-center GPU lowers its clock
_TALLEST = 5  # lines of a device's history
_LINE_BAR, _FEWEST_HISTORY = 8, 6  # cells, where a device has one line
_SHADES = ("35%", "45%", "55%", "70%", "85%")  # from the lowest line of a history to the highest


def time_shares(state: Mapping[str, Any]) -> dict[str, float]:
    """Shares of the run's time by activity; shares that round to 0 are omitted."""
    seconds = numbers(state.get("seconds"))
    known = {name: seconds[name] for name in _NAMES if name in seconds}
    total = sum(known.values())
    shares = {name: spent / total for name, spent in known.items()} if total > 0 else {}
    return {name: share for name, share in shares.items() if share >= 0.005 or name in ("computing", "data")}


def time_line(state: Mapping[str, Any], width: int) -> str:
    """Where the run's time goes: one bar of all shares, and what each color means. Empty if nothing is known.

    Args:
        state: state of the run.
        width: room in cells; the smallest shares are not named where it is narrow.
    """
    shares = time_shares(state)
    if not shares:
        return ""
    bar_parts = [(share, _NAMES[name][1]) for name, share in shares.items()]
    named = list(shares)
    while True:
        legend = "   ".join(_share_words(name, shares[name]) for name in named)
        room = width - drawing.cells(legend) - len("time    ")
        if room >= _SHORTEST_BAR or len(named) == 1:
            break
        named.remove(min(named, key=lambda name: shares[name] if name != "data" else 1.0))
    bar = drawing.stacked(bar_parts, room) if room >= _SHORTEST_BAR else ""
    return f"[$text-muted]time[/]  {bar}  {legend}"


def _share_words(name: str, share: float) -> str:
    title, tone = _NAMES[name]
    if name == "data" and share >= _STARVED:
        return f"[{tone}]■[/] {title} [b $warning]▲ {share:.0%}[/]"
    return f"[{tone}]■[/] {title} [b]{share:.0%}[/]"


@dataclass(frozen=True)
class _Device:
    """A device with the history of its use.

    Attributes:
        name: its name.
        use: newest share of it that is used.
        shown: that share as words.
        history: shares, oldest first.
        tone: theme variable.
        facts: more about it as markup, the most telling first.
    """

    name: str
    use: float
    shown: str
    history: Sequence[float]
    tone: str
    facts: tuple[str, ...]


def devices_title(samples: Sequence[Mapping[str, Any]], *, is_live: bool) -> str:
    """The title of the devices: over which time their history reaches."""
    times = [at for sample in samples if (at := number(sample.get("time"))) is not None]
    span = f"  [not bold $text-muted]last {duration(times[-1] - times[0])}[/]" if len(times) > 1 else ""
    return f"Devices{span}" if is_live else f"Devices{span}  [not bold $text-muted]as of the end[/]"


def device_lines(
    samples: Sequence[Mapping[str, Any]],
    width: int,
    height: int,
    *,
    uses_gpu: bool,
    cores: int,
    is_sampled: bool = True,
) -> list[str]:
    """Draw the devices with their history: one line each where there is no room for more.

    Args:
        samples: samples of the machine, oldest first.
        width: cells of a line.
        height: number of lines.
        uses_gpu: whether the run computes on a GPU.
        cores: number of cores of the machine; 0 if unknown.
        is_sampled: whether samples are taken at all; another program takes none.
    """
    if not samples:
        return [
            drawing.UNKNOWN if not is_sampled else "[$text-muted]no sample yet: the first one is taken after 5 s[/]"
        ]
    newest = samples[-2 * width :]
    devices = [*_gpus(newest, uses_gpu=uses_gpu), _processor(newest, cores), _memory(newest)]
    tall = min(_TALLEST, height // len(devices) - 1)
    lines: list[str] = []
    for device in devices:
        if tall < 1:
            lines.append(_one_line(device, width))
            continue
        lines.append(_head(device, width))
        lines += drawing.area(device.history, width, tall, [f"{device.tone} {shade}" for shade in _SHADES])
    return lines[:height]


def _one_line(device: _Device, width: int) -> str:
    facts = list(device.facts)
    head = f"[b]{drawing.left(device.name, 4)}[/] {drawing.bar(device.use, _LINE_BAR, device.tone)} "
    head += f"[b]{drawing.right(device.shown, 7)}[/] "
    while facts and drawing.cells(head + " ".join(facts)) + _FEWEST_HISTORY + 1 > width:
        facts.pop()
    tail = f" {' '.join(facts)}" if facts else ""
    room = width - drawing.cells(head + tail)
    history = drawing.area(device.history, room, 1, (f"{device.tone} 60%",))[0] if room > 0 else ""
    return f"{head}{history}{tail}"


def _head(device: _Device, width: int) -> str:
    facts = "".join(f"   {fact}" for fact in device.facts)
    words = f"[b]{drawing.left(device.name, 4)}[/] "
    shown = f" [b]{drawing.right(device.shown, 7)}[/]"
    room = min(20, width - drawing.cells(words + shown + facts))
    if room < _SHORTEST_BAR:
        return drawing.fits(f"{words}{shown}", facts, width)
    return f"{words}{drawing.bar(device.use, room, device.tone)}{shown}{facts}"


def _processor(samples: Sequence[Mapping[str, Any]], cores: int) -> _Device:
    used = [_number(sample, "cpu") for sample in samples]
    # Without the number of cores, the most that was used fills the height.
    most = cores or max([1.0, *(share for share in used if math.isfinite(share))])
    history = [share / most for share in used]
    facts = (f"[$text-muted]of {cores} cores[/]",) if cores else ()
    shown = f"{used[-1]:.0%}" if math.isfinite(used[-1]) else "–"
    return _Device("CPU", history[-1], shown, history, "$series-1", facts)


def _memory(samples: Sequence[Mapping[str, Any]]) -> _Device:
    history, used, room = [], math.nan, math.nan
    for sample in samples:
        used = _number(sample, "memory")
        room = used + _number(sample, "memory_free")
        history.append(used / room if room > 0 else math.nan)
    tone = drawing.full(history[-1]) if history[-1] == history[-1] else drawing.ROOMY
    facts = (f"[$text-muted]of {byte_size(room)}[/]",) if room == room else ()
    return _Device("RAM", history[-1], byte_size(used) if used == used else "–", history, tone, facts)


def _gpus(samples: Sequence[Mapping[str, Any]], *, uses_gpu: bool) -> list[_Device]:
    if not uses_gpu:
        return []
    known = [sample["gpu"] if isinstance(sample.get("gpu"), dict) else {} for sample in samples]
    newest = known[-1]
    history = [_number(gpu, "utilisation") for gpu in known]
    shown = f"{history[-1]:.0%}" if history[-1] == history[-1] else "unknown"
    tone = drawing.busy(history[-1]) if history[-1] == history[-1] else "$text-muted"
    return [_Device("GPU", history[-1], shown, history, tone, tuple(_gpu_facts(newest)))]


def _gpu_facts(gpu: Mapping[str, Any]) -> list[str]:
    facts = []
    used, total = _number(gpu, "memory_used"), _number(gpu, "memory_total")
    if used == used:
        tone = drawing.full(used / total) if total > 0 else "$text"
        limit = f"[$text-muted] of {byte_size(total)}[/]" if total > 0 else ""
        facts.append(f"[{tone if tone != drawing.ROOMY else '$text'}]{byte_size(used)}[/]{limit}")
    degrees, watts = _number(gpu, "temperature"), _number(gpu, "power")
    if degrees == degrees:
        facts.append(f"[{'$warning' if degrees >= _HOT else '$text-muted'}]{degrees:.0f} °C[/]")
    if watts == watts:
        facts.append(f"[$text-muted]{watts:.0f} W[/]")
    return facts


def _number(values: Mapping[str, Any], name: str) -> float:
    known = number(values.get(name))
    return math.nan if known is None else known
