"""Makes torchdeck print UTF-8, whatever the locale."""

from __future__ import annotations

import io
import sys
from typing import Final

ENCODING: Final = "utf-8"
# A lone surrogate, from a file name that is not valid text, becomes a question mark.
ERRORS: Final = "replace"


def print_utf8() -> None:
    """Make this process print UTF-8. Under LC_ALL=C, Python would refuse to print characters outside ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=ENCODING, errors=ERRORS)
