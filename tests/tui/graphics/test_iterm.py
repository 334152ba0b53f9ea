"""iTerm2's inline images."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from torchdeck.tui.graphics import iterm
from torchdeck.tui.graphics.pixels import png


def test_an_image_arrives_pixel_for_pixel_with_its_size_in_cells() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    sequence = iterm.encode(png(rgb), 12, 8)
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", sequence)
    assert found is not None
    options = dict(option.split("=") for option in found[1].split(";"))
    data = base64.b64decode(found[2])
    assert options["size"] == str(len(data))
    assert (options["inline"], options["width"], options["height"]) == ("1", "12", "8")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), rgb)
