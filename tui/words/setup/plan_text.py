"""The plan of a run as lines of markup: for the verb and the screen of the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...drawing import name

if TYPE_CHECKING:
    from torchdeck.engine.preflight.plan import RunPlan


def plan_text(plan: RunPlan) -> str:
    """Describe a plan, with a line per parameter group."""
    steps = plan.steps_per_epoch * plan.epochs
    lines = [
        f"[b]{plan.epochs:,}[/] epochs of {plan.steps_per_epoch:,} steps = [b]{steps:,}[/] steps",
        f"loss {name(plan.loss)}; optimizer {name(plan.optimizer)}",
    ]
    if plan.rates_note:
        lines.append(f"[$warning]learning rate: {name(plan.rates_note)}[/]")
    lines += [f"  {name(line)}" for line in plan.groups]
    return "\n".join([*lines, *(f"[$warning]{name(note)}[/]" for note in plan.notes)])
