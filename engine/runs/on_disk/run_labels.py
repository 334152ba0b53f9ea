"""`labels.json`: the tags and the note that a user gives a run, live or not.

Anybody who shows the run may write it, so it is no file of the process that trains. Changes of several processes are
made one after the other, under a lock on the run's directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError, RunError
from ...files.documents import DocumentError, read_json_object
from ...files.durable import atomic_write
from ...files.exclusive import locked
from ...files.json_values import to_json
from ...files.regular_file import held_folder
from ...run_files import LABELS_FILE

MOST_TAGS, MOST_NOTE_CHARACTERS = 32, 10_000
_MAX_BYTES = 256 << 10
_TAG = re.compile(r"\w[\w.+:/-]{0,39}")


@dataclass(frozen=True)
class RunLabels:
    """What a user says of a run.

    Attributes:
        tags: short words to filter by, in the order in which they were added.
        note: text in any number of lines; empty for none.
    """

    tags: tuple[str, ...] = ()
    note: str = ""


def read_labels(run: Path) -> RunLabels:
    """The labels of the run in directory `run`; none where there are none that can be read."""
    path = f"{run}/{LABELS_FILE}"
    if not os.access(path, os.F_OK):
        # Most runs have none, and an error for each of thousands takes its time.
        return RunLabels()
    try:
        return _known(read_json_object(path, _MAX_BYTES))
    except (OSError, DocumentError):
        return RunLabels()


def change_labels(run: Path, change: Callable[[RunLabels], RunLabels]) -> RunLabels:
    """Replace a run's labels by what `change` makes of them.

    Args:
        run: the run's directory.
        change: called with the labels as they are; no other process changes them meanwhile.

    Returns:
        The new labels.

    Raises:
        ConfigError: a tag or the note is not allowed.
        RunError: the file that is there can't be read, so it is left as it is, or the system refuses.
    """
    try:
        with held_folder(run) as folder, locked(folder, str(run)):
            found = _found(run, folder)
            before = _known(found)
            labels = _checked(change(before))
            if labels != before:
                content = {**found, "tags": list(labels.tags), "note": labels.note}
                atomic_write(folder / LABELS_FILE, to_json(content, indent=2))
            return labels
    except TimeoutError as error:
        raise RunError(f"{run.name}: {error.strerror}") from error
    except OSError as error:
        raise RunError(f"{run / LABELS_FILE}: can't be written: {error.strerror or error}") from error


def parse_tags(text: str) -> tuple[str, ...]:
    """Tags from a line that a user typed, separated by blanks or commas, each once. Raises ConfigError."""
    tags = tuple(dict.fromkeys(word.removeprefix("#") for word in re.split(r"[\s,]+", text) if word.strip("#")))
    return _checked(RunLabels(tags)).tags


def with_tags(labels: RunLabels, tags: Iterable[str]) -> RunLabels:
    """The labels with further tags."""
    return RunLabels(tuple(dict.fromkeys((*labels.tags, *tags))), labels.note)


def without_tags(labels: RunLabels, tags: Iterable[str]) -> RunLabels:
    """The labels without these tags."""
    gone = set(tags)
    return RunLabels(tuple(tag for tag in labels.tags if tag not in gone), labels.note)


def _found(run: Path, folder: Path) -> dict[str, Any]:
    """What the file holds, entries of later versions among it. Raises RunError where it can't be read."""
    try:
        return read_json_object(folder / LABELS_FILE, _MAX_BYTES)
    except FileNotFoundError:
        return {}
    except (OSError, DocumentError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise RunError(
            f"{run / LABELS_FILE}: can't be read: {reason}; correct it, or delete it to begin anew"
        ) from error


def _known(found: dict[str, Any]) -> RunLabels:
    """The labels in a file that somebody else may have written."""
    tags, note = found.get("tags"), found.get("note")
    named = [tag for tag in tags if isinstance(tag, str) and _TAG.fullmatch(tag)] if isinstance(tags, list) else []
    return RunLabels(
        tuple(dict.fromkeys(named))[:MOST_TAGS], note[:MOST_NOTE_CHARACTERS] if isinstance(note, str) else ""
    )


def _checked(labels: RunLabels) -> RunLabels:
    for tag in labels.tags:
        if not _TAG.fullmatch(tag):
            raise ConfigError(
                f"tag {tag!r}: must be 1 to 40 letters, digits or . _ + : / -, and begin with a letter or a digit"
            )
    if len(labels.tags) > MOST_TAGS:
        raise ConfigError(f"{len(labels.tags)} tags: a run has at most {MOST_TAGS}; remove some")
    if len(labels.note) > MOST_NOTE_CHARACTERS:
        raise ConfigError(f"note of {len(labels.note):,} characters: at most {MOST_NOTE_CHARACTERS:,} are kept")
    return labels
