"""The names of timm's models, without importing timm, which would import torch and take seconds."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

TIMM_PREFIX = "timm/"
"""What stands before a model's own name in a config: `timm/resnet50`, `timm/resnet50.a1_in1k`."""

SIZES_FILE = Path(__file__).with_name("timm_sizes.csv")

_REGISTERED = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)


class TimmSize(NamedTuple):
    """Counts of torchdeck's module tree for a timm model.

    Attributes:
        params: parameters.
        gflops: billions of floating-point operations for one image; a multiply-add counts as two. None where the
            model can't be run without its weights.
        image_size: height and width of that image.
    """

    params: int
    gflops: float | None
    image_size: int


def is_timm(name: str) -> bool:
    """Whether a config's name means one of timm's models."""
    return name.startswith(TIMM_PREFIX)


@cache
def timm_modules() -> dict[str, str]:
    """The module that defines each model of the installed timm, by the model's name; empty when it isn't installed.

    Read from the text of timm's modules, as `register_model` decorates every function that makes a model.
    """
    package = find_spec("timm")
    if package is None or not package.submodule_search_locations:
        return {}
    folder = Path(package.submodule_search_locations[0]) / "models"
    found = {
        name: file.stem
        for file in folder.glob("*.py")
        for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))
    }
    return dict(sorted(found.items()))


@cache
def timm_sizes() -> dict[str, TimmSize]:
    """The known sizes of timm's models, by name, as `timm_sizes.py` beside this file counted them."""
    if not SIZES_FILE.exists():
        return {}
    with SIZES_FILE.open(encoding="utf-8", newline="") as file:
        return {
            row["name"]: TimmSize(
                int(row["params"]), float(row["gflops"]) if row["gflops"] else None, int(row["size"])
            )
            for row in csv.DictReader(file)
        }
