"""All transforms that can stand in a pipeline, with their parameters and how they are computed."""

from __future__ import annotations

from ..transforms.entries import TransformEntry, transform_entry
from ..transforms.mixing import MIXES
from ..transforms.pipeline import transform_classes, transform_parameters


def list_transforms() -> list[TransformEntry]:
    """Every transform of torchvision that a pipeline can name, sorted."""
    from ..batched.batch_plan import BATCHED

    return [
        transform_entry(name, cls, transform_parameters(cls), batched=name in BATCHED or name in MIXES)
        for name, cls in sorted(transform_classes().items())
    ]
