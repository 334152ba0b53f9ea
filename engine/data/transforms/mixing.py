"""MixUp and CutMix: whole batches mixed with themselves, as the last thing that happens to a training batch.

They stand at the end of `data.train_transforms` and are written as torchvision's: alone, or inside RandomChoice (one
of both) or RandomApply (now and then). Sample n is mixed with sample n - 1 of its batch, the first with the last, and
a batch's parameters follow from (seed, epoch, number of the batch), so they are the same in every tier and after a
resume. Targets become shares of the classes, float32 [B, classes].
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ...config import Component
from ...errors import ConfigError
from ..datasets.splits import Split
from ..datasets.targets import kind_of
from ..random_keys import combine

if TYPE_CHECKING:
    pass

MIXES = frozenset({"MixUp", "CutMix"})
_STREAM = 0x317


@dataclass(frozen=True)
class Mix:
    """Mixing ratio of each sample.

    Attributes:
        share: weight of its target, between 0 and 1; without a box also the weight of its pixels.
        box: (left, top, right, bottom) in pixels, whose inside comes from the other sample; None for a blend.
    """

    share: float
    box: tuple[int, int, int, int] | None = None

    def of_inputs(self, inputs: Tensor) -> Tensor:
        """Float inputs [B, …], mixed."""
        if self.box is None:
            return self._blended(inputs)
        left, top, right, bottom = self.box
        mixed = inputs.clone()
        mixed[..., top:bottom, left:right] = inputs[..., top:bottom, left:right].roll(1, 0)
        return mixed

    def of_targets(self, shares: Tensor) -> Tensor:
        """Shares of the classes, float [B, classes], mixed."""
        return self._blended(shares)

    def _blended(self, values: Tensor) -> Tensor:
        return values.roll(1, 0).mul_(1.0 - self.share).add_(values * self.share)


class MixStep(Protocol):
    """Draws what happens to a batch."""

    def draw(self, generator: random.Random, size: tuple[int, int]) -> list[Mix]:
        """The mixes of one batch, in order; none where it stays as it is. `size` is (height, width) of the inputs."""
        ...


@dataclass(frozen=True)
class MixUpStep:
    """MixUp: a blend, whose share is of Beta(alpha, alpha)."""

    alpha: float

    def draw(self, generator: random.Random, size: tuple[int, int]) -> list[Mix]:
        """One blend."""
        return [Mix(generator.betavariate(self.alpha, self.alpha))]


@dataclass(frozen=True)
class CutMixStep:
    """CutMix: a box about a uniform pixel; its share of the area is of Beta(alpha, alpha), the border cuts it."""

    alpha: float

    def draw(self, generator: random.Random, size: tuple[int, int]) -> list[Mix]:
        """One box; the share of the targets is that of the pixels that stay."""
        height, width = size
        side = 0.5 * math.sqrt(1.0 - generator.betavariate(self.alpha, self.alpha))
        across, down = int(side * width), int(side * height)
        x, y = generator.randrange(width), generator.randrange(height)
        left, right = max(x - across, 0), min(x + across, width)
        top, bottom = max(y - down, 0), min(y + down, height)
        return [Mix(1.0 - (right - left) * (bottom - top) / (width * height), (left, top, right, bottom))]


@dataclass(frozen=True)
class ChosenMix:
    """RandomChoice: one of several, by weight."""

    steps: tuple[MixStep, ...]
    weights: tuple[float, ...]

    def draw(self, generator: random.Random, size: tuple[int, int]) -> list[Mix]:
        """What the chosen one draws."""
        return generator.choices(self.steps, self.weights)[0].draw(generator, size)


@dataclass(frozen=True)
class MixSequence:
    """RandomApply: all of several, one after the other, with a probability. Of nothing it is Identity."""

    steps: tuple[MixStep, ...]
    probability: float

    def draw(self, generator: random.Random, size: tuple[int, int]) -> list[Mix]:
        """What all of them draw, or nothing."""
        if generator.random() >= self.probability:
            return []
        return [mix for step in self.steps for mix in step.draw(generator, size)]


def mixes_batches(spec: Component) -> bool:
    """Whether a transform mixes batches: MixUp, CutMix, or a container that names one."""
    return spec.name in MIXES or any(mixes_batches(inner) for inner in inner_transforms(spec))


def of_samples(specs: Sequence[Component]) -> list[Component]:
    """The part of a pipeline that is done to samples."""
    return [spec for spec in specs if not mixes_batches(spec)]


def make_mixes(specs: Sequence[Component], where: str) -> tuple[MixStep, ...]:
    """The steps at a pipeline's end that mix batches.

    Args:
        specs: the whole pipeline; names and arguments have passed `check_transforms`.
        where: the config's key, such as "data.train_transforms".

    Raises:
        ConfigError: one in an evaluation pipeline, one that isn't at the end, one in a container of other things.
    """
    steps: list[MixStep] = []
    for position, spec in enumerate(specs):
        place = f"{where}[{position}]"
        if not mixes_batches(spec):
            if steps:
                raise ConfigError(
                    f"{place}: {spec.name} comes after {specs[position - 1].name}, which mixes whole batches and must "
                    f"be last: move {specs[position - 1].name} to the end of {where}"
                )
        elif "eval" in where:
            raise ConfigError(
                f"{place}: {spec.name} mixes samples and their targets, which would distort the model's scores: "
                "use it only at the end of data.train_transforms"
            )
        else:
            steps.append(_make_mix(spec, place))
    return tuple(steps)


def check_mixing(specs: Sequence[Component], split: Split) -> None:
    """Check that a training split's batches can be mixed, where its pipeline asks for it.

    Raises:
        ConfigError: inputs other than images, batches of a collate_fn, targets other than classes.
    """
    name = next((spec.name for spec in specs if mixes_batches(spec)), "")
    if not name:
        return
    if not split.is_image or split.collate is not None:
        raise ConfigError(f"data.train_transforms: {name} mixes images, but this data set has none: remove it")
    if split.targets is None or kind_of(split.targets) != "classes":
        raise ConfigError(
            f"data.train_transforms: {name} mixes classes, but the data set's targets are not one class per "
            "sample: remove it"
        )


def _make_mix(spec: Component, where: str) -> MixStep:
    alpha = float(spec.arguments.get("alpha", 1.0))
    if spec.name in MIXES:
        return MixUpStep(alpha) if spec.name == "MixUp" else CutMixStep(alpha)
    if spec.name == "Identity":
        return MixSequence((), 1.0)
    inner = tuple(
        _make_mix(each, f"{where}.transforms[{number}]") for number, each in enumerate(inner_transforms(spec))
    )
    if spec.name == "RandomApply":
        return MixSequence(inner, float(spec.arguments.get("p", 0.5)))
    if spec.name == "RandomChoice":
        return ChosenMix(inner, tuple(map(float, spec.arguments.get("p") or [1.0] * len(inner))))
    raise ConfigError(
        f"{where}: {spec.name} can't be combined with MixUp and CutMix, which mix whole batches: RandomChoice and "
        "RandomApply with them may only contain MixUp, CutMix and Identity"
    )


def inner_transforms(spec: Component) -> list[Component]:
    """The transforms of a container; those that are not tables with a name are left to `check_transforms`."""
    listed = spec.arguments.get("transforms")
    if not isinstance(listed, list | tuple):
        return []
    return [
        item if isinstance(item, Component) else Component(**item)
        for item in listed
        if isinstance(item, Component) or (isinstance(item, Mapping) and item.get("name"))
    ]


def draw_mixes(steps: Sequence[MixStep], seed: int, epoch: int, batch: int, size: tuple[int, int]) -> list[Mix]:
    """What happens to batch number `batch` of an epoch, inputs of (height, width) `size`."""
    generator = random.Random(combine(seed, epoch, batch, _STREAM))
    return [mix for step in steps for mix in step.draw(generator, size)]


def class_shares(targets: Tensor, num_classes: int) -> Tensor:
    """Class indices int64 [B] as float32 [B, num_classes], 1 at the class."""
    shares = torch.zeros((len(targets), num_classes), device=targets.device)
    return shares.scatter_(1, targets[:, None], 1.0)
