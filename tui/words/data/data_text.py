"""The data pane's texts as markup: about a data set in the catalog, an opened one, its numbers, its storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchdeck.engine.data.datasets.catalog import DatasetEntry, find_dataset
from torchdeck.engine.data.datasets.places import download_bytes
from torchdeck.engine.data.exploration.balance import NEARLY, imbalance
from torchdeck.engine.data.exploration.findings import describe_duplicates, describe_sizes
from torchdeck.engine.plurals import plural
from torchdeck.engine.shapes import shape_words

from ...drawing import bar, cells, fits, marked, name, prose, right, rule, stacked
from ...widgets.charts.histogram import histogram_lines
from ..figures import byte_size

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import (
        DataLook,
        DuplicateExample,
        DuplicateReport,
        PixelStatistics,
        SampleLook,
        StorageLook,
    )

_NAMED = 8
_NOT_KNOWN = "unknown"
# Ranges of values in a histogram.
_BINS = 32
_GOOD, _LOOK, _NOTE = "[$success]✓[/]", "[$warning]▲[/]", "[$text-muted]·[/]"


def title_line(dataset: str, width: int) -> str:
    """What a data set is, with its license if there is room."""
    entry = find_dataset(dataset)
    if entry is None:
        return f"[$text-muted]{name(dataset, width)}[/]"
    license = "license unknown" if entry.license == _NOT_KNOWN else entry.license
    return fits(name(entry.title, width), f" [$text-disabled]· {name(license)}[/]", width)


def listed(entry: DatasetEntry, width: int, *, is_here: bool) -> list[str]:
    """Describe a data set that is not open, from the catalog."""
    facts = []
    if entry.train_size is not None:
        facts.append((f"{entry.train_size:,}", "train"))
    if entry.classes is not None:
        facts.append((f"{entry.classes:,}", "classes"))
    if entry.shape is not None:
        facts.append((shape_words(entry.shape), "each"))
    lines = [title_line(entry.name, width), fact_line(facts, width)]
    if is_here or entry.obtain == "embedded":
        lines.append("[b $key]⏎[/] [$text-muted]opens it[/]")
    elif entry.obtain == "download":
        size = download_bytes(entry.name)
        much = byte_size(size) if size is not None else "size unknown"
        lines.append(f"[b $key]⏎[/] [$text-muted]downloads it · {much}[/]")
    else:
        lines.append("[$text-muted]has to be put there by hand:[/] [b $key]⏎[/] [$text-muted]says what and where[/]")
    return lines + [f"[$text-muted]{line}[/]" for line in prose(entry.note, width) if entry.note]


def fact_line(facts: Sequence[tuple[str, str]], width: int) -> str:
    """Values with their names, as many as fit."""
    line = ""
    for value, label in facts:
        line = fits(line, f"{'   ' * bool(line)}[b]{name(value)}[/] [$text-muted]{name(label)}[/]", width)
    return line


def opened(dataset: str, look: DataLook, samples: SampleLook | None, found: Sequence[str], width: int) -> list[str]:
    """Describe an opened data set: what it is, its sizes, what was found.

    Args:
        dataset: its name.
        look: what is known of it.
        samples: its samples; None while they are made.
        found: findings in short, as markup.
        width: cells of a line.
    """
    facts = [(f"{look.train_size:,}", "train"), (f"{look.validation_size:,}", "val.")]
    if look.test_size is not None:
        facts.append((f"{look.test_size:,}", "test"))
    facts.append((f"{len(look.classes):,}", "class" if len(look.classes) == 1 else "classes"))
    if samples is not None and samples.input_shape:
        facts.append((samples.input_shape, "into the model"))
    line = ""
    for finding in found:
        line = fits(line, f"{'   ' * bool(line)}{finding}", width)
    return [title_line(dataset, width), fact_line(facts, width), line]


def findings(look: DataLook, samples: SampleLook | None, report: DuplicateReport | None) -> list[str]:
    """What is good and what needs a look, in a few words each, as markup."""
    found = []
    if look.class_counts:
        ratio = imbalance(look.class_counts)
        if ratio < NEARLY:
            found.append(f"{_GOOD} [$text-muted]balanced[/]")
        elif empty := look.class_counts.count(0):
            found.append(f"{_LOOK} {plural(empty, 'class has', 'classes have')} no training sample")
        else:
            found.append(f"{_LOOK} classes {ratio:.1f} : 1")
    if unreadable := len(look.pixels.sizes.unreadable):
        found.append(f"{_LOOK} {unreadable:,} can't be read")
    if report is not None:
        found += _copies_found(report)
    if notes := notes_of(look, samples):
        found.append(f"{_NOTE} [$text-muted]{plural(len(notes), 'note')}[/]")
    return found


def _copies_found(report: DuplicateReport) -> list[str]:
    leaked = sum(report.leaked.values())
    found = [
        f"{_LOOK} {plural(leaked, 'copy', 'copies')} across splits"
        if leaked
        else f"{_GOOD} [$text-muted]no copies across splits[/]"
    ]
    if report.surplus:
        found.append(f"{_LOOK} {plural(report.surplus, 'sample')} twice")
    if report.disagreeing:
        found.append(f"{_LOOK} {plural(report.disagreeing, 'copy', 'copies')} with other labels")
    return found


def notes_of(look: DataLook, samples: SampleLook | None) -> list[str]:
    """Notes on the data and on how they are read."""
    more = samples.notes if samples is not None else []
    return [*look.notes, *(note for note in more if note not in look.notes)]


def texts(look: SampleLook) -> list[str]:
    """Describe samples other than images, as plain text; only the first one if all have a picture."""
    lines = []
    has_pictures = all(sample.shown_slice is not None for sample in look.texts)
    for sample in look.texts[:1] if has_pictures else look.texts:
        lines += [sample.target, *(f"  {line}" for line in sample.raw), *(f"  → {line}" for line in sample.shown)]
    return lines


def numbers(look: DataLook, samples: SampleLook | None, width: int, height: int) -> list[str]:
    """Channel statistics, histogram, what was found and the class balance.

    Args:
        look: what is known of the data set.
        samples: its samples, whose notes belong here too.
        width: cells of a line.
        height: lines of the panel; a histogram is drawn where there is room.
    """
    pixels = look.pixels
    lines = _moments(pixels, width)
    if pixels.histogram:
        lines += histogram(pixels.histogram, width, 7 if height >= 30 else 3 if height >= 14 else 1)
    lines += [rule("Found", width), *_found_lines(look, samples, width)]
    if look.class_counts and not is_balanced(look):
        lines.append(rule("Training samples of each class", width))
    return lines


def is_balanced(look: DataLook) -> bool:
    """Whether the classes are so alike that one line says it."""
    return imbalance(look.class_counts) < NEARLY


def _moments(pixels: PixelStatistics, width: int) -> list[str]:
    if pixels.trouble:
        return marked(_LOOK, pixels.trouble, width)
    if not pixels.mean:
        return ["[$text-muted]no pixels to measure[/]"]
    of = "of every sample" if pixels.is_whole else f"of {pixels.measured:,} samples · m measures all"
    values = [" ".join(f"{value:.4f}" for value in each) for each in (pixels.mean, pixels.std)]
    one = f"[$text-muted]mean[/] [b]{values[0]}[/]   [$text-muted]std[/] [b]{values[1]}[/]"
    note = f"[$text-disabled]{of}[/]"
    if fits(one, "", width) == one and len(pixels.mean) == 1:
        together = fits(one, f"   {note}", width)
        return [together] if together != one or pixels.is_whole else [one, note]
    return [f"[$text-muted]mean[/] [b]{values[0]}[/]", f"[$text-muted]std [/] [b]{values[1]}[/]", note]


def histogram(channels: Sequence[Sequence[int]], width: int, tall: int) -> list[str]:
    """How often pixel values occur, over their axis; the fullest column is cut if it dwarfs the others.

    Args:
        channels: counts of each channel in equal ranges of values.
        width: cells of a line.
        tall: lines of the columns.
    """
    total = [sum(values) for values in zip(*channels, strict=True)]
    highest = max(total)
    others = max((value for value in total if value != highest), default=highest)
    cut = highest > 2 * others > 0
    shown = [min(value, others) for value in total] if cut else total
    per = max(1, width // _BINS)
    lines = [f"[$series-1]{''.join(cell * per for cell in row)}[/]" for row in histogram_lines(shown, tall)]
    wide = per * _BINS
    lines.append(f"[$text-disabled]0{'128':^{wide - 4}}255[/]")
    if cut:
        at = total.index(highest)
        share = highest / max(1, sum(total))
        values = f"{at * 8} to {at * 8 + 7}"
        lines.append(fits(f"[$text-muted]{share:.0%} of pixels are {values}[/]", "[$text-muted]: cut[/]", width))
    return lines


def _found_lines(look: DataLook, samples: SampleLook | None, width: int) -> list[str]:
    unreadable = look.pixels.sizes.unreadable
    found: list[tuple[str, str]] = [(_GOOD, line) for line in describe_sizes(look.pixels.sizes)]
    if unreadable:
        looked_at = "" if look.pixels.is_whole else f" of {look.pixels.sizes.looked_at:,} checked"
        found.append((_LOOK, f"{len(unreadable):,} samples{looked_at} can't be read:"))
        found += [(" ", f"{each}: {why}") for each, why in list(unreadable.items())[:_NAMED]]
    if look.balance:
        found.append((_GOOD if is_balanced(look) else _LOOK, look.balance))
    found += [(_NOTE, note) for note in notes_of(look, samples)]
    return [line for mark, text in found for line in marked(mark, text, width)]


def class_line(label: str, count: int, most: int, width: int) -> str:
    """One class with its training samples."""
    wide = max(4, min(14, width // 3))
    figures = len(f"{most:,}")
    shown = name(label, wide)
    room = max(3, width - wide - figures - 2)
    padding = " " * max(0, wide - len(label[:wide]))
    return f"{shown}{padding} {bar(count / max(1, most), room, '$series-1 70%')} [b]{right(f'{count:,}', figures)}[/]"


def storage(look: StorageLook | None, seconds: float | None, width: int, height: int) -> list[str]:
    """Where the training samples are kept, as one bar, and how long an epoch is read.

    Args:
        look: where they are kept; None if unknown.
        seconds: measured time to read an epoch; None if it was not measured.
        width: cells of a line.
        height: number of lines; of the reason, the clauses that fit are shown.
    """
    if look is None:
        return ["[$text-muted]unknown until the samples can be transformed[/]"]
    lines = []
    if look.parts:
        colors = ("$series-1", "$series-5")
        lines.append(
            stacked([(float(size), color) for (_, size), color in zip(look.parts, colors, strict=False)], width)
        )
        legend = ""
        for (part, size), color in zip(look.parts, colors, strict=False):
            legend = fits(legend, f"{'   ' * bool(legend)}[{color}]■[/] {part} [b]{byte_size(size)}[/]", width)
        lines.append(legend)
    where = f"[$text-muted]{name(look.words)}[/]"
    allowed = f" [$text-disabled]· {byte_size(look.allowed)} allowed[/]" if look.allowed else ""
    if cells(where) <= width:
        lines.append(fits(where, allowed, width))
    else:
        lines += [f"[$text-muted]{line}[/]" for line in prose(look.words, width)]
    if seconds is None:
        lines.append(
            fits(
                "[$text-muted]an epoch is read in[/] [$text-disabled]–[/]",
                "   [b $key]m[/] [$text-disabled]measures[/]",
                width,
            )
        )
    else:
        lines.append(f"[$text-muted]an epoch is read in[/] [b]{seconds:.2f} s[/]")
    return lines + [f"[$text-disabled]{line}[/]" for line in _clauses(look.reason, width, height - len(lines))]


def _clauses(text: str, width: int, height: int) -> list[str]:
    """The lines of a sentence, without its last clauses if there is no room for them."""
    clauses = text.split("; ") if text else []
    while clauses and len(prose("; ".join(clauses), width)) > height:
        clauses.pop()
    return prose("; ".join(clauses), width) if clauses else []


def copies(report: DuplicateReport) -> list[str]:
    """Describe the result of a comparison, as plain text."""
    lines = describe_duplicates(report)
    if report.examples:
        lines.append("one picture per duplicate, ! if labels disagree; Enter shows where it is")
    if report.compared == "file bytes":
        lines.append("c compares decoded pixels: also finds pictures saved in different formats")
    return lines


def members(example: DuplicateExample, classes: list[str]) -> str:
    """Say where one image occurs, and with which class."""
    found = [
        f"{split} {sample}" + (f" is {classes[label]}" if label >= 0 else "")
        for (split, _, label), sample in zip(example.members, example.names, strict=True)
    ]
    labels = {label for _, _, label in example.members}
    warning = "! " if len(labels) > 1 else ""
    return warning + ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
