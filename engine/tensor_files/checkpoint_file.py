"""Inspect a checkpoint file without torch and without running code from it.

Knows the zip files of torch.save, its older format, and safetensors. Reads the tables and not the tensors: a file of
gigabytes takes milliseconds.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NotRequired, TypedDict

from ..errors import CheckpointError
from ..files.regular_file import open_regular_file
from .bounds import MAX_PICKLE_BYTES
from .object_tree import Contents, TensorInfo, contents_of
from .pickle_tree import PickleReader, storage_key
from .safetensors_file import read_safetensors_header
from .zip_directory import data_offset, read_zip_directory

_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
_LEGACY_PICKLES = 5


@dataclass(frozen=True)
class Span:
    """A part of a file whose checksum is known."""

    name: str
    offset: int
    bytes: int
    crc32: int


@dataclass(frozen=True)
class CheckpointReport:
    """Contents of a checkpoint file.

    Attributes:
        path: the file.
        format: "torch zip", "torch legacy" or "safetensors".
        bytes: the file's size.
        tensors: every tensor with its dotted name, shape, dtype and size.
        keys: names of the top level, in order.
        values: the plain values by dotted name, long ones shortened.
        epoch: completed epochs, if the file contains them.
        step: completed optimizer steps, if the file contains them.
        metrics: its metrics, where it has any.
        config: TOML text of the run that saved it; empty when it isn't torchdeck's.
        foreign: classes and functions that the file wants to be used, which loading it would need.
        oversized: name of the tensor that is largest beside the data stored for it, where such tensors would fill the
            memory once they are copied out of the file; empty as it should be.
        checksums: the parts of the file with their checksums; empty where the format has none.
    """

    path: Path
    format: str
    bytes: int
    tensors: list[TensorInfo]
    keys: list[str]
    values: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    config: str = ""
    foreign: list[str] = field(default_factory=list)
    oversized: str = ""
    checksums: list[Span] = field(default_factory=list)

    @property
    def is_own(self) -> bool:
        """Whether a run of torchdeck saved it, in whatever version."""
        return "torchdeck_format" in self.keys


class TensorDocument(TypedDict):
    """A tensor of a checkpoint file.

    Attributes:
        name: dotted name in the file.
        shape: size of each dimension; empty for a scalar.
        dtype: such as float32.
        bytes: size of its values in bytes.
        norm: Euclidean norm; None where it was not measured or is not finite; only with --norms.
    """

    name: str
    shape: list[int]
    dtype: str
    bytes: int
    norm: NotRequired[float | None]


class ReportDocument(TypedDict):
    """Contents of a checkpoint file.

    Attributes:
        format: "torch zip", "torch legacy" or "safetensors".
        bytes: the file's size in bytes.
        tensors: every tensor with its dotted name, shape, dtype and size.
        keys: names of the top level, in order.
        epoch: completed epochs; None if the file does not contain them.
        step: completed optimizer steps; None if the file does not contain them.
        metrics: the file's metrics by name; empty if it contains none.
        values: plain values by dotted name, long ones shortened.
        foreign: classes and functions that loading the file would need.
    """

    format: str
    bytes: int
    tensors: list[TensorDocument]
    keys: list[str]
    epoch: int | None
    step: int | None
    metrics: dict[str, float]
    values: dict[str, Any]
    foreign: list[str]


def inspect_checkpoint(path: Path) -> CheckpointReport:
    """What a file holds.

    Raises:
        CheckpointError: it is not a checkpoint, is damaged, or is built to do harm; the text says which.
    """
    with open_checkpoint(path) as file:
        return inspect_open_file(file, path)


def open_checkpoint(path: Path) -> BinaryIO:
    """A regular file, opened for reading. Raises CheckpointError."""
    try:
        return os.fdopen(open_regular_file(path, follow_links=True), "rb")
    except OSError as error:
        raise CheckpointError(f"{path}: can't be opened: {error.strerror or error}") from error


def inspect_open_file(file: BinaryIO, path: Path) -> CheckpointReport:
    """Like `inspect_checkpoint`, of a file that is open; `path` is for the messages."""
    try:
        size = os.fstat(file.fileno()).st_size
        return _inspect(file, path, size)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error.__cause__
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise CheckpointError(f"{path}: can't be read: what it holds needs more memory than there is") from error
    except (
        struct.error,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise CheckpointError(f"{path}: is damaged ({type(error).__name__})") from error


def report_json(report: CheckpointReport) -> ReportDocument:
    """The document of `torchdeck checkpoint --json`."""
    tensors: list[TensorDocument] = [
        {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype, "bytes": tensor.bytes}
        for tensor in report.tensors
    ]
    return {
        "format": report.format,
        "bytes": report.bytes,
        "tensors": tensors,
        "keys": report.keys,
        "epoch": report.epoch,
        "step": report.step,
        "metrics": report.metrics,
        "values": report.values,
        "foreign": report.foreign,
    }


def _inspect(file: BinaryIO, path: Path, size: int) -> CheckpointReport:
    head = file.read(16)
    if not head:
        raise CheckpointError("is empty: the save was interrupted before any data reached the disk")
    if head[:4] == b"PK\3\4":
        return _inspect_zip(file, path, size)
    if head.startswith(_LEGACY_MAGIC):
        return _inspect_legacy(file, path, size)
    if head[8:9] == b"{":
        tensors, values = read_safetensors_header(file, size)
        keys = [tensor.name for tensor in tensors]
        return CheckpointReport(path, "safetensors", size, tensors, keys, dict(values))
    if head[:1] == b"\x80":
        raise CheckpointError("is a bare pickle, not a PyTorch checkpoint: opening it would run code from it")
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        raise CheckpointError("is an HDF5 file (Keras), not a PyTorch checkpoint")
    if head[:4] == b"GGUF":
        raise CheckpointError("is a GGUF file, not a PyTorch checkpoint")
    if not any(head):
        raise CheckpointError("starts with zeros: its data never reached the disk (power loss during a save)")
    raise CheckpointError("is not a checkpoint (expected a torch.save or .safetensors file)")


def _inspect_zip(file: BinaryIO, path: Path, size: int) -> CheckpointReport:
    entries = read_zip_directory(file, size)
    roots = {name.partition("/")[0] for name in entries}
    root = next(iter(roots), "")
    if len(roots) != 1 or f"{root}/data.pkl" not in entries:
        raise CheckpointError("is a zip archive, but not one of torch.save")
    spans = {
        name: Span(name.partition("/")[2], data_offset(file, entry), entry.bytes, entry.crc32)
        for name, entry in entries.items()
    }
    if any(span.offset + span.bytes > size for span in spans.values()):
        raise CheckpointError("is damaged: it declares more data than the file has")
    # torch can be configured not to compute checksums; then all of them are 0.
    checksums = list(spans.values()) if any(span.crc32 for span in spans.values()) else []
    pickled = _read_span(file, spans[f"{root}/data.pkl"], check=bool(checksums))
    reader = PickleReader(pickled)
    tree = reader.read()
    begins: dict[str, int] = {}
    for storage in reader.storages.values():
        span = spans.get(f"{root}/data/{storage.key}")
        if span is None or span.bytes != storage.bytes:
            raise CheckpointError(f"is damaged: its storage {storage.key} does not have the declared size")
        begins[storage.key] = span.offset
    order = spans.get(f"{root}/byteorder")
    if order is not None and _read_span(file, order, check=bool(checksums)) != b"little":
        raise CheckpointError("was written on a big-endian machine; save it again on this kind of machine")
    return _report(path, "torch zip", size, contents_of(tree, reader, begins), checksums)


def _read_span(file: BinaryIO, span: Span, *, check: bool) -> bytes:
    if span.bytes > MAX_PICKLE_BYTES:
        raise CheckpointError(f"its table of objects is larger than {MAX_PICKLE_BYTES >> 20} MB")
    file.seek(span.offset)
    data = file.read(span.bytes)
    if check and zlib.crc32(data) != span.crc32:
        raise CheckpointError(f"is damaged: the checksum of its part {span.name} is wrong")
    return data


def _inspect_legacy(file: BinaryIO, path: Path, size: int) -> CheckpointReport:
    """The format before torch 1.6: five pickles (the fourth has the objects, the fifth the storage keys), storages."""
    readers, trees = _read_legacy_pickles(file, size)
    objects, keys = readers[3], trees[4]
    if not isinstance(keys, list):
        raise CheckpointError("is damaged: its list of storages is garbled")
    position = readers[4].position
    begins: dict[str, int] = {}
    names = [storage_key(key) for key in keys]
    for name in names:
        storage = objects.storages.get(name)
        file.seek(position)
        header = file.read(8)
        if storage is None or len(header) < 8 or int.from_bytes(header, "little") != storage.count:
            raise CheckpointError("is damaged or truncated: a storage does not have the declared size")
        begins[storage.key] = position + 8
        position += 8 + storage.bytes
        if position > size:
            raise CheckpointError("is truncated: the save was interrupted, or the copy is incomplete")
    if missing := objects.storages.keys() - set(names):
        raise CheckpointError(f"is damaged: its storage {min(missing)} is missing")
    return _report(path, "torch legacy", size, contents_of(trees[3], objects, begins), [])


def _read_legacy_pickles(file: BinaryIO, size: int) -> tuple[list[PickleReader], list[Any]]:
    """The five pickles at the file's beginning, whose length is written nowhere: read more until they end."""
    length = 1 << 20
    while True:
        file.seek(0)
        buffer = file.read(min(size, length))
        readers: list[PickleReader] = []
        trees = []
        try:
            for _ in range(_LEGACY_PICKLES):
                readers.append(PickleReader(buffer, readers[-1].position if readers else 0))
                trees.append(readers[-1].read())
            return readers, trees
        except CheckpointError:
            if length >= min(size, MAX_PICKLE_BYTES):
                raise
            length *= 4


def _report(path: Path, form: str, size: int, contents: Contents, checksums: list[Span]) -> CheckpointReport:
    return CheckpointReport(
        path=path,
        format=form,
        bytes=size,
        tensors=contents.tensors,
        keys=contents.keys,
        values=contents.values,
        epoch=contents.epoch,
        step=contents.step,
        metrics=contents.metrics,
        config=contents.config,
        foreign=contents.foreign,
        oversized=contents.oversized,
        checksums=checksums,
    )
