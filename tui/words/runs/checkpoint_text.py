"""The content of a checkpoint, and its comparison with the draft, as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from torchdeck.engine.plurals import plural
from torchdeck.engine.shapes import tensor_words

from ...drawing import UNKNOWN, escape, name
from ...plain_text import printable
from ...widgets.table import Column
from ..figures import byte_size, figure
from ..metric_text import metric_text, metric_title

if TYPE_CHECKING:
    from torchdeck.engine.checkpoints.compatibility import CheckpointStanding
    from torchdeck.engine.tensor_files.checkpoint_file import CheckpointReport
    from torchdeck.engine.tensor_files.object_tree import TensorInfo

_SHOWN = 8


def report_text(report: CheckpointReport, *, has_title: bool = False) -> str:
    """Summarize a file: format, training progress, content, and objects that can't be loaded.

    Args:
        report: what is in the file.
        has_title: whether the file is named above the text.
    """
    lines = [] if has_title else [f"[b]{name(str(report.path))}[/]"]
    total = sum(tensor.bytes for tensor in report.tensors)
    words = f"{report.format}, {byte_size(report.bytes)}, {len(report.tensors):,} tensors of {byte_size(total)}"
    for what, value in (("epoch", report.epoch), ("step", report.step)):
        if value is not None:
            words += f", {what} {value:,}"
    lines.append(name(words))
    if report.metrics:
        shown = (f"{metric_title(key)} {metric_text(key, value)}" for key, value in report.metrics.items())
        lines.append(name(", ".join(shown)))
    keys = ", ".join(name(key, 60) for key in report.keys[:_SHOWN])
    more = f" and {len(report.keys) - _SHOWN:,} more" if len(report.keys) > _SHOWN else ""
    if keys:
        lines.append(f"[$text-muted]keys: {keys}{more}[/]")
    if report.foreign:
        lines.append(f"[$warning]{escape(foreign_words(report))}[/]")
    return "\n".join(lines)


def foreign_words(report: CheckpointReport) -> str:
    """Describe the objects that only code could rebuild, and what can be loaded without it."""
    names = ", ".join(printable(each, 60) for each in report.foreign[:4])
    more = f" and {len(report.foreign) - 4} more" if len(report.foreign) > 4 else ""
    root = report.values.get("(the whole file)")
    if isinstance(root, str):
        kind = printable(root.strip("<>"), 80)
        return (
            f"a pickled model, {kind}: rebuilding it would run code that the file names, so torchdeck does not do it. "
            f"Its {plural(len(report.tensors), 'tensor')} can be loaded into a model or exported"
        )
    return f"holds objects of {names}{more}: these are not loaded, the tensors can be"


@dataclass(frozen=True)
class TensorRow:
    """What a line of the table of tensors is made from: the tensor, and its norm; None until it was measured."""

    tensor: TensorInfo
    norm: float | None = None


def _tensor_name(row: TensorRow, width: int) -> str:
    """A name that is too long loses its start, since its end differs from its neighbors."""
    shown = printable(row.tensor.name)
    if cell_len(shown) > width:
        shown = "…" + set_cell_size(shown[-width + 1 :], width - 1).rstrip()
    return escape(shown)


def _tensor_norm(row: TensorRow, width: int) -> str:
    if row.norm is None:
        return UNKNOWN
    return figure(row.norm) if math.isfinite(row.norm) else f"[$error]✗ {row.norm}[/]"


TENSOR_COLUMNS: tuple[Column[TensorRow], ...] = (
    Column("tensor", "tensor", 20, _tensor_name, is_left=True, is_wide=True),
    Column("shape", "shape", 15, lambda row, width: escape(tensor_words(row.tensor.shape))),
    Column("dtype", "dtype", 8, lambda row, width: f"[$text-muted]{escape(printable(row.tensor.dtype))}[/]", rank=1),
    Column("size", "size", 7, lambda row, width: f"[$text-muted]{byte_size(row.tensor.bytes)}[/]", rank=2),
    Column("norm", "norm", 9, _tensor_norm, rank=3),
)
"""Columns of the table of tensors."""


def standing_text(standing: CheckpointStanding) -> str:
    """Say whether a checkpoint can resume bit-exactly, where the draft differs, and its environment."""
    if standing.unknown:
        lines = [f"[$warning]? may not resume bit-exactly: {name(standing.unknown)}[/]"]
    elif standing.inexact:
        lines = ["[$warning]✗ can't resume bit-exactly[/]"]
        lines += [f"  [$warning]{name(reason)}[/]" for reason in standing.inexact]
    else:
        lines = ["[$success]✓ can resume bit-exactly[/]"]
    changed = standing.changed
    differ = f"{plural(len(changed), 'setting')} {'differs' if len(changed) == 1 else 'differ'} from your draft"
    lines.append(differ if changed else "same settings as your draft")
    for key, both in changed.items():
        values = " → ".join("–" if value is None else name(str(value), 60) for value in both)
        lines.append(f"  [$text-muted]{name(key)}: [/]{values}")
    words = ", ".join(f"{what} {value}" for what, value in standing.environment.items() if value not in ("", None))
    return "\n".join([*lines, f"[$text-muted]computed with {name(words)}[/]"])
