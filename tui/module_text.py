"""A model's modules as the model pane shows them: rows of the tree, and one module in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.widgets.module_tree import ModuleTreeRow

if TYPE_CHECKING:
    from engine.models.tree import ModelReport, ModuleRow


def tree_rows(report: ModelReport) -> list[ModuleTreeRow]:
    """The rows of the tree from those of the report."""
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
            # What did not run because the forward stopped before it is not known.
            calls=row.calls if row.calls or report.error is None else None,
            mode="train" if row.training else "eval",
            is_shared=bool(row.alias_of or row.shared),
            is_uninitialised=row.uninitialised,
        )
        for row in report.modules
    ]


def _note(row: ModuleRow) -> str:
    if row.alias_of:
        return f"= {row.alias_of}"
    return ", ".join([*row.shared, row.extra]) if row.shared else row.extra
