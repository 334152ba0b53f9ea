"""The memory of a training step as text and as a bar, for the verb and the pane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from .figures import byte_size, duration

if TYPE_CHECKING:
    from torchdeck.engine.preflight.measured_step import StepMeasurement
    from torchdeck.engine.preflight.memory_estimate import MemoryEstimate

PARTS = ("parameters", "buffers", "optimizer_state", "averages", "gradients", "activations")
"""Parts of an estimate, in the order of the bar."""

_PARTS = tuple(zip(PARTS, ("bright_blue", "cyan", "magenta", "bright_magenta", "green", "yellow"), strict=True))
_NAMES = {"optimizer_state": "optimizer"}


def memory_text(estimate: MemoryEstimate, width: int) -> Text:
    """Describe an estimate: a sentence, a bar of the free memory, its parts.

    Args:
        estimate: estimate of one step.
        width: width of the bar in cells.
    """
    text = Text()
    text.append(f"a step of {estimate.batch_size:,} in {estimate.precision}: about ", "default")
    text.append(byte_size(estimate.peak), "bold" if estimate.fits else "bold red")
    text.append(f" of {byte_size(estimate.free)} free on {estimate.device}")
    if not estimate.fits:
        text.append(" · does not fit", "bold red")
    text.append("\n").append_text(_bar(estimate, width)).append("\n")
    for name, color in _PARTS:
        size = getattr(estimate, name)
        if size:
            text.append("■ ", color).append(f"{_NAMES.get(name, name)} {byte_size(size)}  ")
    if estimate.evaluation_peak > estimate.peak:
        style = "red" if estimate.evaluation_peak > estimate.free else "yellow"
        text.append(
            f"\nevaluation needs more: {byte_size(estimate.evaluation_peak)}; loader.eval_batch_size lowers it", style
        )
    return text


def largest_text(largest: MemoryEstimate | None) -> Text:
    """Describe the estimated largest batch that fits."""
    if largest is None:
        return Text("estimate: not even a batch of 1 fits", style="red")
    return Text(f"estimated largest batch that fits: {largest.batch_size:,}")


def measured_text(measured: StepMeasurement) -> Text:
    """Describe a measured step, and the resulting time per epoch and for the run."""
    words = f"measured: {byte_size(measured.peak)}, {_step_time(measured.seconds)} per step"
    if measured.steps_per_epoch:
        epoch = measured.seconds * measured.steps_per_epoch
        run = duration(epoch * measured.epochs)
        words += f"; {duration(epoch)} per epoch of {measured.steps_per_epoch:,} steps, {run} for {measured.epochs}"
        words += " (without data loading and evaluation)"
    return Text(words, style="green")


def memory_document(estimate: MemoryEstimate, largest: MemoryEstimate | None) -> dict[str, Any]:
    """Convert an estimate to a JSON object, in bytes."""
    from dataclasses import asdict

    return {**asdict(estimate), "fits": estimate.fits, "largest_batch": largest.batch_size if largest else 0}


def _step_time(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else duration(seconds)


def _bar(estimate: MemoryEstimate, width: int) -> Text:
    """Draw the parts as shares of the free memory; if they do not fit, as shares of their sum."""
    whole = max(estimate.free, estimate.peak, 1)
    bar = Text(no_wrap=True)
    begun = 0
    done = 0
    for name, color in _PARTS:
        done += getattr(estimate, name)
        cells = round(done / whole * width) - begun
        bar.append("█" * cells, color)
        begun += cells
    if not begun:
        bar.append("▏", "yellow")
        begun = 1
    return bar.append("─" * (width - begun), "dim")
