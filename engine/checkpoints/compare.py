"""Two checkpoints side by side: their settings, their results, and how far their weights lie apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.changed_settings import changed_settings
from ..config.file import parse_config
from ..errors import ConfigError
from ..machine.torch_import import torch_failure
from ..runs.saving.checkpoint import load_tensors
from ..tensor_files.checkpoint_file import CheckpointReport, inspect_checkpoint
from .export import weight_names


@dataclass(frozen=True)
class ModuleDistance:
    """Distance between the weights of a module in two checkpoints.

    Attributes:
        module: its path; empty for the model itself.
        elements: numbers compared.
        distance: Euclidean norm of the difference.
        relative: distance relative to the first norm; infinite if only that norm is 0.
    """

    module: str
    elements: int
    distance: float
    relative: float


@dataclass(frozen=True)
class Comparison:
    """Two checkpoints side by side.

    Attributes:
        settings: dotted keys whose values differ, with both values; empty if one has no config.
        metrics: names of the metrics of either, with both values; None if one does not have it.
        modules: every module with weights of the same names and shapes, in the first one's order; none where torch
            can't be imported.
        only_first: weights that the other lacks or has in a different shape.
        only_second: likewise.
        note: why the settings are not compared; empty when they are.
        weights_note: why the weights are not compared; empty when they are.
    """

    settings: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[float | None, float | None]]
    modules: list[ModuleDistance]
    only_first: list[str]
    only_second: list[str]
    note: str = ""
    weights_note: str = ""


def compare_checkpoints(first: Path, second: Path) -> Comparison:
    """Compare two checkpoint files, of torchdeck or of other programs.

    Raises:
        CheckpointError: one can't be read or holds no weights.
    """
    one, other = inspect_checkpoint(first), inspect_checkpoint(second)
    settings, note = _settings(one, other)
    names, others = weight_names(one), weight_names(other)
    shapes = {tensor.name: tensor.shape for tensor in one.tensors}
    other_shapes = {tensor.name: tensor.shape for tensor in other.tensors}
    shared = [name for name in names if name in others and shapes[names[name]] == other_shapes[others[name]]]
    failure = torch_failure()
    return Comparison(
        settings=settings,
        metrics={name: (one.metrics.get(name), other.metrics.get(name)) for name in {**one.metrics, **other.metrics}},
        modules=[] if failure else _distances(first, second, {name: (names[name], others[name]) for name in shared}),
        only_first=[name for name in names if name not in shared],
        only_second=[name for name in others if name not in shared],
        note=note,
        weights_note=f"torch can't be imported: {failure}" if failure else "",
    )


def _settings(one: CheckpointReport, other: CheckpointReport) -> tuple[dict[str, tuple[Any, Any]], str]:
    configs = []
    for report in (one, other):
        if not report.config:
            return {}, f"{report.path.name} has no torchdeck config"
        try:
            configs.append(parse_config(report.config, report.path.name))
        except ConfigError as error:
            return {}, str(error)
    return changed_settings(*configs), ""


def _distances(first: Path, second: Path, names: dict[str, tuple[str, str]]) -> list[ModuleDistance]:
    import torch

    one = load_tensors(first, {in_first for in_first, _ in names.values()})
    other = load_tensors(second, {in_second for _, in_second in names.values()})
    sums: dict[str, list[float]] = {}
    for name, (in_first, in_second) in names.items():
        mine, theirs = one[in_first], other[in_second]
        if not (mine.is_floating_point() or mine.is_complex()):
            # Counts, such as a batch norm's of its batches, are not weights.
            continue
        wide = torch.complex128 if mine.is_complex() or theirs.is_complex() else torch.float64
        before, after = mine.to(wide), theirs.to(wide)
        totals = sums.setdefault(name.rpartition(".")[0], [0.0, 0.0, 0.0])
        totals[0] += before.numel()
        totals[1] += float((after - before).abs().square().sum())
        totals[2] += float(before.abs().square().sum())
    return [
        ModuleDistance(module, int(count), math.sqrt(difference), _share(difference, norm))
        for module, (count, difference, norm) in sums.items()
    ]


def _share(difference: float, norm: float) -> float:
    if not norm:
        return math.inf if difference else 0.0
    return math.sqrt(difference / norm)
