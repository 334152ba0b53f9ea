"""A bound for what a run prints: a log that has grown too long becomes `engine.log.1`, of which there is one."""

from __future__ import annotations

import os
from pathlib import Path

from ...files.regular_file import open_for_appending, open_regular_file

MAX_LOG_BYTES = 32 << 20
_BLOCK_BYTES = 1 << 20


def bound_log(log: Path, max_bytes: int = MAX_LOG_BYTES) -> bool:
    """Empty a log that is longer than allowed, and keep the end of it, as long as is allowed, as `<log>.1`.

    The file itself stays: the run, its worker processes and whatever else writes to it have it open for appending,
    and continue at its new start. Output between the last read and the truncation, microseconds, is lost.

    Returns:
        Whether the log was emptied.

    Raises:
        OSError: it can't be read or emptied, or there is no room for the copy; the log is as it was then.
    """
    try:
        if os.stat(log, follow_symlinks=False).st_size <= max_bytes:
            return False
        source = open_regular_file(log)
    except FileNotFoundError:
        return False
    kept = log.with_name(f"{log.name}.1")
    temporary = log.with_name(f".{kept.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as copy:
            os.lseek(source, max(0, os.fstat(source).st_size - max_bytes), os.SEEK_SET)
            # It may grow while it is copied, faster than it is copied: there is a last block in any case.
            for _ in range(2 * max_bytes // _BLOCK_BYTES + 2):
                if not (block := os.read(source, _BLOCK_BYTES)):
                    break
                copy.write(block)
        writing = open_for_appending(log)
        try:
            os.ftruncate(writing, 0)
        finally:
            os.close(writing)
        os.replace(temporary, kept)
    finally:
        os.close(source)
        temporary.unlink(missing_ok=True)
    return True
