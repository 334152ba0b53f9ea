"""Changes of a pipeline that take some thought: its counterpart for evaluation, measured channel statistics."""

from __future__ import annotations

from collections.abc import Sequence

from ...config import Component
from ...user_code import is_user_spec
from ..transforms.mixing import mixes_batches
from ..transforms.pipeline import as_component, check_transforms

# torchvision's models are evaluated so: the shorter side at 256 for a crop of 224.
_RESIZE_PER_CROP = 256 / 224

# All of their transforms are applied; RandomOrder's in the order in which they stand.
_SEQUENCES = frozenset({"Compose", "RandomOrder"})

# Those that draw random numbers and whose names don't begin with "Random".
_RANDOM = frozenset(
    {
        "AugMix",
        "AutoAugment",
        "ColorJitter",
        "CutMix",
        "ElasticTransform",
        "GaussianBlur",
        "GaussianNoise",
        "JPEG",
        "MixUp",
        "RandAugment",
        "ScaleJitter",
        "TrivialAugmentWide",
    }
)


def is_random(name: str) -> bool:
    """Whether a transform of torchvision draws random numbers."""
    return name.startswith("Random") or name in _RANDOM


def for_evaluation(specs: Sequence[Component], image_size: tuple[int, int] | None) -> tuple[list[Component], str]:
    """A pipeline's counterpart for evaluation, and a sentence that says what was left out or replaced.

    A random crop becomes the crop of the center, so that images keep the size that the model learns from; one of the
    image's own size, after padding, needs no counterpart.

    Args:
        specs: the train transforms.
        image_size: (height, width) of every image, None where they differ.

    Raises:
        ConfigError, UserCodeError: the train transforms are wrong.
    """
    check_transforms(specs, "data.train_transforms")
    kept: list[Component] = []
    left_out: list[str] = []
    replaced: list[str] = []
    resized = False
    for spec in specs:
        resized = resized or spec.name in ("Resize", "RandomResizedCrop", "RandomResize", "RandomShortestSize")
        if spec.name == "RandomResizedCrop":
            crop = _size(spec.arguments["size"])
            kept.append(Component.model_validate({"name": "Resize", "size": round(max(crop) * _RESIZE_PER_CROP)}))
            kept.append(Component.model_validate({"name": "CenterCrop", "size": spec.arguments["size"]}))
            replaced.append(f"{spec.name} by Resize and CenterCrop")
        elif spec.name == "RandomCrop" and (resized or _size(spec.arguments["size"]) != image_size):
            kept.append(Component.model_validate({"name": "CenterCrop", "size": spec.arguments["size"]}))
            replaced.append(f"{spec.name} by CenterCrop")
        elif spec.name in _SEQUENCES and not mixes_batches(spec):
            inner = [as_component(item, spec.name) for item in spec.arguments["transforms"]]
            inner_kept, _ = for_evaluation(inner, None)
            left_out += [each.name for each in inner if is_random(each.name)]
            kept += inner_kept
        elif mixes_batches(spec) or is_random(spec.name):
            left_out.append(spec.name)
        else:
            kept.append(spec)
    words = []
    if left_out:
        words.append(f"dropped (random): {', '.join(dict.fromkeys(left_out))}")
    if replaced:
        words.append(f"replaced: {', '.join(dict.fromkeys(replaced))}")
    own = [spec.name for spec in kept if is_user_spec(spec.name)]
    if own:
        words.append(f"kept (may be random): {', '.join(own)}")
    return kept, "; ".join(words) or "copied unchanged: nothing is random"


def with_normalize(specs: Sequence[Component], mean: Sequence[float], std: Sequence[float]) -> list[Component]:
    """A pipeline that normalizes by these channel statistics, rounded to four digits.

    They replace those of its first Normalize; without one, a Normalize is added at the end, before what mixes batches.
    """
    # A channel of one single value has no spread; dividing by 1 leaves it as it is.
    rounded = {"mean": [round(value, 4) for value in mean], "std": [round(value, 4) or 1.0 for value in std]}
    changed = list(specs)
    at = next((position for position, spec in enumerate(specs) if spec.name == "Normalize"), None)
    if at is not None:
        changed[at] = Component.model_validate({"name": "Normalize", **specs[at].arguments, **rounded})
    else:
        end = next((position for position, spec in enumerate(specs) if mixes_batches(spec)), len(specs))
        changed.insert(end, Component.model_validate({"name": "Normalize", **rounded}))
    return changed


def _size(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (int(value[0]), int(value[-1]))
