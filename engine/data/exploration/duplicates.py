"""Exact duplicates within a split and between splits: what a model has seen in training it should not be tested on.

Image files are compared by their bytes: only files of equal size are read, so a large folder takes minutes, not hours;
the same picture saved twice in different ways is not found, unless decoded pixels are asked for. Everything else is
compared by decoded pixels, or by the values of what is not an image.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import TorchdeckError
from ...inputs import tensors_of
from ...progress import Progress
from ..datasets.images.files import open_binary
from ..datasets.images.folder import FolderDataset
from ..datasets.samples import as_tensors, read_sample
from ..datasets.sources import DataSources
from ..datasets.splits import Split
from ..datasets.targets import kind_of
from ..loading.storage import read_image
from .findings import VALUES, DuplicateExample, DuplicateReport
from .image_bytes import eye_image

_REPORT_EVERY = 256
_READ = 1 << 20
_PICTURES = 24

Member = tuple[str, int]  # name of the split, position in it


def find_duplicates(sources: DataSources, *, by_pixels: bool, progress: Progress) -> DuplicateReport:
    """Compare every sample with every other one, by hash.

    Args:
        sources: the opened data.
        by_pixels: decode image files as well, which finds copies that were saved in different ways.
        progress: called with what is done, samples done, samples in all.

    Raises:
        UserCodeError: the user's own data set failed.
    """
    splits = _distinct(sources)
    of_files = not by_pixels and all(isinstance(split.dataset, FolderDataset) for split in splits)
    hashed: dict[Hashable, list[Member]] = defaultdict(list)
    unreadable = 0
    for key, member in _files(splits, progress) if of_files else _samples(splits, progress):
        if key is None:
            unreadable += 1
        else:
            hashed[key].append(member)
    groups = [members for members in hashed.values() if len(members) > 1]
    by_name = {split.name: split for split in splits}
    labels = [[_label(by_name[name], position) for name, position in members] for members in groups]
    disagreeing = [len(set(found)) > 1 for found in labels]
    crossing = [len({name for name, _ in members}) > 1 for members in groups]
    order = sorted(range(len(groups)), key=lambda at: (not disagreeing[at], not crossing[at]))
    return DuplicateReport(
        compared="file bytes" if of_files else "decoded pixels" if sources.train.is_image else VALUES,
        samples={split.name: len(split) for split in splits},
        groups=len(groups),
        surplus=sum(max(sum(name == "train" for name, _ in members) - 1, 0) for members in groups),
        leaked=_leaked(groups, [split.name for split in splits if split.name != "train"]),
        disagreeing=sum(disagreeing),
        examples=[
            DuplicateExample(
                _picture(by_name[groups[at][0][0]], groups[at][0][1]),
                [(*member, label) for member, label in zip(groups[at], labels[at], strict=True)],
                [_name(by_name[name], position) for name, position in groups[at]],
            )
            for at in order[:_PICTURES]
        ],
        unreadable=unreadable,
    )


def _distinct(sources: DataSources) -> list[Split]:
    """The splits, the test split only where it is not the validation split itself."""
    splits = [sources.train, sources.validation]
    if sources.test is not None and sources.test is not sources.validation:
        splits.append(sources.test)
    return splits


def _files(splits: list[Split], progress: Progress) -> Iterator[tuple[Hashable | None, Member]]:
    """Keys of files: those of a size that no other file has need not be read."""
    total = sum(map(len, splits))
    by_size: dict[int, list[tuple[str, Member]]] = defaultdict(list)
    done = 0
    for split in splits:
        dataset = split.dataset
        assert isinstance(dataset, FolderDataset)
        for position in range(len(split)):
            if done % _REPORT_EVERY == 0:
                progress("reading file sizes", done, total)
            done += 1
            path = os.path.join(dataset.root, dataset.files[split.dataset_index(position)])
            try:
                by_size[os.stat(path).st_size].append((path, (split.name, position)))
            except OSError:
                yield None, (split.name, position)
    alike = [found for found in by_size.values() if len(found) > 1]
    total, done = sum(map(len, alike)), 0
    for found in alike:
        for path, member in found:
            if done % _REPORT_EVERY == 0:
                progress("comparing files of equal size", done, total)
            done += 1
            yield _file_hash(path), member


def _file_hash(path: str) -> bytes | None:
    digest = blake2b(digest_size=16)
    try:
        with open_binary(Path(path)) as file:
            while block := file.read(_READ):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()


def _samples(splits: list[Split], progress: Progress) -> Iterator[tuple[Hashable | None, Member]]:
    total = sum(map(len, splits))
    done = 0
    for split in splits:
        for position in range(len(split)):
            if done % _REPORT_EVERY == 0:
                progress("comparing samples", done, total)
            done += 1
            try:
                yield _sample_hash(split, position), (split.name, position)
            except TorchdeckError:
                yield None, (split.name, position)


def _sample_hash(split: Split, position: int) -> bytes:
    """Digest of an image's decoded pixels, or of every tensor of any other input."""
    sample = read_image(split, position)[0] if split.is_image else as_tensors(read_sample(split, position)[0])
    digest = blake2b(digest_size=16)
    tensors = list(tensors_of(sample))
    for tensor in tensors:
        digest.update(repr((tensor.shape, tensor.dtype)).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    if not tensors:
        # Text, for example.
        digest.update(repr(sample).encode())
    return digest.digest()


def _name(split: Split, position: int) -> str:
    index = split.dataset_index(position)
    return split.dataset.files[index] if isinstance(split.dataset, FolderDataset) else str(index)


def _picture(split: Split, position: int) -> NDArray[np.uint8] | None:
    """An image for the eye; None for what is none, or can't be read: files of the same bytes may be equally torn."""
    if not split.is_image:
        return None
    try:
        return eye_image(read_image(split, position)[0])
    except TorchdeckError:
        return None


def _label(split: Split, position: int) -> int:
    """The class index; -1 where targets are not classes."""
    if split.targets is None or kind_of(split.targets) != "classes":
        return -1
    return int(split.targets[position])


def _leaked(groups: list[list[Member]], others: list[str]) -> dict[str, int]:
    """Samples of each other split whose image is in the training split."""
    leaked = dict.fromkeys(others, 0)
    for members in groups:
        names = [name for name, _ in members]
        if "train" in names:
            for name in names:
                if name != "train":
                    leaked[name] += 1
    return leaked
