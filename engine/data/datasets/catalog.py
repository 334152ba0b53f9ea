"""The data sets known by name. Imports no torch: listing them is instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .facts import DatasetFacts
from .torchvision.row import TorchvisionRow
from .torchvision.table import ROWS


@dataclass(frozen=True)
class DatasetEntry(DatasetFacts):
    """Catalog entry of a data set, available without opening it.

    Attributes:
        source: who reads it.
        obtain: "embedded" needs nothing, "download" can be fetched with `data.download = true`, "manual" is yours.
        license: license that the publisher states, or "unknown".
        note: remark for users of the data set.
    """

    source: Literal["embedded", "torchvision", "folder", "user"]
    obtain: Literal["embedded", "download", "manual"]
    license: str
    note: str = ""


def _entry(row: TorchvisionRow) -> DatasetEntry:
    note = row.note
    if row.needs:
        packages = "package" if len(row.needs) == 1 else "packages"
        note = "; ".join(filter(None, (note, f"needs the {packages} {', '.join(row.needs)}")))
    return DatasetEntry(
        name=row.name,
        title=row.title,
        classes=row.classes,
        train_size=row.train_size,
        shape=row.shape,
        source="torchvision",
        obtain=row.obtain,
        license=row.license,
        note=note,
    )


_ENTRIES = (
    DatasetEntry(
        name="digits",
        title="Handwritten digits of 8×8 pixels",
        classes=10,
        train_size=1797,
        shape=(1, 8, 8),
        source="embedded",
        obtain="embedded",
        license="CC BY 4.0",
        note="included in torchdeck; has no test split: set data.validation to a fraction such as 0.2",
    ),
    *(_entry(row) for row in ROWS),
    DatasetEntry(
        name="ImageFolder",
        title="Your own folder: one folder of images per class",
        classes=None,
        train_size=None,
        shape=None,
        source="folder",
        obtain="manual",
        license="yours",
        note="root/train/<class>/*.jpg and root/val/<class>/*.jpg, or root/<class>/*.jpg",
    ),
)


def list_datasets() -> list[DatasetEntry]:
    """Every data set that `data.dataset` takes by name."""
    return list(_ENTRIES)


def find_dataset(name: str) -> DatasetEntry | None:
    """The entry with exactly this name, or None."""
    return next((entry for entry in _ENTRIES if entry.name == name), None)
