"""How a pipeline of transforms is done on whole batches, where that gives what it does sample by sample.

Deterministic transforms that come first are done once, when a sample is decoded. Crops and flips become one gather of
windows (`engine.data.augment`). Scaling and Normalize are arithmetic on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.config import Component
from engine.data.transforms import is_plain_scaling, make_transform

_BAKED = frozenset({"Resize", "CenterCrop", "Pad", "Grayscale", "RGB"})
_SCALING = frozenset({"ToTensor", "ToDtype", "ConvertImageDtype"})
_IGNORED = frozenset({"ToImage", "PILToTensor", "ToPureTensor", "Identity"})
_FLIPS = frozenset({"RandomHorizontalFlip", "RandomVerticalFlip"})

BATCHED = _BAKED | _SCALING | _IGNORED | _FLIPS | {"RandomCrop", "Normalize"}


@dataclass(frozen=True)
class Flip:
    """A random flip. `slot` numbers its random draw."""

    axis: Literal["horizontal", "vertical"]
    probability: float
    slot: int


@dataclass(frozen=True)
class Crop:
    """A random crop after padding, with torchvision's RandomCrop's parameters. Uses two draws from `slot` on.

    Attributes:
        size: (height, width) of the result.
        padding: (left, top, right, bottom).
        pad_if_needed: whether images smaller than `size` are padded further.
        fill: what constant padding is made of.
        padding_mode: constant, edge, reflect or symmetric.
        slot: number of its first random draw.
    """

    size: tuple[int, int]
    padding: tuple[int, int, int, int]
    pad_if_needed: bool
    fill: Any
    padding_mode: str
    slot: int


@dataclass(frozen=True)
class BatchPlan:
    """A pipeline in the form that batches take.

    Attributes:
        baked: deterministic transforms of uint8 pixels, done once a sample.
        before: flips before the crop.
        crop: the crop, if there is one.
        after: flips after the crop.
        mean, std: of Normalize, in units of [0, 1] pixels; None without it.
    """

    baked: tuple[Component, ...] = ()
    before: tuple[Flip, ...] = ()
    crop: Crop | None = None
    after: tuple[Flip, ...] = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def is_random(self) -> bool:
        """Whether an epoch sees other pixels than the last one."""
        return bool(self.before or self.after or self.crop)

    @property
    def flips_horizontally(self) -> bool:
        """Whether some rows are read backwards."""
        return any(flip.axis == "horizontal" for flip in self.before + self.after)


@dataclass(frozen=True)
class Unbatched:
    """Why a pipeline is done sample by sample."""

    reason: str


def plan_batches(specs: Sequence[Component]) -> BatchPlan | Unbatched:
    """The batched form of a pipeline, or why there is none. The pipeline has passed `check_transforms`."""
    planner = _Planner()
    for slot, spec in enumerate(specs):
        reason = planner.add(spec, slot * 2)
        if reason:
            return Unbatched(reason)
    return planner.plan()


class _Planner:
    """Takes one transform after the other; each says why it can't be batched, or nothing."""

    def __init__(self) -> None:
        self._baked: list[Component] = []
        self._before: list[Flip] = []
        self._after: list[Flip] = []
        self._crop: Crop | None = None
        self._is_float = False
        self._normalize: Component | None = None

    def plan(self) -> BatchPlan:
        arguments = self._normalize.arguments if self._normalize else {}
        return BatchPlan(
            tuple(self._baked),
            tuple(self._before),
            self._crop,
            tuple(self._after),
            tuple(map(float, arguments["mean"])) if arguments else None,
            tuple(map(float, arguments["std"])) if arguments else None,
        )

    def add(self, spec: Component, slot: int) -> str:
        name = spec.name
        if name in _IGNORED:
            return ""
        if name in _BAKED:
            return self._add_baked(spec)
        if name in _SCALING:
            return self._add_scaling(spec)
        if name in _FLIPS:
            axis: Literal["horizontal", "vertical"] = "horizontal" if name == "RandomHorizontalFlip" else "vertical"
            flips = self._before if self._crop is None else self._after
            flips.append(Flip(axis, float(spec.arguments.get("p", 0.5)), slot))
            return ""
        if name == "RandomCrop":
            return self._add_crop(spec, slot)
        if name == "Normalize":
            if self._normalize is not None:
                return "a second Normalize has no batched form"
            self._normalize, self._is_float = spec, True
            return ""
        return f"{name} has no batched form"

    def _add_baked(self, spec: Component) -> str:
        if self._before or self._crop or self._is_float:
            return f"{spec.name} after a random transform or after scaling has no batched form"
        self._baked.append(spec)
        return ""

    def _add_scaling(self, spec: Component) -> str:
        if spec.name != "ToTensor" and not is_plain_scaling(spec):
            return f"{spec.name} to anything but float32 between 0 and 1 has no batched form"
        self._is_float = True
        return ""

    def _add_crop(self, spec: Component, slot: int) -> str:
        if self._crop is not None:
            return "a second RandomCrop has no batched form"
        transform: Any = make_transform(spec, "RandomCrop")
        left, right, top, bottom = transform.padding or (0, 0, 0, 0)
        pads = any((left, right, top, bottom)) or transform.pad_if_needed
        if isinstance(transform.fill, dict):
            return "RandomCrop with a fill for each type has no batched form"
        if pads and transform.padding_mode == "constant" and self._is_float and transform.fill not in (0, None):
            return "RandomCrop with a fill after scaling has no batched form"
        if pads and transform.padding_mode == "constant" and self._normalize is not None:
            return "RandomCrop with padding after Normalize has no batched form"
        flips = {flip.axis for flip in self._before}
        if ("horizontal" in flips and left != right) or ("vertical" in flips and top != bottom):
            return "RandomCrop with uneven padding after a flip has no batched form"
        height, width = transform.size
        self._crop = Crop(
            (height, width),
            (left, top, right, bottom),
            transform.pad_if_needed,
            transform.fill,
            transform.padding_mode,
            slot,
        )
        return ""


def fixed_size(plan: BatchPlan) -> bool:
    """Whether the baked transforms make images of any size equal in size."""
    for spec in reversed(plan.baked):
        if spec.name == "CenterCrop":
            return True
        if spec.name == "Resize":
            size = spec.arguments.get("size")
            return isinstance(size, list | tuple) and len(size) == 2
        if spec.name == "Pad":
            continue
    return False
