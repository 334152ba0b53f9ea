"""Check each transform of a pipeline alone: whether it is valid, and whether it is batched."""

from __future__ import annotations

from collections.abc import Sequence

from ...config import Component
from ...errors import TorchdeckError
from ..batched.batch_plan import Unbatched, plan_batches
from ..transforms.mixing import make_mixes, mixes_batches
from ..transforms.pipeline import make_transform
from .findings import StepTier


def step_tiers(specs: Sequence[Component], where: str) -> list[StepTier]:
    """What is to be said of each step, without any data.

    Args:
        specs: the pipeline.
        where: the config's key, such as "data.train_transforms".
    """
    errors = [_error_of(spec, f"{where}[{position}]") for position, spec in enumerate(specs)]
    if not any(errors):
        try:
            make_mixes(specs, where)
        except TorchdeckError as error:
            position = next(position for position, spec in enumerate(specs) if mixes_batches(spec))
            errors[position] = str(error)
    if any(errors):
        return [StepTier(error, "") for error in errors]
    return _tiers(specs)


def _error_of(spec: Component, where: str) -> str:
    try:
        make_transform(spec, where)
    except TorchdeckError as error:
        return str(error)
    return ""


def _tiers(specs: Sequence[Component]) -> list[StepTier]:
    """Steps are looked at as the ends of ever longer pipelines; what is wrong in one is wrong in all after it."""
    tiers: list[StepTier] = []
    sound: list[Component] = []
    baked = 0
    for spec in specs:
        if mixes_batches(spec):
            tiers.append(StepTier("", "on the whole batch", is_batched=True))
            continue
        plan = plan_batches([*sound, spec])
        if isinstance(plan, Unbatched):
            tiers.append(StepTier("", f"per sample: {plan.reason}"))
            continue
        sound.append(spec)
        tiers.append(StepTier("", "once, when decoded" if len(plan.baked) > baked else "batched", is_batched=True))
        baked = len(plan.baked)
    if all(tier.is_batched for tier in tiers):
        return tiers
    with_others = StepTier("", "per sample, with the others")
    return [
        with_others if tier.is_batched and not mixes_batches(spec) else tier
        for tier, spec in zip(tiers, specs, strict=True)
    ]
