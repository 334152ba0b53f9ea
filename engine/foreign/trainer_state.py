"""Hugging Face's Trainer: `trainer_state.json`, which it writes whole with every checkpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..files.documents import DocumentError, read_json_object
from ..files.json_values import number, numbers_restored, whole_number
from .source import EPOCH, Facts, Figure, Source
from .tail import newest
from .text_lines import flat_numbers

STATE = "trainer_state.json"
_MOST_BYTES = 256 << 20
_CHECKPOINT = re.compile(r"checkpoint-(\d{1,12})")
_WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
# Of its log entries: they are places or sums, not figures of a step.
_PLACES = ("step", "epoch")
_SETTINGS = ("train_batch_size", "num_train_epochs", "max_steps", "logging_steps", "eval_steps", "save_steps")


class TrainerState:
    """Output folders of the Trainer: the file is in the folder, or in its newest checkpoint-N."""

    title = "Hugging Face"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """The folder, unless it is itself a checkpoint of one."""
        if _CHECKPOINT.fullmatch(folder.name) and (folder.parent / folder.name / STATE).is_file():
            return []
        has_own = STATE in files
        below = any(_CHECKPOINT.fullmatch(name) and (folder / name / STATE).is_file() for name in folders)
        return [folder] if has_own or below else []

    def open(self, path: Path) -> Source:
        """The source of such a folder, or of the file."""
        return _State(path)


class _State:
    def __init__(self, path: Path) -> None:
        self.was_replaced = self.has_more = False
        self.problem = ""
        self._path = path
        self._stamp: tuple[str, int, int] | None = None
        self._document: dict[str, Any] = {}
        self._count = 0

    def read(self, max_bytes: int) -> list[Figure]:
        """The entries that were added; all of them if those of before are others."""
        self.was_replaced = False
        file = self._newest_file()
        if file is None:
            return []
        try:
            status = os.stat(file)
            stamp = (str(file), status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return []
            document = read_json_object(file.resolve(), _MOST_BYTES)
        except (OSError, DocumentError) as error:
            self.problem = f"{file.name}: {getattr(error, 'strerror', None) or error}"
            return []
        self.problem, self._stamp = "", stamp
        before, after = self._entries(), _entries_of(document)
        self._document = document
        if before[: self._count] != after[: self._count]:
            self.was_replaced, self._count = True, 0
        new, self._count = after[self._count :], len(after)
        return [figure for entry in new for figure in _figures(entry)]

    def facts(self) -> Facts:
        """How far it will train, and the checkpoints beside it."""
        document, folder = self._document, self._path if self._path.is_dir() else self._path.parent
        file = self._newest_file()
        step, most = whole_number(document.get("global_step")), whole_number(document.get("max_steps"))
        epochs = number(document.get("num_train_epochs"))
        settings = {name: document[name] for name in _SETTINGS if isinstance(document.get(name), int | float)}
        return Facts(
            status="finished" if most and step >= most else "",
            modified=newest([file] if file is not None else []),
            epochs=int(epochs) if epochs is not None and 0 <= epochs < 1 << 40 else 0,
            total_steps=most,
            settings=settings,
            checkpoints=tuple(
                path for checkpoint in _checkpoints(folder) if (path := _weights_in(checkpoint)) is not None
            ),
        )

    def _entries(self) -> list[dict[str, Any]]:
        return _entries_of(self._document)

    def _newest_file(self) -> Path | None:
        if self._path.is_file():
            return self._path
        # By their numbers: a copy of the folder has lost the times. The folder's own is written at the end.
        saved = [place / STATE for place in _checkpoints(self._path) if (place / STATE).is_file()][-1:]
        own = [self._path / STATE] if (self._path / STATE).is_file() else []
        return max([*own, *saved], key=lambda file: newest([file]), default=None)


def _entries_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    history = document.get("log_history")
    return [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []


def _figures(entry: dict[str, Any]) -> list[Figure]:
    step = whole_number(entry.get("step"))
    values = dict(flat_numbers(numbers_restored(entry)))
    found = [Figure(name, step, value) for name, value in values.items() if name not in _PLACES]
    epoch = number(entry.get("epoch"))
    return found if epoch is None else [*found, Figure(EPOCH, step, epoch)]


def _checkpoints(folder: Path) -> list[Path]:
    try:
        found = [(match, path) for path in folder.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))]
    except OSError:
        return []
    return [path for _, path in sorted(found, key=lambda each: int(each[0][1]))]


def _weights_in(checkpoint: Path) -> Path | None:
    return next((checkpoint / name for name in _WEIGHTS if (checkpoint / name).is_file()), None)
