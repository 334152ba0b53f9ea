"""Work on a few images at a time, so that what lies between two operations stays in the CPU's cache."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

# float32 pixels at a time. Buffers of this size are also kept by the C library's allocator: larger ones go back to
# the system and cost a page fault for every 4 kB when they are needed again (GaussianBlur of 3×32×32 images: 2.3 times
# the CPU time with 2 MB, benchmarks/data_path.py).
SLICE_BYTES = 768 << 10


def slices(images: Tensor, size: int = SLICE_BYTES) -> Iterator[slice]:
    """Pieces of a batch [n, C, H, W] whose float32 copies take up to `size` bytes.

    All of it on an accelerator, where fewer and larger kernels are better.
    """
    count = len(images)
    step = max(size // (4 * images[0].numel()), 1) if images.device.type == "cpu" and count else max(count, 1)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
