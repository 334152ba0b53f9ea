"""The embedded digits."""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np

from .splits import ArrayDataset


def read_digits() -> ArrayDataset:
    """UCI's handwritten digits: 1,797 images [8, 8].

    Their gray levels 0 to 16 become uint8 as `round(level * 255 / 16)`, so that 16 is white like in other data sets.
    Source and license: `embedded/README.md`.
    """
    compressed = resources.files("torchdeck.engine.data.datasets").joinpath("embedded/digits.csv.gz").read_bytes()
    table = np.loadtxt(gzip.decompress(compressed).decode("ascii").splitlines(), delimiter=",", dtype=np.int64)
    pixels = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8)
    return ArrayDataset(pixels.reshape(-1, 8, 8), table[:, 64].copy())
