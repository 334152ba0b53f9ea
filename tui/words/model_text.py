"""A model's cost in lines of markup: the memory of a step, and the parameter groups of the optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..drawing import cells, left, name, right, stacked
from .figures import byte_size, duration, figure
from .memory_text import PARTS

if TYPE_CHECKING:
    from torchdeck.engine.preflight.measured_step import StepMeasurement
    from torchdeck.engine.preflight.memory_estimate import MemoryEstimate
    from torchdeck.engine.preflight.weight_groups import WeightGroups

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
    known = {part: int(getattr(estimate, part)) for part in PARTS}
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
    ms = f"{1000 * measured.seconds:.3g} ms" if measured.seconds < 1 else duration(measured.seconds)
    lines = [f"[$success]✓[/] measured: [b]{ms}[/] per step, [b]{byte_size(measured.peak)}[/] at its peak"]
    if measured.steps_per_epoch:
        epoch = measured.seconds * measured.steps_per_epoch
        run = duration(epoch * measured.epochs)
        lines.append(
            f"  {duration(epoch)} per epoch of {measured.steps_per_epoch:,} steps, [b]{run}[/] for {measured.epochs}"
            "  [$text-disabled]without loading and evaluation[/]"
        )
    return lines


def group_lines(groups: WeightGroups, width: int) -> list[str]:
    """The parameter groups of an optimizer: numbers in columns, and what is frozen.

    Args:
        groups: the groups.
        width: cells of a line.
    """
    heads = ("lr", "decay", "tensors", "params")
    lines = [f"[$text-disabled]{left('group', 16)}{''.join(right(head, 11) for head in heads)}[/]"]
    for number, group in enumerate(groups.groups):
        words = group.patterns[0] if group.patterns else group.method if group.weight_decay else "no decay"
        decay = "–" if group.weight_decay is None else figure(group.weight_decay)
        figures = (figure(group.lr), decay, f"{len(group.tensors):,}", f"{group.params:,}")
        tone = f"$series-{number % 8 + 1}"
        lines.append(f"[{tone}]■[/] {left(words, 14)}{''.join(right(each, 11) for each in figures)}")
    if groups.frozen_tensors:
        figures = ("–", "–", f"{groups.frozen_tensors:,}", f"{groups.frozen_params:,}")
        lines.append(f"[$series-1]❄[/] {left('frozen', 14)}{''.join(right(each, 11) for each in figures)}")
    shares = [(group.params, f"$series-{number % 8 + 1}") for number, group in enumerate(groups.groups)]
    lines.append(stacked([*shares, (groups.frozen_params, "$track")], width))
    return lines + [f"[$warning]▲ {name(note)}[/]" for note in groups.notes]
