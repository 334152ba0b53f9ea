"""A model's modules for the model pane: rows of the tree, and one module as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from ..plain_text import printable, printable_lines
from ..widgets.charts.histogram import curve_line, histogram_lines
from ..widgets.modules.module_tree import ModuleTreeRow
from .figures import byte_size, figure

if TYPE_CHECKING:
    from torchdeck.engine.models.module_tree import ModelReport, ModuleRow
    from torchdeck.engine.models.tree.module_details import TensorRow
    from torchdeck.engine.preflight.weight_histogram import WeightHistogram


def tree_rows(report: ModelReport) -> list[ModuleTreeRow]:
    """Convert the rows of a report to rows of the tree."""
    return [
        ModuleTreeRow(
            path=row.path,
            type=row.type,
            params=row.params,
            trainable=row.trainable,
            output="×".join(map(str, row.output_shape)) if row.output_shape else "",
            note=_note(row),
            own=row.own_params,
            buffers=row.buffers,
            dtype=row.dtype,
            flops=row.flops,
            # Calls are unknown if the forward pass stopped early.
            calls=row.calls if row.calls or report.error is None else None,
            mode="train" if row.training else "eval",
            is_shared=bool(row.alias_of or row.shared),
            is_uninitialized=row.uninitialized,
        )
        for row in report.modules
    ]


def _note(row: ModuleRow) -> str:
    if row.alias_of:
        return f"= {row.alias_of}"
    return ", ".join([*row.shared, row.extra]) if row.shared else row.extra


def module_text(row: ModuleRow, report: ModelReport) -> Text:
    """Describe one module: type, tensors, and computation.

    Args:
        row: row of the module.
        report: report of its model.
    """
    text = Text()
    text.append(f"{printable(row.path) or 'the whole model'}\n", "bold")
    text.append(f"{printable(row.type)}({printable(row.extra)})\n")
    if row.alias_of:
        text.append(f"the same module as {printable(row.alias_of)}\n", "yellow")
    if doc := report.docs.get(row.type):
        text.append(f"{printable_lines(doc)}\n", "dim")
    text.append(f'model.get_submodule("{printable(row.path)}")\n', "cyan")
    for name, value in _facts(row, report):
        text.append(f"\n{name:<11}", "dim").append(value)
    for title, tensors in (("parameters", row.parameters), ("buffers", row.own_buffers)):
        if tensors:
            text.append(f"\n\n{title}", "bold")
        for tensor in tensors:
            text.append(f"\n  {printable(tensor.name):<18}", "").append(_tensor(tensor))
    for shared in row.shared:
        text.append(f"\n  {printable(shared)}", "yellow")
    return text


def _facts(row: ModuleRow, report: ModelReport) -> list[tuple[str, str]]:
    below = f", {row.own_params:,} of its own" if row.own_params != row.params else ""
    share = f" ({row.params / report.params:.1%})" if report.params and row.params else ""
    frozen = row.params - row.trainable
    ran = f"{row.calls:,}" if row.calls else "not run" if report.error is None else "unknown"
    facts = [
        ("parameters", f"{row.params:,}{share}{below}"),
        ("trained", f"{row.trainable:,}" + (f", {frozen:,} frozen" if frozen else "")),
        ("mode", "train" if row.training else "eval"),
        ("calls", ran),
        ("output", "×".join(map(str, row.output_shape)) if row.output_shape else "unknown"),
        ("FLOPs", f"{row.flops:,}" if row.flops is not None else "unknown"),
    ]
    if row.buffers:
        facts.insert(2, ("buffers", f"{row.buffers:,} elements"))
    if row.uninitialized:
        facts.insert(0, ("", "uninitialized: shapes unknown until the first forward pass"))
    return facts


def _tensor(tensor: TensorRow) -> str:
    shape = "×".join(map(str, tensor.shape)) or "scalar" if tensor.shape is not None else "shape unknown"
    words = f"{shape} {tensor.dtype} {byte_size(tensor.bytes)}"
    if not tensor.persistent:
        words += ", not saved"
    return words + (", trained" if tensor.trainable else "")


def histogram_text(histograms: Sequence[WeightHistogram], source: str, height: int = 4) -> Text:
    """Draw the distribution of each tensor's values.

    Args:
        histograms: one histogram per tensor.
        source: origin of the weights.
        height: height of each plot in lines.
    """
    text = Text(f"weights {printable(source)}", style="bold")
    for entry in histograms:
        text.append(f"\n{printable(entry.name)}", "").append(
            f"  mean {figure(entry.mean, 3)}  std {figure(entry.std, 3)}", "dim"
        )
        if entry.not_finite:
            text.append(f"  {entry.not_finite:,} of {entry.count:,} are NaN or infinite", "bold red")
        for line in histogram_lines(entry.bins, height):
            text.append(f"\n{line}", "bright_blue")
        low, high = figure(entry.smallest, 3), figure(entry.largest, 3)
        text.append(f"\n{low}{high:>{max(1, len(entry.bins) - len(low))}}", "dim")
    return text


def gradient_text(steps: Sequence[int], gradients: Sequence[float], ratios: Sequence[float], width: int) -> Text:
    """Describe a module's gradients in a run; empty if none were recorded."""
    text = Text()
    if not steps:
        return text
    text.append(f"gradients at step {steps[-1]:,}", "bold")
    for name, values in (("norm", gradients), ("update / weights", ratios)):
        text.append(f"\n{name:<17}", "dim").append(f"{figure(values[-1], 3):>9} ")
        text.append(curve_line(values, max(10, width - 28)), "green")
    return text
