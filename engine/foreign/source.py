"""What a format of another trainer's runs has to offer: finding runs in a folder, and reading one of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

EPOCH = "epoch"
"""Name of a figure that says in which epoch a step is."""
SECONDS = "_seconds"
"""Name of a figure that says when a step was: seconds since 1970."""


class Figure(NamedTuple):
    """One figure of a run: its name as its program wrote it, the step, and the value."""

    name: str
    step: float
    value: float


@dataclass(frozen=True)
class Facts:
    """What a run's files say besides its figures; what they don't say is empty.

    Attributes:
        status: running, finished, stopped, failed; empty if the files don't say.
        error: why it failed.
        started: when it began, in seconds since 1970; 0 if unknown.
        modified: when its files last changed, in seconds since 1970.
        epochs: number of epochs that it will train; 0 if unknown.
        total_steps: number of steps that it will train; 0 if unknown.
        settings: settings of its program by name, nested or not.
        checkpoints: files of its checkpoints.
    """

    status: str = ""
    error: str = ""
    started: float = 0.0
    modified: float = 0.0
    epochs: int = 0
    total_steps: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    checkpoints: tuple[Path, ...] = ()


class Source(Protocol):
    """The files of one run. Nothing raises: what can't be read is in `problem`, and the rest is read."""

    @property
    def was_replaced(self) -> bool:
        """Whether the last `read` began anew, because a file was replaced or cut: figures of before are void."""

    @property
    def has_more(self) -> bool:
        """Whether the last `read` left something for the next."""

    @property
    def problem(self) -> str:
        """What of the files can't be read and why; empty when all is well."""

    def read(self, max_bytes: int) -> list[Figure]:
        """The figures that are new in about the next `max_bytes`; of a record that is not whole yet none."""

    def facts(self) -> Facts:
        """What else the files say now."""


class Format(Protocol):
    """One format."""

    @property
    def title(self) -> str:
        """Its name, for the column of sources."""

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """The runs in a folder: the folder itself, or files in it that are a run each.

        Args:
            folder: the folder.
            files: names of the files in it.
            folders: names of the folders in it.
        """

    def open(self, path: Path) -> Source:
        """The source of a run that it claims."""
