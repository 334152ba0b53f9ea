"""A model's cost in lines of markup: memory and time of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...drawing import cells, name, stacked
from ..figures import byte_size, duration, step_time

if TYPE_CHECKING:
    from torchdeck.engine.preflight.measured_step import StepMeasurement
    from torchdeck.engine.preflight.memory_estimate import MemoryEstimate

_TONES = {
    "parameters": "$series-1",
    "buffers": "$series-7",
    "optimizer_state": "$series-4",
    "averages": "$series-6",
    "gradients": "$series-5",
    "activations": "$series-2",
}
_NAMES = {"parameters": "weights", "optimizer_state": "optimizer"}


def memory_lines(estimate: MemoryEstimate, width: int) -> list[str]:
    """The memory of a step as one bar against the device, its parts, and what it means.

    Args:
        estimate: estimate of one step.
        width: cells of a line.
    """
    known = {part: int(getattr(estimate, part)) for part in _TONES}
    rest = max(0, estimate.free - estimate.peak)
    shares = [(size, _TONES[part]) for part, size in known.items() if size]
    lines = [stacked([*shares, (rest, "$track")], width)]
    legend = [
        f"[{_TONES[part]}]■[/] {name(_NAMES.get(part, part))} [b]{byte_size(size)}[/]"
        for part, size in known.items()
        if size
    ]
    lines += _in_lines(legend, width)
    peak = f"[b]{byte_size(estimate.peak)}[/]" if estimate.fits else f"[b $error]{byte_size(estimate.peak)}[/]"
    step = f"[$text-muted]a step of[/] [b]{estimate.batch_size:,}[/] [$text-muted]in {name(estimate.precision)}[/]"
    lines += _in_lines(
        [f"{step} {peak}", f"[$text-muted]of {byte_size(estimate.free)} on {name(estimate.device)}[/]"], width
    )
    if not estimate.fits:
        lines.append("[$error]✗ does not fit: lower loader.batch_size, or raise training.accumulate[/]")
    if estimate.evaluation_peak > estimate.peak:
        tone = "$error" if estimate.evaluation_peak > estimate.free else "$warning"
        need = byte_size(estimate.evaluation_peak)
        lines.append(f"[{tone}]▲ evaluation needs more: {need}; loader.eval_batch_size lowers it[/]")
    return lines


def _in_lines(pieces: list[str], width: int) -> list[str]:
    """Pieces of markup side by side, in as many lines as they need."""
    lines: list[str] = []
    for piece in pieces:
        if lines and cells(lines[-1]) + 3 + cells(piece) <= width:
            lines[-1] += f"   {piece}"
        else:
            lines.append(piece)
    return lines


def largest_line(largest: MemoryEstimate | None) -> str:
    """The estimated largest batch that fits."""
    if largest is None:
        return "[$error]✗ not even a batch of 1 fits, by this estimate[/]"
    return f"[$text-muted]largest batch that fits, estimated[/] [b]{largest.batch_size:,}[/]"


def measured_lines(measured: StepMeasurement) -> list[str]:
    """A measured step, and the resulting time per epoch and for the run."""
    time, peak = step_time(measured.seconds), byte_size(measured.peak)
    lines = [f"[$success]✓[/] measured: [b]{time}[/] per step, [b]{peak}[/] at its peak"]
    if measured.steps_per_epoch:
        epoch = measured.seconds * measured.steps_per_epoch
        run = duration(epoch * measured.epochs)
        lines.append(
            f"  {duration(epoch)} per epoch of {measured.steps_per_epoch:,} steps, [b]{run}[/] for {measured.epochs}"
            "  [$text-disabled]without loading and evaluation[/]"
        )
    return lines
