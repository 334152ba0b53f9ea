"""Read a run's records of its modules' gradient norms, as the file grows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...files.json_values import numbers_restored
from ...run_files import PROBES_FILE
from .line_tail import LineTail

# Looks kept in memory: at one every 50 steps, the newest 100,000 steps.
_MOST_LOOKS = 2000


@dataclass(frozen=True)
class GradientNorms:
    """Norms at one module or of several together.

    Attributes:
        gradient: norm of the gradient, before clipping; None if there was none.
        weight: norm of the trained weights.
        update: norm of the change of one step.
    """

    gradient: float | None
    weight: float
    update: float

    @property
    def update_ratio(self) -> float:
        """What a step changes, as a share of the weights; NaN when there are none."""
        return self.update / self.weight if self.weight > 0 else math.nan


@dataclass(frozen=True)
class GradientLook:
    """One look at all modules.

    Attributes:
        step: optimizer steps done.
        modules: norms of each module's own parameters by its path, in the order of the model.
    """

    step: int
    modules: dict[str, GradientNorms]

    @cached_property
    def whole(self) -> GradientNorms:
        """Norms of all modules together."""
        return together(list(self.modules.values()))

    def rolled_up(self) -> dict[str, GradientNorms]:
        """Norms of everything at and below every module, "" for the whole model."""
        inside: dict[str, list[GradientNorms]] = {"": list(self.modules.values())}
        for path, norms in self.modules.items():
            while path:
                inside.setdefault(path, []).append(norms)
                path = path.rpartition(".")[0]
        return {path: together(norms) for path, norms in inside.items()}


def together(norms: Sequence[GradientNorms]) -> GradientNorms:
    """The norms of several modules' parameters as of one vector."""
    gradients = [entry.gradient for entry in norms if entry.gradient is not None]
    return GradientNorms(
        math.hypot(*gradients) if gradients else None,
        math.hypot(*(entry.weight for entry in norms)),
        math.hypot(*(entry.update for entry in norms)),
    )


class GradientRecords:
    """Newest gradient records of one run, as of the last poll."""

    def __init__(self, run: Path) -> None:
        """Reader for the run in a directory; nothing is read yet."""
        self.looks: deque[GradientLook] = deque(maxlen=_MOST_LOOKS)
        self._tail = LineTail(run / PROBES_FILE)
        self._paths: list[str] = []

    def point_to(self, run: Path) -> None:
        """The run's directory was renamed: read on there."""
        self._tail.path = run / PROBES_FILE

    @property
    def has_more(self) -> bool:
        """Whether the last `poll` left records for the next one."""
        return self._tail.has_more

    def poll(self, max_bytes: int | None = None) -> bool:
        """Read what is new; one `stat` when nothing is. Lines that can't be understood are left out.

        Args:
            max_bytes: read about so much at most, the rest with the next calls; None for all.
        """
        if not self._tail.look():
            return False
        if self._tail.was_replaced:
            self.looks.clear()
        for record in self._tail.read(max_bytes):
            self._add(record)
        return True

    @property
    def newest(self) -> GradientLook | None:
        """The newest look; None before the first."""
        return self.looks[-1] if self.looks else None

    @property
    def whole_model(self) -> Sequence[tuple[int, GradientNorms]]:
        """Steps of the looks with the norms of all modules together, oldest first."""
        return [(look.step, look.whole) for look in self.looks]

    def history(self, path: str) -> tuple[list[int], list[float], list[float]]:
        """Steps, gradient norms and update ratios at and below a module; NaN where there was no gradient."""
        inside = [name for name in self._paths if not path or name == path or name.startswith(f"{path}.")]
        steps: list[int] = []
        gradients: list[float] = []
        ratios: list[float] = []
        for look in self.looks:
            norms = together([look.modules[name] for name in inside if name in look.modules])
            steps.append(look.step)
            gradients.append(math.nan if norms.gradient is None else norms.gradient)
            ratios.append(norms.update_ratio)
        return steps, gradients, ratios

    def _add(self, record: dict[str, Any]) -> None:
        kind = record.get("kind")
        if kind == "layout" and isinstance(record.get("paths"), list):
            self._paths = [str(path) for path in record["paths"]]
        elif kind == "gradients":
            gradient, weight, update = (_numbers(record.get(name)) for name in ("gradient", "weight", "update"))
            step, count = record.get("step"), len(self._paths)
            if isinstance(step, int) and len(gradient) == len(weight) == len(update) == count:
                norms = [
                    GradientNorms(of_gradient, of_weight or 0.0, of_update or 0.0)
                    for of_gradient, of_weight, of_update in zip(gradient, weight, update, strict=True)
                ]
                self.looks.append(GradientLook(step, dict(zip(self._paths, norms, strict=True))))


def _numbers(values: Any) -> list[float | None]:
    """A list of numbers, None for what is none."""
    if not isinstance(values, list):
        return []
    restored = [numbers_restored(value) for value in values]
    return [float(value) if isinstance(value, int | float) else None for value in restored]
