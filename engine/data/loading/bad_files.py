"""Image files that can't be decoded: found before a run begins, in threads, and remembered for the next one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL

from ...config import RunConfig
from ...errors import DataError
from ...files.documents import parse_json
from ...files.regular_file import read_regular_file
from ...machine.thread_map import map_in_threads
from ...plurals import plural
from ...progress import Progress
from ...user_path import user_path
from ..datasets.images.folder import FolderDataset
from ..datasets.images.jpeg import torchcodec_decoder
from ..datasets.sources import DataSources, open_sources
from ..datasets.splits import Split
from .user_order import take_subset

_REPORT_EVERY = 16
_STATES_EVERY = 1024
_NAMED = 3
# Counts up when what is kept, or what is decoded, changes.
_FORMAT = 2
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class BadFile:
    """A file that can't be decoded.

    Attributes:
        path: path of the file.
        problem: why not, in the decoder's words.
    """

    path: str
    problem: str


def open_usable(config: RunConfig, progress: Progress) -> tuple[DataSources, list[BadFile]]:
    """Open the data of a run as it sees them.

    With `data.bad_files = "skip"` without the files that can't be decoded; with `loader.subset` that part of the
    training split.

    Raises:
        TorchdeckError: like `open_sources`; or no sample is left in a split.
    """
    sources, bad = open_sources(config.data, config.seed, progress), []
    if config.data.bad_files == "skip":
        splits = [split for split in (sources.train, sources.validation, sources.test) if split is not None]
        bad = find_bad_files(splits, user_path(config.data.cache), progress)
        sources = without_bad_files(sources, bad)
    if config.loader.subset:
        sources = replace(sources, train=take_subset(sources.train, config.loader.subset, config.seed))
    return sources, bad


def find_bad_files(splits: Iterable[Split], cache: Path, progress: Progress) -> list[BadFile]:
    """Decode every image file of some splits once; other data sets have no files of their own to look at.

    What was found is kept by the files' names, sizes and times: the next time it is known without decoding.

    Args:
        splits: opened splits; those of one data set are looked at together.
        cache: the folder where it is kept.
        progress: called with what is done, files done, files in all.
    """
    datasets = {id(split.dataset): split.dataset for split in splits}
    found: list[BadFile] = []
    for dataset in datasets.values():
        if isinstance(dataset, FolderDataset):
            found += _bad_files_of(dataset, cache, progress)
    return found


def find_unopenable(splits: Iterable[Split], progress: Progress) -> list[BadFile]:
    """Image files that aren't there, as a dangling link's, or are not regular files. Opens none.

    Args:
        splits: opened splits; those of one data set are looked at together.
        progress: called with what is done, files done, files in all.
    """
    datasets = {id(split.dataset): split.dataset for split in splits}
    found: list[BadFile] = []
    for dataset in datasets.values():
        if isinstance(dataset, FolderDataset):
            for done, (file, state) in enumerate(dataset.states()):
                if done % _STATES_EVERY == 0:
                    progress(f"looking for files of {dataset.root.name}", done, len(dataset))
                if state is None or not stat.S_ISREG(state.st_mode):
                    problem = "not there" if state is None else "not a regular file"
                    found.append(BadFile(str(dataset.root / file), problem))
    return found


def without_bad_files(sources: DataSources, bad: list[BadFile]) -> DataSources:
    """The data without those files. Which of the other samples are held out stays as it was.

    Raises:
        DataError: a split has nothing left.
    """
    if not bad:
        return sources
    paths = {file.path for file in bad}
    made: dict[int, Split] = {}
    for split in (sources.train, sources.validation, sources.test):
        if split is not None and id(split) not in made:
            made[id(split)] = _without(split, paths)
    test = None if sources.test is None else made[id(sources.test)]
    left_out = plural(len(bad), "image can't be decoded and is", "images can't be decoded and are")
    note = f"{left_out} left out: {_some(bad)}"
    return replace(
        sources,
        train=made[id(sources.train)],
        validation=made[id(sources.validation)],
        test=test,
        notes=[*sources.notes, note],
    )


def refuse_bad_files(bad: list[BadFile]) -> None:
    """Raise DataError that names some of the files and says how to skip them; does nothing for an empty list."""
    if bad:
        raise DataError(
            f"{plural(len(bad), 'image')} can't be decoded: {_some(bad)}; repair or remove them, or skip "
            'them with data.bad_files = "skip"'
        )


def _without(split: Split, paths: set[str]) -> Split:
    dataset = split.dataset
    if not isinstance(dataset, FolderDataset):
        return split
    indices = np.arange(len(dataset)) if split.indices is None else split.indices
    good = np.array([str(dataset.root / dataset.files[index]) not in paths for index in indices], dtype=bool)
    if good.all():
        return split
    if not good.any():
        raise DataError(
            f"{dataset.root}: none of the {split.name} split's {plural(len(good), 'image')} can be decoded"
        )
    targets = None if split.targets is None else split.targets[good]
    return replace(split, indices=indices[good], targets=targets)


def _bad_files_of(dataset: FolderDataset, cache: Path, progress: Progress) -> list[BadFile]:
    memory = cache / f"scan-{_state_of(dataset)}.json"
    found = _remembered(memory)
    if found is None:
        found = _decode_all(dataset, progress)
        _remember(memory, found)
    return [BadFile(str(dataset.root / file), problem) for file, problem in found.items()]


def _decode_all(dataset: FolderDataset, progress: Progress) -> dict[str, str]:
    """What is wrong with each file that can't be decoded, by its name relative to the root."""
    total = len(dataset)
    message = f"checking the files of {dataset.root.name} for damage"

    def problem_of(index: int) -> str | None:
        try:
            dataset[index]
        except DataError as error:
            return _without_path(str(error), dataset.root / dataset.files[index])
        return None

    found: dict[str, str] = {}
    with contextlib.closing(map_in_threads(problem_of, range(total), "decode")) as problems:
        for done, problem in enumerate(problems):
            if done % _REPORT_EVERY == 0:
                progress(message, done, total)
            if problem is not None:
                found[dataset.files[done]] = problem
    progress(message, total, total)
    return found


def _without_path(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}: ").removeprefix("can't be decoded: ")


def _state_of(dataset: FolderDataset) -> str:
    """A hash of the files' names, sizes and times, and of what decides whether one can be decoded."""
    decoders = f"{PIL.__version__} {torchcodec_decoder() is not None}"
    digest = hashlib.blake2b(f"{_FORMAT} {decoders} {dataset.mode}\0".encode(), digest_size=16)
    digest.update(os.fsencode(dataset.root.absolute()))
    for file, state in dataset.states():
        words = "?" if state is None else f"{state.st_size}\0{state.st_mtime_ns}\0"
        digest.update(f"{file}\0{words}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _remembered(memory: Path) -> dict[str, str] | None:
    try:
        known = parse_json(read_regular_file(memory, _MOST_BYTES))
    except (OSError, ValueError):
        return None
    is_known = isinstance(known, dict) and all(isinstance(problem, str) for problem in known.values())
    return known if is_known else None


def _remember(memory: Path, found: dict[str, str]) -> None:
    """Keep what was found. A cache folder that can't be written costs time the next time and nothing else."""
    fresh = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(found), encoding="utf-8")
        fresh.replace(memory)
    except OSError as error:
        print(f"the list of damaged images can't be cached: {error}")


def _some(bad: list[BadFile]) -> str:
    named = "; ".join(f"{file.path}: {file.problem}" for file in bad[:_NAMED])
    return named + (f"; and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else "")
