"""Sizes of timm's models, counted by torchdeck's module tree because timm ships no such table.

`python -m torchdeck.engine.models.timm_sizes` counts those of the installed timm that are missing in
`timm_sizes.csv`, and adds them; it prints those whose tree is not complete. Minutes for all; no weights are allocated.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass

from ..config import ModelConfig
from .libraries.timm_catalog import SIZES_FILE, TIMM_PREFIX, TimmSize, timm_modules, timm_sizes
from .module_tree import default_input_shape, inspect_model


@dataclass(frozen=True)
class Counted:
    """One model of timm.

    Attributes:
        name: timm's name.
        size: counts of the tree; None if the model couldn't be built.
        problem: why the tree is not complete; empty when it is.
    """

    name: str
    size: TimmSize | None
    problem: str


def count(name: str) -> Counted:
    """Build one of timm's models without its weights, and count."""
    try:
        config = ModelConfig(name=f"{TIMM_PREFIX}{name}")
        report, shape = inspect_model(config), default_input_shape(config)
    except Exception as error:
        return Counted(name, None, f"{type(error).__name__}: {error}")
    gflops = None if report.error else round((report.flops or 0) / 1e9, 4)
    return Counted(name, TimmSize(report.params, gflops, shape[-1]), report.error or "")


def main() -> None:
    """Add the models that are missing in the table."""
    known = dict(timm_sizes())
    for name in timm_modules():
        if name not in known:
            counted = count(name)
            if counted.problem:
                print(f"{name}: {counted.problem}", file=sys.stderr, flush=True)
            if counted.size is not None:
                known[name] = counted.size
    with SIZES_FILE.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "params", "gflops", "size"])
        for name, size in sorted(known.items()):
            rows.writerow([name, size.params, "" if size.gflops is None else f"{size.gflops:g}", size.image_size])


if __name__ == "__main__":
    main()
