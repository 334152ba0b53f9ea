"""Results of data exploration, as plain values: the process of the screen needs no torch for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...plurals import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAMED_MODES = 4
# Basis of the comparison of duplicates, for samples other than images.
VALUES = "values"


@dataclass
class ImageSizes:
    """Summary of the examined images.

    Attributes:
        sizes: how many images there are of each (height, width).
        modes: how many of each mode, as Pillow names them (L, RGB, RGBA, P, CMYK, …), or channels of arrays.
        rotated: images whose EXIF data ask to be turned.
        turns: whether they are.
        unreadable: why, by the name of each file or sample that can't be read.
        looked_at: how many were.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    rotated: int = 0
    turns: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)
    looked_at: int = 0


@dataclass(frozen=True)
class PixelStatistics:
    """Channel statistics of the training split.

    Attributes:
        mean, std: of each channel, in units of [0, 1].
        measured: how many samples they are of.
        sizes: sizes and modes of the images.
        histogram: for each channel, how many uint8 values lie in each of 32 equal ranges; empty for other pixels.
        trouble: why there are none; empty when there are.
        is_whole: whether every sample was looked at.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    measured: int
    sizes: ImageSizes
    histogram: list[list[int]]
    is_whole: bool
    trouble: str = ""


@dataclass(frozen=True)
class DataLook:
    """Overview of a data set.

    Attributes:
        classes: names by class index; where targets are numbers, the names of those.
        class_counts: training samples of each class; empty where targets are not classes.
        train_size: training samples.
        validation_size: validation samples.
        test_size: samples of a test split of its own, None without one.
        notes: remarks for the user.
        balance: class balance, as text.
        pixels: pixel statistics of some samples, or of all if that is quick.
    """

    classes: list[str]
    class_counts: list[int]
    train_size: int
    validation_size: int
    test_size: int | None
    notes: list[str]
    balance: str
    pixels: PixelStatistics

    def with_pixels(self, pixels: PixelStatistics) -> DataLook:
        """The same with other statistics."""
        return replace(self, pixels=pixels)


@dataclass(frozen=True)
class StepTier:
    """Result of one transform.

    Attributes:
        error: why it can't be used; empty when it can.
        tier: how it is done, in a few words.
        is_batched: whether it is applied to whole batches, or once when samples are decoded.
    """

    error: str
    tier: str
    is_batched: bool = False


@dataclass(frozen=True)
class StorageLook:
    """Where the training samples are kept.

    Attributes:
        words: the tier with its size, as text.
        reason: calculation behind the choice, as text.
        parts: what is kept there with its bytes; empty if samples are read anew in every epoch.
        allowed: bytes that may be used there; 0 if nothing is kept.
    """

    words: str
    reason: str = ""
    parts: tuple[tuple[str, int], ...] = ()
    allowed: int = 0


@dataclass(frozen=True)
class PreviewSample:
    """One sample before and after its transforms.

    Attributes:
        index: its position in the split.
        target: the name of its class, or its numbers.
        raw: uint8 [H, W, C], as it is stored.
        shown: uint8 [H', W', C], after the transforms, with Normalize undone for the eye.
    """

    index: int
    target: str
    raw: NDArray[np.uint8]
    shown: NDArray[np.uint8]


@dataclass(frozen=True)
class SampleText:
    """One sample as text.

    Attributes:
        index: its position in the split.
        target: its class, or its numbers.
        raw: lines about it as it is stored.
        shown: lines about it after the transforms.
        raw_slice, shown_slice: uint8 [H, W, C], the slice in the middle of a volume before and after its transforms;
            None for what is not a volume.
    """

    index: int
    target: str
    raw: list[str]
    shown: list[str]
    raw_slice: NDArray[np.uint8] | None = None
    shown_slice: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class SampleLook:
    """Samples before and after the transforms of a config.

    Attributes:
        samples: raw and transformed training samples.
        texts: the same as text, if they are not images.
        input_shape: shape of a sample after the eval transforms, as text; empty if unknown.
        storage: where the training samples are kept; None if unknown.
        notes: of the data and how they are read: those that the run begins with.
        train_steps, eval_steps: what is to be said of each transform.
        unreadable: problems of samples that can't be read.
        error: why nothing can be shown; empty when it can.
    """

    samples: list[PreviewSample]
    texts: list[SampleText]
    input_shape: str
    storage: StorageLook | None
    notes: list[str]
    train_steps: list[StepTier]
    eval_steps: list[StepTier]
    unreadable: list[str] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True)
class StepLook:
    """Batch of a run at a step.

    Attributes:
        words: which step and batch, how many samples, and what its inputs and targets are.
        images: uint8 [H, W, C], the first of the batch, with Normalize undone; empty where inputs are not images.
        captions: target and name of each sample of the batch; after MixUp and CutMix the shares of its classes.
    """

    words: list[str]
    images: list[NDArray[np.uint8]]
    captions: list[str]


@dataclass(frozen=True)
class DuplicateExample:
    """One image that occurs more than once.

    Attributes:
        pixels: uint8 [H, W, C]; None where samples are not images or can't be decoded.
        members: every (split, position in it, class index); -1 where targets are not classes.
        names: names of its files or samples, in the same order.
    """

    pixels: NDArray[np.uint8] | None
    members: list[tuple[str, int, int]]
    names: list[str]


@dataclass(frozen=True)
class DuplicateReport:
    """Result of a search for duplicates.

    Attributes:
        compared: "file bytes", "decoded pixels", or "values" of what is not an image.
        samples: how many samples of each split were compared, by its name.
        groups: images that occur more than once.
        surplus: samples of the training split that repeat another one of it.
        leaked: samples of each other split that are also in the training split, by its name.
        disagreeing: images whose copies have different labels.
        examples: some of them, those of different labels first, then those in several splits.
        unreadable: samples that can't be read.
    """

    compared: str
    samples: dict[str, int]
    groups: int
    surplus: int
    leaked: dict[str, int]
    disagreeing: int
    examples: list[DuplicateExample]
    unreadable: int


@dataclass(frozen=True)
class TraceStep:
    """A sample after one step.

    Attributes:
        name: the transform, "as stored" for the first and "into the model" for the last.
        pixels: uint8 [H, W, C] for the eye, with Normalize undone.
        shape: [C, H, W].
        dtype: such as "uint8".
        minimum, maximum, mean: of the values.
        microseconds: time per sample; None if it was not timed.
    """

    name: str
    pixels: NDArray[np.uint8]
    shape: tuple[int, ...]
    dtype: str
    minimum: float
    maximum: float
    mean: float
    microseconds: float | None


@dataclass(frozen=True)
class SampleTrace:
    """A sample's way.

    Attributes:
        name: its file or index.
        label: its class.
        batched: whether the run does these steps to whole batches.
        steps: first the sample as stored, last what goes into the model.
    """

    name: str
    label: str
    batched: bool
    steps: list[TraceStep]


def describe_sizes(found: ImageSizes) -> list[str]:
    """Sentences about sizes and modes, and what to do where they differ."""
    if not found.sizes:
        return []
    modes = ", ".join(
        mode if len(found.modes) == 1 else f"{mode} {count / found.sizes.total():.0%}"
        for mode, count in found.modes.most_common(_NAMED_MODES)
    )
    if len(found.sizes) == 1:
        ((height, width),) = found.sizes
        lines = [f"every image is {height}×{width}, {modes}"]
    else:
        by_area = sorted(found.sizes.elements(), key=lambda size: size[0] * size[1])
        smallest, middle, largest = (f"{h}×{w}" for h, w in (by_area[0], by_area[len(by_area) // 2], by_area[-1]))
        ratios = [width / height for height, width in by_area]
        lines = [
            f"{len(found.sizes):,} sizes from {smallest} over {middle} (median) to {largest}, {modes}; "
            f"width : height {min(ratios):.2f} to {max(ratios):.2f}"
        ]
    if found.rotated:
        how = (
            "are rotated by their EXIF data" if found.turns else "have an EXIF rotation, ignored by data.exif = false"
        )
        lines.append(f"{found.rotated:,} {how}")
    return lines


def describe_duplicates(report: DuplicateReport) -> list[str]:
    """Sentences about what was found, the gravest first."""
    compared = sum(report.samples.values())
    noun = "sample" if report.compared == VALUES else "image"
    lines = []
    for name, count in report.leaked.items():
        if count:
            share = count / report.samples[name]
            lines.append(
                f"{count:,} of {report.samples[name]:,} {name} samples ({share:.1%}) are also in the training split: "
                f"the {name} score may be too high by as much"
            )
    if report.disagreeing:
        occur = plural(report.disagreeing, f"{noun} occurs", f"{noun}s occur")
        lines.append(f"{occur} with different labels, of which at most one is right")
    if report.surplus:
        repeat = plural(report.surplus, "training sample repeats", "training samples repeat")
        lines.append(f"{repeat} another training sample")
    if not report.groups:
        lines.append(f"no duplicate {noun}s, within or across splits")
    if report.unreadable:
        lines.append(f"{plural(report.unreadable, 'sample')} can't be read")
    splits = ", ".join(f"{count:,} {name}" for name, count in report.samples.items())
    lines.append(f"{compared:,} samples compared by {report.compared} ({splits})")
    return lines
