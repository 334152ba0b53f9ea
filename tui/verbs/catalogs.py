"""`torchdeck list`: the catalogs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any, TypedDict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchdeck.engine.machine.torch_import import require_torch, torch_failure
from torchdeck.engine.shapes import shape_words

from ..plain_text import printable
from .options import json_option
from .output import print_json


class TransformDocument(TypedDict):
    """A transform that a config can name.

    Attributes:
        name: name in the config.
        batched: whether it transforms whole batches, on the device.
        summary: first line of its documentation.
        parameters: arguments, each with its name, its default or "required", and its type as the library writes it.
    """

    name: str
    batched: bool
    summary: str
    parameters: list[list[str]]


class PresetDocument(TypedDict):
    """A preset.

    Attributes:
        name: name for `torchdeck train NAME`.
        path: TOML file of the preset.
        description: first comment line of the file.
    """

    name: str
    path: str
    description: str


class OptimizerDocument(TypedDict):
    """An optimizer of the installed torch.

    Attributes:
        name: name in the config.
        summary: first line of its documentation.
        arguments: defaults of its arguments, as Python writes them.
    """

    name: str
    summary: str
    arguments: dict[str, str]


Rows = tuple[list[str], list[list[str]], Sequence[Any]]


@click.command("list")
@click.argument(
    "catalog", type=click.Choice(["datasets", "transforms", "models", "presets", "optimizers", "schedules"])
)
@click.argument("words", nargs=-1)
@json_option
def list_catalog(catalog: str, words: tuple[str, ...], as_json: bool) -> None:
    """List what can be named in a config. WORDS keep only the entries that match all of them; * matches any text."""
    headings, rows, entries = _CATALOGS[catalog](" ".join(words))
    if as_json:
        print_json(entries)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        # Names that users type into a config are shown in full.
        widest = max((len(row[0]) for row in rows), default=0) if heading == headings[0] else None
        table.add_column(heading, no_wrap=heading != headings[-1], min_width=widest)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False).print(table)


def _datasets() -> Rows:
    from torchdeck.engine.data.datasets.catalog import list_datasets

    # Not on stdout, which holds only the catalog.
    if failure := torch_failure():
        click.echo(f"not compared with the installed torchvision, which can't be imported: {failure}", err=True)
    else:
        from torchdeck.engine.data.datasets.torchvision.changes import catalog_changes

        for change in catalog_changes():
            click.echo(f"the installed torchvision differs: {change}", err=True)
    entries = list_datasets()
    rows = [
        [
            entry.name,
            shape_words(entry.shape) if entry.shape else "any",
            str(entry.classes or "any"),
            f"{entry.train_size:,}" if entry.train_size else "",
            entry.obtain,
            entry.title,
        ]
        for entry in entries
    ]
    return ["name", "sample", "classes", "training", "obtained", "what"], rows, [asdict(entry) for entry in entries]


def _transforms() -> Rows:
    require_torch("list transforms")
    from torchdeck.engine.data.exploration.transform_catalog import list_transforms
    from torchdeck.engine.data.transforms.albumentations_steps import list_albumentations

    entries = [*list_transforms(), *list_albumentations()]
    rows = [
        [
            entry.name,
            "batched" if entry.batched else "",
            ", ".join(parameter[0] for parameter in entry.parameters),
            entry.summary,
        ]
        for entry in entries
    ]
    documents: list[TransformDocument] = [
        {
            "name": entry.name,
            "batched": entry.batched,
            "summary": entry.summary,
            "parameters": [[str(part) for part in parameter] for parameter in entry.parameters],
        }
        for entry in entries
    ]
    return ["name", "", "arguments", "what"], rows, documents


def _models(words: str) -> Rows:
    from torchdeck.engine.models.catalog import list_models, search_models

    entries = search_models(list_models(), words)
    rows = [
        [
            entry.name,
            entry.source,
            f"{entry.params:,}" if entry.params else "",
            f"{entry.gflops:g}" if entry.gflops else "",
            f"{entry.accuracy:g} %" if entry.accuracy else "",
            entry.description,
        ]
        for entry in entries
    ]
    return ["name", "source", "parameters", "GFLOPs", "top-1", "what"], rows, [asdict(entry) for entry in entries]


def _presets() -> Rows:
    from torchdeck.engine.config.presets import list_presets

    entries = list_presets()
    documents = [
        PresetDocument(name=entry.name, path=str(entry.path), description=entry.description) for entry in entries
    ]
    return ["name", "what"], [[entry.name, entry.description] for entry in entries], documents


def _optimizers() -> Rows:
    require_torch("list optimizers")
    from torchdeck.engine.training.optimization.optimizers import list_optimizers

    entries = list_optimizers()
    rows = [[entry.name, ", ".join(entry.defaults), entry.summary] for entry in entries]
    documents: list[OptimizerDocument] = [
        {"name": entry.name, "summary": entry.summary, "arguments": {k: repr(v) for k, v in entry.defaults.items()}}
        for entry in entries
    ]
    return ["name", "arguments", "what"], rows, documents


def _schedules() -> Rows:
    require_torch("list schedules")
    from torchdeck.engine.training.optimization.schedules import list_schedules

    entries = list_schedules()
    rows = [[entry.name, ", ".join(entry.parameters), entry.summary] for entry in entries]
    return ["name", "arguments", "what"], rows, [asdict(entry) for entry in entries]


def _filtered(catalog: Callable[[], Rows]) -> Callable[[str], Rows]:
    """Keep the rows of a catalog whose cells contain every word."""

    def rows_with(words: str) -> Rows:
        headings, rows, entries = catalog()
        wanted = [f"*{word}*" for word in words.lower().split()]
        kept = [
            index
            for index, row in enumerate(rows)
            if all(any(fnmatchcase(cell.lower(), word) for cell in row) for word in wanted)
        ]
        return headings, [rows[index] for index in kept], [entries[index] for index in kept]

    return rows_with


_CATALOGS: dict[str, Callable[[str], Rows]] = {
    "datasets": _filtered(_datasets),
    "transforms": _filtered(_transforms),
    "models": _models,
    "presets": _filtered(_presets),
    "optimizers": _filtered(_optimizers),
    "schedules": _filtered(_schedules),
}
