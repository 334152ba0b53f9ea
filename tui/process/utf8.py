"""What torchdeck prints is UTF-8, whatever the locale says."""

from __future__ import annotations

import io
import sys
from typing import Final

ENCODING: Final = "utf-8"
# A lone surrogate, from a file name that is no text, becomes a question mark.
ERRORS: Final = "replace"


def print_utf8() -> None:
    """Let this process print UTF-8. Under LC_ALL=C Python would refuse to print what that locale lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=ENCODING, errors=ERRORS)
