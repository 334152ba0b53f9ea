"""The data pane's texts: about a data set in the catalog, an opened one, its pixels, its copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchdeck.engine.data.datasets.catalog import DatasetEntry
from torchdeck.engine.data.exploration.findings import describe_duplicates, describe_sizes
from torchdeck.engine.plurals import plural

from ..widgets.charts.sparkline import sparkline

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import (
        DataLook,
        DuplicateExample,
        DuplicateReport,
        PixelStatistics,
        SampleLook,
    )

_NAMED = 8
_NOT_KNOWN = "unknown"

# The axis below the 32 columns of a histogram.
_VALUES = "0       64      128     192  255 pixel value, % of pixels"


def title_of(name: str, entry: DatasetEntry | None) -> str:
    """The first line: name and license of the data set."""
    if entry is None:
        return name
    license = "license unknown" if entry.license == _NOT_KNOWN else entry.license
    return f"{entry.name}: {entry.title} ({license})"


def listed(entry: DatasetEntry) -> list[str]:
    """Describe a data set that is not open, from the catalog."""
    facts = []
    if entry.classes is not None:
        facts.append(f"{entry.classes:,} classes")
    if entry.train_size is not None:
        facts.append(f"{entry.train_size:,} training samples")
    if entry.shape is not None:
        facts.append(f"{'×'.join(map(str, entry.shape))} each")
    how = {
        "embedded": "comes with torchdeck",
        "download": "press D to download it (or torchdeck download)",
        "manual": "no automatic download: put its files in data.root yourself",
    }[entry.obtain]
    return [title_of(entry.name, entry), ", ".join(facts), how, entry.note, "press Enter to open it"]


def opened(look: DataLook, samples: SampleLook | None) -> list[str]:
    """Describe an opened data set: sizes, where its pixels would be stored, and notes."""
    test = "" if look.test_size is None else f", {look.test_size:,} test"
    classes = plural(len(look.classes), "class", "classes")
    lines = [f"{look.train_size:,} training samples, {look.validation_size:,} validation{test}, {classes}"]
    if samples is not None and samples.storage:
        lines.append(f"{samples.input_shape} into the model; {samples.storage}")
    return lines + notes(look, samples)


def texts(look: SampleLook) -> list[str]:
    """Describe samples other than images; only the first one if all have a picture."""
    lines = []
    has_pictures = all(sample.shown_slice is not None for sample in look.texts)
    for sample in look.texts[:1] if has_pictures else look.texts:
        lines += [sample.target, *(f"  {line}" for line in sample.raw), *(f"  → {line}" for line in sample.shown)]
    return lines


def tier(samples: SampleLook | None) -> list[str]:
    """Say where the samples are stored, and why."""
    if samples is None or not samples.storage:
        return []
    return [f"{samples.storage}: {samples.reason}" if samples.reason else samples.storage]


def notes(look: DataLook, samples: SampleLook | None) -> list[str]:
    """Notes on the data and on how they are read."""
    more = samples.notes if samples is not None else []
    return [*look.notes, *(note for note in more if note not in look.notes)]


def numbers(pixels: PixelStatistics, balance: str, train_size: int) -> list[str]:
    """Describe channel statistics, sizes, modes, classes and unreadable samples."""
    lines = []
    if pixels.mean:
        mean = " ".join(f"{value:.4f}" for value in pixels.mean)
        std = " ".join(f"{value:.4f}" for value in pixels.std)
        of = "every sample" if pixels.is_whole else f"{pixels.measured:,} of {train_size:,} samples"
        lines += [f"mean {mean}  std {std}  (of {of})"]
    if pixels.trouble:
        lines.append(pixels.trouble)
    lines += histogram_lines(pixels.histogram)
    lines += describe_sizes(pixels.sizes)
    unreadable = pixels.sizes.unreadable
    if unreadable:
        looked_at = "" if pixels.is_whole else f" of {pixels.sizes.looked_at:,} checked"
        lines.append(f"{len(unreadable):,} samples{looked_at} can't be read:")
        lines += [f"  {name}: {why}" for name, why in list(unreadable.items())[:_NAMED]]
        lines += ["  …"] if len(unreadable) > _NAMED else []
    lines += [balance] if balance else []
    if pixels.mean:
        lines.append("w sets Normalize to them" + ("" if pixels.is_whole else " · m measures every sample"))
    return lines


def histogram_lines(histogram: list[list[int]]) -> list[str]:
    """Draw a histogram of each channel's pixel values: 32 columns of 8 values, and the share of the highest."""
    if not histogram:
        return []
    lines = [
        f"{sparkline(counts)} channel {channel}, highest {max(counts) / max(sum(counts), 1):.0%}"
        for channel, counts in enumerate(histogram)
    ]
    return [*lines, _VALUES]


def copies(report: DuplicateReport) -> list[str]:
    """Describe the result of a comparison, and explain its pictures."""
    lines = describe_duplicates(report)
    if report.examples:
        lines.append("one picture per duplicate, ! if labels disagree; Enter shows where it is")
    if report.compared == "file bytes":
        lines.append("press U to compare decoded pixels: also finds pictures saved in different formats")
    return lines


def members(example: DuplicateExample, classes: list[str]) -> str:
    """Say where one image occurs, and with which class."""
    found = [
        f"{split} {name}" + (f" is {classes[label]}" if label >= 0 else "")
        for (split, _, label), name in zip(example.members, example.names, strict=True)
    ]
    labels = {label for _, _, label in example.members}
    warning = "! " if len(labels) > 1 else ""
    return warning + ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
