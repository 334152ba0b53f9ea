"""iTerm2's inline images, which WezTerm and VS Code show as well.

https://iterm2.com/documentation-images.html
"""

from __future__ import annotations

import base64


def encode(png: bytes, columns: int, rows: int) -> str:
    """The escape sequence that draws a PNG file at the cursor, stretched to `columns` × `rows` cells."""
    data = base64.standard_b64encode(png).decode("ascii")
    size = f"width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File=inline=1;size={len(png)};{size};doNotMoveCursor=1:{data}\x07"
