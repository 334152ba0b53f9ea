"""The files of one run read as one: each from where it was read up to, all anew when one of them was replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from .source import Figure
from .tail import FileTail, newest

_MOST_FILES = 4000


class ParsedFile(Protocol):
    """One file of a run.

    Attributes:
        tail: position up to which it was read.
        problem: why it can't be read on; empty when it can.
    """

    tail: FileTail
    problem: str

    def read(self, max_bytes: int) -> list[Figure]:
        """The figures in the next bytes that are new. It takes at least one record, if one is whole."""


class Files:
    """Several files of one run; a `Source` but for its facts.

    Attributes:
        was_replaced: whether the last `read` began anew.
        has_more: whether it left something.
    """

    def __init__(self, find: Callable[[], Mapping[Path, Callable[[], ParsedFile]]]) -> None:
        """Nothing is read yet.

        Args:
            find: gives the files there are now, each with what opens it.
        """
        self.was_replaced = self.has_more = False
        self._find = find
        self._files: dict[Path, ParsedFile] = {}

    @property
    def paths(self) -> list[Path]:
        """The files that are there."""
        return list(self._files or self._find())

    @property
    def modified(self) -> float:
        """When the newest of them was changed, in seconds since 1970."""
        return newest(self.paths)

    @property
    def problem(self) -> str:
        """What can't be read of them and why."""
        return next((words for file in self._files.values() if (words := file.problem or file.tail.problem)), "")

    def read(self, max_bytes: int) -> list[Figure]:
        """The figures that are new."""
        self.was_replaced = False
        figures = self._read(max_bytes)
        if any(file.tail.was_replaced for file in self._files.values()):
            # What the others gave before belongs to what is no longer there.
            self._files.clear()
            figures = self._read(max_bytes)
            self.was_replaced = True
        return figures

    def _read(self, max_bytes: int) -> list[Figure]:
        for path, opened in list(self._find().items())[:_MOST_FILES]:
            if path not in self._files:
                self._files[path] = opened()
        figures: list[Figure] = []
        left, self.has_more = max_bytes, False
        for file in self._files.values():
            tail = file.tail
            tail.was_replaced = False
            if not (tail.has_more or tail.has_changed()):
                continue
            if left <= 0:
                # Asked again by the next read.
                tail.has_more = self.has_more = True
                continue
            before = tail.offset
            figures += file.read(left)
            left -= max(1, tail.offset - before)
            self.has_more = self.has_more or (tail.has_more and tail.offset != before)
        return figures
