"""`cache/metrics.columns`: the curves of a long run as columns of numbers, so that opening it parses nothing twice.

Anybody who reads a run may write it, it can be deleted at any time, and it counts only while `metrics.jsonl` still
begins with the bytes that it was made from. Layout: a line with a checksum and JSON, then the columns as
little-endian float64.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...files.durable import FileContent, atomic_write
from ...files.json_values import to_json
from ...files.regular_file import open_regular_file
from .directory import METRICS_FILE
from .series import STEP_SERIES, Curves, Points

CACHE_FOLDER = "cache"
CACHE_FILE = "metrics.columns"

# Parsing less than this takes less time than anybody sees.
WORTH_CACHING_BYTES = 4 << 20

_VERSION = 1
_MAX_HEADER_BYTES = 64 << 20
# Bytes at the beginning and before the end of what was read that must be the same for a cache to count.
_PROBE_BYTES = 64 << 10


@dataclass(frozen=True)
class CachedCurves:
    """What reading `metrics.jsonl` up to some place gave.

    Attributes:
        offset: bytes of the file that were read, up to the end of a line.
        skipped: lines among them that were no JSON objects.
        malformed: records among them that didn't have the form they should have.
        curves: the rest.
    """

    offset: int
    skipped: int
    malformed: int
    curves: Curves


def store_curves(run: Path, cached: CachedCurves) -> bool:
    """Write the cache. False when the directory takes none: a run of somebody else, a full disk."""
    try:
        folder = run / CACHE_FOLDER
        folder.mkdir(exist_ok=True)
        probe = _probe(run / METRICS_FILE, cached.offset)
        atomic_write(folder / CACHE_FILE, _writer(cached, probe), durable=False)
    except (OSError, TypeError, ValueError):
        return False
    return True


def load_curves(run: Path) -> CachedCurves | None:
    """The cache's content; None when there is none that belongs to the run's metrics as they are now."""
    try:
        with os.fdopen(open_regular_file(run / CACHE_FOLDER / CACHE_FILE), "rb") as file:
            header = _read_header(file)
            if header["version"] != _VERSION or header["series"] != list(STEP_SERIES):
                return None
            if _probe(run / METRICS_FILE, header["offset"]) != header["probe"]:
                return None
            columns = [_read_column(file, length) for length in header["lengths"]]
        if [zlib.crc32(column.data) for column in columns] != header["checksums"]:
            return None
        points = {name: (columns[x], columns[y]) for name, (x, y) in header["columns"].items()}
        curves = Curves()
        if not curves.restore(points, header["blocks"], header["others"]):
            return None
        return CachedCurves(header["offset"], header["skipped"], header["malformed"], curves)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
        return None


def _writer(cached: CachedCurves, probe: int) -> FileContent:
    columns: list[npt.NDArray[np.float64]] = []

    def number(column: npt.NDArray[np.float64]) -> int:
        """The column's place in the file; one that is there already, as steps mostly are, is not written again."""
        for place, other in enumerate(columns):
            if len(other) == len(column) and np.array_equal(other, column):
                return place
        columns.append(np.ascontiguousarray(column, dtype="<f8"))
        return len(columns) - 1

    points: dict[str, Points] = {name: cached.curves.points(name) for name in STEP_SERIES}
    places = {name: (number(x), number(y)) for name, (x, y) in points.items()}
    header = to_json(
        {
            "version": _VERSION,
            "series": STEP_SERIES,
            "offset": cached.offset,
            "probe": probe,
            "skipped": cached.skipped,
            "malformed": cached.malformed,
            "lengths": [len(column) for column in columns],
            "checksums": [zlib.crc32(column.data) for column in columns],
            "columns": places,
            "blocks": cached.curves.newest_blocks,
            "others": cached.curves.other_records,
        }
    )

    def write(file: Any) -> None:
        file.write(b"%08x %s\n" % (zlib.crc32(header), header))
        for column in columns:
            file.write(column.data)

    return write


def _read_header(file: Any) -> dict[str, Any]:
    checksum, _, header = file.readline(_MAX_HEADER_BYTES).rstrip(b"\n").partition(b" ")
    if int(checksum, 16) != zlib.crc32(header):
        raise ValueError("the cache's header is damaged")
    content = json.loads(header)
    if not isinstance(content, dict):
        raise TypeError("the cache's header is no object")
    return content


def _read_column(file: Any, length: int) -> npt.NDArray[np.float64]:
    left = os.fstat(file.fileno()).st_size - file.tell()
    if not 0 <= length <= left // 8:
        raise ValueError("the cache is cut short")
    content = file.read(8 * length)
    if len(content) != 8 * length:
        raise ValueError("the cache is cut short")
    column: npt.NDArray[np.float64] = np.frombuffer(content, dtype="<f8")
    return column


def _probe(path: Path, offset: int) -> int:
    """A checksum of the length, the first and the last bytes of the first `offset` bytes of a file.

    Raises:
        OSError: it can't be read.
        ValueError: it is shorter.
    """
    with os.fdopen(open_regular_file(path), "rb", buffering=0) as file:
        if not 0 <= offset <= os.fstat(file.fileno()).st_size:
            raise ValueError("shorter than what was read")
        checksum = zlib.crc32(file.read(min(offset, _PROBE_BYTES)), offset)
        file.seek(max(0, offset - _PROBE_BYTES))
        return zlib.crc32(file.read(min(offset, _PROBE_BYTES)), checksum)
