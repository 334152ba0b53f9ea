"""The plan of a run as text: for the verb and the screen of the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..plain_text import printable

if TYPE_CHECKING:
    from torchdeck.engine.preflight.plan import RunPlan


def plan_text(plan: RunPlan) -> Text:
    """Describe a plan, with a line per parameter group."""
    text = Text()
    steps = plan.steps_per_epoch * plan.epochs
    text.append(f"{plan.epochs:,} epochs of {plan.steps_per_epoch:,} steps = {steps:,} steps\n")
    text.append(f"loss {printable(plan.loss)}; optimizer {printable(plan.optimizer)}\n")
    if plan.rates_note:
        text.append(f"learning rate: {printable(plan.rates_note)}\n", style="yellow")
    for line in plan.groups:
        text.append(f"  {printable(line)}\n")
    for note in plan.notes:
        text.append(f"{printable(note)}\n", style="yellow")
    text.right_crop(1)
    return text
