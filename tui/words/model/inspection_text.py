"""What an inspection of a model says besides its tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...drawing import marked, name
from ..figures import flops_per_sample

if TYPE_CHECKING:
    from torchdeck.engine.preflight.inspection import Inspection


def totals(inspection: Inspection) -> str:
    """The line at the tree's lower right: parameters, the frozen ones, and operations."""
    report = inspection.report
    frozen = f" · {report.params - report.trainable:,} frozen" if report.trainable != report.params else ""
    flops = f" · {flops_per_sample(report.flops)}" if report.flops else ""
    return f"{report.params:,} parameters{frozen}{flops}"


def remarks(inspection: Inspection, freeze: Sequence[str], width: int) -> list[str]:
    """What has to be known of the inspection besides the tree, as lines of markup."""
    lines = []
    if freeze:
        lines.append(f"[$series-1]❄[/] [$text-muted]model.freeze =[/] {name(str(list(freeze)), max(8, width - 17))}")
    if inspection.report.error:
        lines += marked("[$error]✗[/]", inspection.report.error, width, "$error")[:4]
    if inspection.assumption:
        lines.append("[$warning]▲[/] input shape from the catalog, the data are missing: [b $key]1[/] shows why")
    return lines
