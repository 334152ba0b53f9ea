"""`cache/metrics.columns`: the curves of a long run as columns of numbers, so that opening it parses nothing twice.

Anybody who reads a run may write it, it can be deleted at any time, and it counts only while `metrics.jsonl` still
begins with the bytes that it was made from. A file of numpy.savez: `header`, JSON, and the columns by their numbers.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...files.documents import parse_json
from ...files.durable import FileContent, atomic_write
from ...files.json_values import to_json
from ...files.regular_file import held_folder, open_regular_file
from ...run_files import METRICS_FILE
from .series import BLOCK_SERIES, STEP_SERIES, Curves, Points

CACHE_FOLDER = "cache"
CACHE_FILE = "metrics.columns"

# Parsing less than this takes less time than anybody sees.
WORTH_CACHING_BYTES = 4 << 20

# Another one is not read: its number, and the curves that every cache holds beside the logged ones.
_SERIES = (*STEP_SERIES, *BLOCK_SERIES)
_LAYOUT = [4, *_SERIES]
# Bytes at the beginning and before the end of what was read that must be the same for a cache to count.
_PROBE_BYTES = 64 << 10


@dataclass(frozen=True)
class CachedCurves:
    """Curves read from `metrics.jsonl` up to some position.

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
    """Write the cache. Returns False if that is impossible: a run of another user, a full disk."""
    try:
        (run / CACHE_FOLDER).mkdir(mode=0o755, exist_ok=True)
        probe = _probe(run / METRICS_FILE, cached.offset)
        with held_folder(run / CACHE_FOLDER) as folder:
            atomic_write(folder / CACHE_FILE, _writer(cached, probe), durable=False)
    except (OSError, TypeError, ValueError):
        return False
    return True


def load_curves(run: Path) -> CachedCurves | None:
    """The cache's content; None when there is none that belongs to the run's metrics as they are now."""
    try:
        with (
            os.fdopen(open_regular_file(run / CACHE_FOLDER / CACHE_FILE), "rb") as file,
            zipfile.ZipFile(file) as members,
        ):
            header = parse_json(_array(members, "header").item())
            if header["layout"] != _LAYOUT or header["probe"] != _probe(run / METRICS_FILE, header["offset"]):
                return None
            columns = [_array(members, f"arr_{number}") for number in range(header["arrays"])]
        points = {name: (columns[x], columns[y]) for name, (x, y) in header["columns"].items()}
        curves = Curves()
        if not curves.restore(points, header["blocks"], header["others"]):
            return None
        return CachedCurves(header["offset"], header["skipped"], header["malformed"], curves)
    except Exception:
        # What zipfile, numpy and json raise for bytes that nobody wrote like this is of every kind.
        return None


def _writer(cached: CachedCurves, probe: int) -> FileContent:
    columns: list[npt.NDArray[np.float64]] = []

    def number(column: npt.NDArray[np.float64]) -> int:
        """The column's place in the file; one that is there already, as steps mostly are, is not written again."""
        for place, other in enumerate(columns):
            if len(other) == len(column) and np.array_equal(other, column):
                return place
        columns.append(column)
        return len(columns) - 1

    points: dict[str, Points] = {
        name: cached.curves.points(name) for name in (*_SERIES, *sorted(cached.curves.logged))
    }
    places = {name: (number(x), number(y)) for name, (x, y) in points.items()}
    header = to_json(
        {
            "layout": _LAYOUT,
            "offset": cached.offset,
            "probe": probe,
            "skipped": cached.skipped,
            "malformed": cached.malformed,
            "arrays": len(columns),
            "columns": places,
            "blocks": cached.curves.newest_blocks,
            "others": cached.curves.other_records,
        }
    )
    return lambda file: np.savez(file, *columns, header=np.array(header))


def _array(members: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """One array of the file. Raises an exception of any kind where its bytes are not those that were written."""
    info = members.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("a member of the cache is compressed, which could be of any size")
    with members.open(info) as member:
        array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        # The checksum is compared where the member ends.
        if member.read(1):
            raise ValueError("a member of the cache is longer than its array")
    return array


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
