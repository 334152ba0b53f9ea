"""Record a run's gradient norms while it trains, and raise an alert when something is wrong."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from ...runs.writer import RunWriter
from ..compute.probes import GradientLook, GradientProbe

Problem = Literal["non-finite", "exploding", "vanishing"]

# An alert needs the same finding in this many consecutive records. A GradScaler finds its factor by overflowing.
_LOOKS: dict[Problem, int] = {"non-finite": 1, "exploding": 2, "vanishing": 5}
_LOOKS_WITH_SCALER = 5
# Exploding: above the floor, and above this many times the median of the module's newest records.
_EXPLODING_FLOOR, _EXPLODING_FACTOR = 1.0, 10.0
_HISTORY, _NEEDED_HISTORY = 20, 5
# Vanishing: the gradient against the weights. A float32 weight of norm 1 does not change below about 1e-7 of it.
_VANISHING_RATIO = 1e-7
_NAMED = 3


@dataclass(frozen=True)
class GradientAlert:
    """Something that is wrong since this look.

    Attributes:
        problem: kind of the problem.
        step: step of the record.
        modules: paths, in the order of the model.
        text: message of the alert.
    """

    problem: Problem
    step: int
    modules: list[str]
    text: str


@dataclass
class _Module:
    """Earlier findings at one module."""

    newest: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    on_end: dict[Problem, int] = field(default_factory=dict)


class GradientAlerts:
    """Finds non-finite, exploding and vanishing gradients in successive looks; says each once until it is over."""

    def __init__(self, paths: Sequence[str], *, has_scaler: bool) -> None:
        self._paths = list(paths)
        self._modules = [_Module() for _ in paths]
        self._needed = {**_LOOKS, "non-finite": _LOOKS_WITH_SCALER} if has_scaler else dict(_LOOKS)

    def look(self, look: GradientLook) -> list[GradientAlert]:
        """Take one look over and return what is newly wrong."""
        alerts = []
        for problem in self._needed:
            found = [
                index for index, module in enumerate(self._modules) if self._becomes(problem, module, look, index)
            ]
            if found:
                alerts.append(self._alert(problem, look, found))
        for module, norm in zip(self._modules, look.gradient, strict=True):
            if norm is not None and math.isfinite(norm):
                module.newest.append(norm)
        return alerts

    def _becomes(self, problem: Problem, module: _Module, look: GradientLook, index: int) -> bool:
        """Whether a problem has been there for as many looks as an alert needs, and not for more."""
        norm = look.gradient[index]
        has_it = norm is not None and _has(problem, norm, look.weight[index], module.newest)
        module.on_end[problem] = module.on_end.get(problem, 0) + 1 if has_it else 0
        return module.on_end[problem] == self._needed[problem]

    def _alert(self, problem: Problem, look: GradientLook, found: list[int]) -> GradientAlert:
        paths = [self._paths[index] for index in found]
        shown = ", ".join(path or "the model" for path in paths[:_NAMED])
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        norm = look.gradient[found[0]]
        before = self._modules[found[0]].newest
        usual = f", {statistics.median(before):.3g} before" if before and problem == "exploding" else ""
        words = {
            "non-finite": "non-finite gradients",
            "exploding": "gradients explode",
            "vanishing": "gradients vanish",
        }[problem]
        return GradientAlert(
            problem, look.step, paths, f"{words} in {shown}{more} (norm {norm:.3g}{usual}) at step {look.step:,}"
        )


def _has(problem: Problem, norm: float, weight: float, newest: deque[float]) -> bool:
    if problem == "non-finite":
        return not math.isfinite(norm)
    if problem == "exploding":
        usual = statistics.median(newest) if len(newest) >= _NEEDED_HISTORY else math.inf
        return math.isfinite(norm) and norm > max(_EXPLODING_FLOOR, _EXPLODING_FACTOR * usual)
    return weight > 0 and norm < _VANISHING_RATIO * weight


class GradientWatch:
    """Records a run's gradient norms every N steps in the run's directory, with alerts."""

    def __init__(self, model: nn.Module, every: int, *, has_scaler: bool) -> None:
        """Watch a model whose freeze rules are applied.

        Args:
            model: the model that is trained.
            every: optimizer steps from look to look; 0 for none.
            has_scaler: whether the run has a GradScaler.
        """
        self._every = every
        self._probe = GradientProbe(model)
        self._alerts = GradientAlerts(self._probe.paths, has_scaler=has_scaler)
        self._is_layout_written = False

    def due(self, step: int) -> GradientProbe | None:
        """The probe for the step that makes `step` steps done, if it is to be looked at."""
        if not self._every or step % self._every:
            return None
        self._probe.step = step
        return self._probe

    def write(self, run: RunWriter) -> None:
        """Write the looks since the last call, and an event for each alert. Waits for the device if there are any."""
        for look in self._probe.take():
            if not self._is_layout_written:
                self._is_layout_written = True
                run.probe({"kind": "layout", "paths": self._probe.paths})
            run.probe(
                {
                    "kind": "gradients",
                    "step": look.step,
                    "gradient": [_short(norm) for norm in look.gradient],
                    "weight": [_short(norm) for norm in look.weight],
                    "update": [_short(norm) for norm in look.update],
                }
            )
            for alert in self._alerts.look(look):
                run.event(
                    "gradients", problem=alert.problem, step=alert.step, modules=alert.modules[:100], text=alert.text
                )


def _short(norm: float | None) -> float | None:
    """Four digits say enough."""
    return norm if norm is None or not math.isfinite(norm) else float(f"{norm:.4g}")
