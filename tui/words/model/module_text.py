"""A model's modules for the model pane: rows of the tree, and one module in lines of markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchdeck.engine.shapes import shape_words, tensor_words

from ...drawing import escape, left, name, pair, prose, right, rule, trace
from ...plain_text import printable
from ...widgets.charts.histogram import histogram_lines
from ...widgets.modules.module_columns import kind_tone
from ...widgets.modules.module_tree import ModuleTreeRow
from ..figures import byte_size, figure

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
            output=shape_words(row.output_shape) if row.output_shape else "",
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


_LABEL = 10
_TENSOR = 18
_BLOCKS = 3  # lines of a distribution


def module_lines(row: ModuleRow, report: ModelReport, width: int) -> list[str]:
    """One module in short: where and what it is, its tensors, and what it computes.

    Args:
        row: row of the module.
        report: report of its model.
        width: cells of a line.
    """
    above, _, last = row.path.rpartition(".")
    path = f"[$text-muted]{name(above)}.[/]" if above else ""
    lines = [f"{path}[b]{name(last) or 'the whole model'}[/]  [{kind_tone(row.type)}]{name(row.type)}[/]"]
    if row.alias_of:
        lines.append(f"[$warning]⇄ the same module as {name(row.alias_of)}[/]")
    if row.extra:
        lines.append(pair("arguments", name(row.extra, max(8, width - _LABEL - 1)), _LABEL))
    for label, value, note in _facts(row, report):
        lines.append(pair(label, value, _LABEL, note=note, room=width))
    for tensor in (*row.parameters, *row.own_buffers)[:4]:
        shape, rest = _tensor(tensor)
        lines.append(pair(tensor.name, f"[b]{shape}[/]", _LABEL, note=rest, room=width))
    lines += [f"[$warning]⇄ {name(shared)}[/]" for shared in row.shared]
    return lines


def inspected_lines(row: ModuleRow, report: ModelReport, width: int) -> list[str]:
    """One module in full: every tensor, plain tensor attributes too, how to get it, and its whole docstring."""
    lines = module_lines(row, report, width)
    lines += ["", f"[$text-muted]model.get_submodule[/]({name(repr(row.path))})"]
    tensors = (
        ("Parameters", row.parameters),
        ("Buffers", row.own_buffers),
        ("Plain tensor attributes: not moved with the model, in no checkpoint", row.own_attributes),
    )
    for title, entries in tensors:
        if entries:
            lines += ["", rule(title, width)]
        for tensor in entries:
            shape, rest = _tensor(tensor)
            lines.append(f"{left(tensor.name, _TENSOR)} [b]{shape}[/]  [$text-muted]{name(rest)}[/]")
    if text := report.docstrings.get(row.type):
        lines += ["", rule(f"Docstring of {row.type}", width)]
        for line in text.splitlines():
            # What is indented or drawn keeps its lines.
            lines += [escape(printable(line))] if line.startswith((" ", ">", ".")) else prose(line, width) or [""]
    return lines


def _facts(row: ModuleRow, report: ModelReport) -> list[tuple[str, str, str]]:
    """Label, value and note of each fact."""
    below = f"{row.own_params:,} of its own" if row.own_params != row.params else ""
    share = f"{row.params / report.params:.1%}" if report.params and row.params else ""
    frozen = row.params - row.trainable
    facts = []
    if row.uninitialized:
        facts.append(("", "[$warning]? shapes unknown until the first forward pass[/]", ""))
    facts.append(("parameters", f"[b]{row.params:,}[/]", ", ".join(filter(None, (share, below)))))
    if row.params:
        trained = f"[b]{row.trainable:,}[/]" if row.trainable else "[$series-1]❄ frozen[/]"
        facts.append(("trained", trained, f"{frozen:,} frozen" if frozen and row.trainable else ""))
    if row.buffers:
        facts.append(("buffers", f"{row.buffers:,}", "elements"))
    ran = "" if row.calls == 1 else f"{row.calls:,} calls" if row.calls else "not run"
    output = shape_words(row.output_shape) if row.output_shape else "unknown"
    facts.append(("output", f"[b]{output}[/]", ran if report.error is None or row.calls else "unknown calls"))
    facts.append(("FLOPs", f"[b]{row.flops:,}[/]" if row.flops is not None else "unknown", "per sample"))
    if not row.training:
        facts.append(("mode", "[$warning]eval[/]", ""))
    return facts


def _tensor(tensor: TensorRow) -> tuple[str, str]:
    """Shape and the rest of a tensor."""
    shape = tensor_words(tensor.shape) if tensor.shape is not None else "shape unknown"
    words = f"{tensor.dtype} · {byte_size(tensor.bytes)}"
    words += "" if tensor.persistent else " · not saved"
    return shape, words + (" · trained" if tensor.trainable else "")


def weight_lines(histograms: Sequence[WeightHistogram], source: str, width: int) -> list[str]:
    """The distribution of each tensor's values.

    Args:
        histograms: one histogram per tensor.
        source: origin of the weights.
        width: cells of a line.
    """
    lines = [f"[$text-muted]weights {name(source)}[/]"]
    for entry in histograms:
        label = f"[b]{name(entry.name)}[/]  [$text-muted]mean[/] {figure(entry.mean, 3)}"
        lines.append(f"{label}  [$text-muted]σ[/] [b]{figure(entry.std, 3)}[/]")
        if entry.not_finite:
            lines.append(f"[b $error]✗ {entry.not_finite:,} of {entry.count:,} are NaN or infinite[/]")
        bins = _merged(entry.bins, width)
        lines += [f"[$series-1]{line}[/]" for line in histogram_lines(bins, _BLOCKS)]
        low, high = figure(entry.smallest, 3), figure(entry.largest, 3)
        lines.append(f"[$text-disabled]{low}{high:>{max(1, len(bins) - len(low))}}[/]")
    return lines


def _merged(bins: Sequence[int], width: int) -> list[int]:
    """Bins in at most `width` cells: adjacent ones are added until they fit."""
    each = -(-len(bins) // max(1, width))
    return [sum(bins[at : at + each]) for at in range(0, len(bins), each)]


def gradient_lines(steps: Sequence[int], gradients: Sequence[float], ratios: Sequence[float], width: int) -> list[str]:
    """A module's gradients in a run; empty if none were recorded."""
    if not steps:
        return []
    lines = [f"[$text-muted]gradients at step[/] [b]{steps[-1]:,}[/]"]
    for label, values in (("norm", gradients), ("update", ratios)):
        drawn = trace(_logs(values), max(4, width - 22), 1, "$series-4")[0]
        lines.append(f"[$text-muted]{left(label, _LABEL)}[/] [b]{right(figure(values[-1], 3), 9)}[/]  {drawn}")
    return lines


