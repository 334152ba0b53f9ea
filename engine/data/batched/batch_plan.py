"""Plan a pipeline of transforms for whole batches, if that gives the same result as per sample.

Deterministic transforms that come first are done once, when a sample is decoded. Crops and flips that come next become
one gather of windows (`torchdeck.engine.data.batched.augment`). What follows is done step by step on the batch
(`torchdeck.engine.data.batched.batch_steps`), and scaling to floats and Normalize are arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...config import Component
from ..transforms.mixing import of_samples
from ..transforms.pipeline import as_component, is_plain_scaling, make_transform
from .batch_steps import BatchStep, FixedStep
from .step_specs import SLOTS, STEPS, NoBatchedForm, make_step

_FIXED = frozenset({"Resize", "CenterCrop", "Pad", "Grayscale", "RGB"})
_SCALING = frozenset({"ToTensor", "ToDtype", "ConvertImageDtype"})
_IGNORED = frozenset({"ToImage", "PILToTensor", "ToPureTensor", "Identity"})
_FLIPS = frozenset({"RandomHorizontalFlip", "RandomVerticalFlip"})

_CONTAINERS = frozenset({"Compose", "RandomApply", "RandomChoice", "RandomOrder"})
# More than any pipeline is long.
_NESTED_SLOTS = 1 << 20

BATCHED = _CONTAINERS | _FIXED | _SCALING | _IGNORED | frozenset(STEPS) | {"LinearTransformation", "Normalize"}


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
        fill: value of constant padding.
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
        baked: deterministic transforms of uint8 pixels, done once per sample.
        before: flips before the crop.
        crop: the crop, if there is one.
        after: flips after the crop.
        pixel_steps: done to uint8 batches, in order, after the crop and the flips.
        mean, std: of a Normalize that comes with scaling, in units of [0, 1] pixels; None without it.
        float_steps: done to float batches, in order, after scaling.
        names: names of the transforms among the steps.
    """

    baked: tuple[Component, ...] = ()
    before: tuple[Flip, ...] = ()
    crop: Crop | None = None
    after: tuple[Flip, ...] = ()
    pixel_steps: tuple[BatchStep, ...] = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    float_steps: tuple[BatchStep, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether batches are gathered as windows of padded images: crops and flips."""
        return bool(self.before or self.after or self.crop)

    @property
    def has_steps(self) -> bool:
        """Whether anything is done to a batch besides gathering and scaling."""
        return bool(self.names)

    @property
    def flips_horizontally(self) -> bool:
        """Whether some rows are read backwards."""
        return any(flip.axis == "horizontal" for flip in self.before + self.after)


@dataclass(frozen=True)
class Unbatched:
    """The reason why a pipeline runs per sample."""

    reason: str


def plan_batches(specs: Sequence[Component]) -> BatchPlan | Unbatched:
    """The batched form of a pipeline, or why there is none. The pipeline has passed `check_transforms`.

    What mixes whole batches at its end is left to `torchdeck.engine.data.transforms.mixing`.
    """
    planner = _Planner()
    try:
        for number, spec in enumerate(of_samples(specs)):
            planner.add(spec, number * SLOTS)
    except NoBatchedForm as error:
        return Unbatched(str(error))
    return planner.plan()


class _Planner:
    """Takes one transform after the other. Raises NoBatchedForm for what can't be batched."""

    def __init__(self) -> None:
        self._baked: list[Component] = []
        self._before: list[Flip] = []
        self._after: list[Flip] = []
        self._crop: Crop | None = None
        self._pixel_steps: list[BatchStep] = []
        self._float_steps: list[BatchStep] = []
        self._names: list[str] = []
        self._is_float = False
        self._normalize: Component | None = None

    def plan(self) -> BatchPlan:
        arguments = self._normalize.arguments if self._normalize else {}
        return BatchPlan(
            tuple(self._baked),
            tuple(self._before),
            self._crop,
            tuple(self._after),
            tuple(self._pixel_steps),
            tuple(map(float, arguments["mean"])) if arguments else None,
            tuple(map(float, arguments["std"])) if arguments else None,
            tuple(self._float_steps),
            tuple(self._names),
        )

    def add(self, spec: Component, slot: int) -> None:
        name = spec.name
        if name in _IGNORED:
            return
        if name == "Compose":
            for number, inner in enumerate(spec.arguments["transforms"]):
                self.add(as_component(inner, name), (slot + 1) * _NESTED_SLOTS + number * SLOTS)
            return
        if name == "LinearTransformation":
            self._is_float = True
            self._add_step(name, FixedStep(make_transform(spec, name)))
            return
        if name in _SCALING:
            if name != "ToTensor" and not is_plain_scaling(spec):
                raise NoBatchedForm(f"{name} to anything but float32 between 0 and 1 has no batched form")
            self._is_float = True
        elif name == "Normalize":
            self._add_normalize(spec)
        elif name in _FIXED:
            self._add_fixed(spec)
        elif name in _FLIPS and not self._names:
            axis: Literal["horizontal", "vertical"] = "horizontal" if name == "RandomHorizontalFlip" else "vertical"
            flips = self._before if self._crop is None else self._after
            flips.append(Flip(axis, float(spec.arguments.get("p", 0.5)), slot))
        elif name == "RandomCrop" and not self._names and self._gathers(make_transform(spec, name)):
            self._crop = _crop(make_transform(spec, name), slot)
        else:
            self._add_step(name, make_step(spec, slot, self._is_float))

    def _add_step(self, name: str, step: BatchStep) -> None:
        self._names.append(name)
        (self._float_steps if self._is_float else self._pixel_steps).append(step)

    def _add_fixed(self, spec: Component) -> None:
        if self._before or self._crop or self._names or self._is_float:
            self._add_step(spec.name, FixedStep(make_transform(spec, spec.name)))
        else:
            self._baked.append(spec)

    def _add_normalize(self, spec: Component) -> None:
        self._is_float = True
        if self._normalize is None and not self._float_steps:
            self._normalize = spec
        else:
            self._add_step(spec.name, FixedStep(make_transform(spec, spec.name)))

    def _gathers(self, transform: Any) -> bool:
        """Whether a crop may be cut out of images that were padded as uint8, before they are flipped and scaled."""
        left, right, top, bottom = transform.padding or (0, 0, 0, 0)
        pads = any((left, right, top, bottom)) or transform.pad_if_needed
        if self._crop is not None or isinstance(transform.fill, dict):
            return False
        changed = self._normalize is not None or (self._is_float and transform.fill not in (0, None))
        if pads and transform.padding_mode == "constant" and changed:
            return False
        flips = {flip.axis for flip in self._before}
        return not (("horizontal" in flips and left != right) or ("vertical" in flips and top != bottom))


def _crop(transform: Any, slot: int) -> Crop:
    height, width = transform.size
    left, right, top, bottom = transform.padding or (0, 0, 0, 0)
    return Crop(
        (height, width),
        (left, top, right, bottom),
        transform.pad_if_needed,
        transform.fill,
        transform.padding_mode,
        slot,
    )


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
