"""The fields of the draft in sections: the essentials first, then every section of the config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torchdeck.engine.config import RunConfig

from .widgets.config_form import FormSection
from .widgets.form_field import FormField

PRESET = "preset"
ESSENTIALS = "Essentials"
# Keys of the first section, with the labels they have there.
_ESSENTIAL = {
    PRESET: PRESET,
    "name": "name",
    "training.epochs": "epochs",
    "loader.batch_size": "batch_size",
    "optimizer.name": "optimizer",
    "optimizer.lr": "lr",
    "schedule.name": "schedule",
    "training.precision": "precision",
    "training.device": "device",
    "parallel.devices": "gpus",
}
_TITLES = {"ema": "EMA"}


@dataclass(frozen=True)
class SectionCount:
    """A section in the list of sections.

    Attributes:
        title: its heading.
        fields: number of its fields.
        changed: how many differ from the preset.
        wrong: how many have an error.
    """

    title: str
    fields: int
    changed: int
    wrong: int


def form_sections(fields: Sequence[FormField], wanted: str = "") -> list[FormSection]:
    """The fields in sections; a field of the essentials is in its own section, too.

    Args:
        fields: every field; those of a section are adjacent.
        wanted: words that a field's key or help has to contain; the essentials are not repeated then.
    """
    words = wanted.casefold().split()
    by_name: dict[str, list[FormField]] = {}
    for field in fields:
        if field.key != PRESET and _has(field, words):
            by_name.setdefault(field.section, []).append(field)
    sections = [FormSection(section_title(name), _note(name), tuple(group)) for name, group in by_name.items()]
    if words:
        return sections
    by_key = {field.key: field for field in fields}
    essential = tuple(replace(by_key[key], label=label) for key, label in _ESSENTIAL.items() if key in by_key)
    return [FormSection(ESSENTIALS, "what is changed most", essential), *sections]


def section_counts(sections: Sequence[FormSection]) -> list[SectionCount]:
    """What the list of sections says of each."""
    return [
        SectionCount(
            section.title,
            len(section.fields),
            sum(field.is_changed for field in section.fields),
            sum(bool(field.error) for field in section.fields),
        )
        for section in sections
    ]


def section_title(name: str) -> str:
    """Heading of a section by its name in the config."""
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def _note(name: str) -> str:
    info = RunConfig.model_fields.get(name)
    text = "name, seed, callbacks" if info is None else (getattr(info.annotation, "__doc__", "") or "")
    first = text.strip().partition("\n")[0].rstrip(".")
    return first[:1].lower() + first[1:]


def _has(field: FormField, words: Sequence[str]) -> bool:
    text = f"{field.key} {field.help}".casefold()
    return all(word in text for word in words)