def gradient_table(histories: Sequence[tuple[str, Sequence[float], Sequence[float], bool]], width: int) -> list[str]:
    """Gradients of several modules: norm, update in thousandths of the weights, and the trend.

    Args:
        histories: path, gradient norms, update ratios, and whether it is trained, of each module.
        width: cells of a line.
    """
    longest = min(24, max((len(path) for path, *_ in histories), default=6))
    lines = [f"[$text-disabled]{left('module', longest)} {right('norm', 8)} {right('update', 9)}  trend[/]"]
    for path, norms, ratios, is_trained in histories:
        if not is_trained:
            lines.append(f"{left(path, longest)} [$series-1]{right('❄', 8)}[/]")
        elif not norms:
            lines.append(f"{left(path, longest)} [$text-disabled]{right('–', 8)}[/]")
        else:
            tone = "$warning" if ratios[-1] > 0.01 else "$text"
            drawn = trace(_logs(norms), max(0, width - longest - 21), 1, "$series-4")[0]
            update = right(f"{ratios[-1] * 1000:.2g} ‰", 9)
            lines.append(f"{left(path, longest)} {right(figure(norms[-1], 3), 8)} [{tone}]{update}[/]  {drawn}")
    return lines


def _logs(values: Sequence[float]) -> list[float]:
    return [math.log10(value) if value > 0 else math.nan for value in values]
