"""Each step of a pipeline by itself: whether it is right, and whether it is done to whole batches."""

from __future__ import annotations

from collections.abc import Sequence

from ...config import Component
from ...errors import TorchdeckError
from ..batched.batch_plan import Unbatched, plan_batches
from ..transforms.mixing import make_mixes, mixes_batches
from ..transforms.pipeline import make_transform
from .findings import StepLane


def step_lanes(specs: Sequence[Component], where: str) -> list[StepLane]:
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
        return [StepLane(error, "") for error in errors]
    return [StepLane("", lane) for lane in _lanes(specs)]


def _error_of(spec: Component, where: str) -> str:
    try:
        make_transform(spec, where)
    except TorchdeckError as error:
        return str(error)
    return ""


def _lanes(specs: Sequence[Component]) -> list[str]:
    """Steps are looked at as the ends of ever longer pipelines; what is wrong in one is wrong in all after it."""
    lanes: list[str] = []
    sound: list[Component] = []
    baked = 0
    for spec in specs:
        if mixes_batches(spec):
            lanes.append("on the whole batch")
            continue
        plan = plan_batches([*sound, spec])
        if isinstance(plan, Unbatched):
            lanes.append(f"sample by sample: {plan.reason}")
            continue
        sound.append(spec)
        lanes.append("once, when decoded" if len(plan.baked) > baked else "batched")
        baked = len(plan.baked)
    if any(lane.startswith("sample by sample") for lane in lanes):
        lanes = [
            lane if lane.startswith(("sample", "on the")) else "sample by sample, with the others" for lane in lanes
        ]
    return lanes
