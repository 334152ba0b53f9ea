import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from torchdeck.engine.data.datasets.images import jpeg
from torchdeck.engine.data.datasets.images.folder import FolderDataset
from torchdeck.engine.data.datasets.images.jpeg import jpeg_header, read_jpeg, torchcodec_decoder
from torchdeck.engine.errors import DataError

needs_torchcodec = pytest.mark.skipif(torchcodec_decoder() is None, reason="torchcodec is not installed")


def photograph(mode: str = "RGB") -> Image.Image:
    """Smooth, as photographs are, with a size that is no multiple of the encoder's blocks."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    image = Image.fromarray(coarse[..., :3]).resize((61, 43), Image.Resampling.BICUBIC)
    return image.convert(mode)


def save(path: Path, image: Image.Image, orientation: int = 0, **options: Any) -> Path:
    exif = Image.Exif()
    exif[0x010E] = "a description before it"
    if orientation:
        exif[0x0112] = orientation
    image.save(path, "JPEG", quality=85, exif=exif, **options)
    return path


def by_pillow(path: Path, mode: str, turns: bool, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    with monkeypatch.context() as patched:
        patched.setattr(jpeg, "torchcodec_decoder", lambda: None)
        dataset = FolderDataset(path.parent, (path.name,), np.zeros(1, dtype=np.int64), mode, turns)
        pixels = torch.from_numpy(np.array(dataset[0][0]))
    return pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0)


@needs_torchcodec
@pytest.mark.parametrize("turns", [True, False])
@pytest.mark.parametrize("orientation", range(9))
def test_pixels_and_orientation_are_pillows(
    orientation: int, turns: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.jpg", photograph(), orientation)
    pixels = read_jpeg(path, "RGB", turns=turns)
    assert pixels is not None
    assert torch.equal(pixels, by_pillow(path, "RGB", turns, monkeypatch))


@needs_torchcodec
@pytest.mark.parametrize(
    ("stored", "mode", "options"),
    [
        ("L", "L", {}),
        ("L", "RGB", {}),
        ("RGB", "RGB", {"progressive": True}),
        ("RGB", "RGB", {"subsampling": 0}),
        ("RGB", "RGB", {"comment": b"\xff\xd8\xff\xe1Exif\0\0 in a comment"}),
    ],
)
def test_every_plain_kind_of_file_has_pillows_pixels(
    stored: str, mode: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.jpeg", photograph(stored), 6, **options)
    pixels = read_jpeg(path, mode, turns=True)
    assert pixels is not None
    assert torch.equal(pixels, by_pillow(path, mode, True, monkeypatch))


@pytest.mark.parametrize(("stored", "mode"), [("CMYK", "RGB"), ("RGB", "L")])
def test_what_may_differ_is_left_to_pillow(stored: str, mode: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", photograph(stored))
    assert read_jpeg(path, mode, turns=True) is None
    dataset = FolderDataset(tmp_path, ("a.jpg",), np.zeros(1, dtype=np.int64), mode)
    assert isinstance(dataset[0][0], Image.Image)


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", photograph())
    path.write_bytes(path.read_bytes()[:-400])
    assert read_jpeg(path, "RGB", turns=True) is None
    with pytest.raises(DataError, match=r"a\.jpg: can't be decoded: image file is truncated"):
        FolderDataset(tmp_path, ("a.jpg",), np.zeros(1, dtype=np.int64), "RGB")[0]


def test_a_header_is_read_and_no_cut_of_a_file_fails() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 8
    photograph().save(buffer, "JPEG", exif=exif)
    data = buffer.getvalue()
    header = jpeg_header(data)
    assert header is not None
    assert (header.height, header.width, header.channels, header.orientation) == (43, 61, 3, 8)
    for length in range(len(data)):
        jpeg_header(data[:length])
    assert jpeg_header(b"\x89PNG\r\n\x1a\n" + data) is None
    generator = np.random.default_rng(0)
    for _ in range(2000):
        broken = bytearray(data)
        broken[generator.integers(2, 200)] = generator.integers(256)
        jpeg_header(broken)


def test_without_torchcodec_pillow_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    torchcodec_decoder.cache_clear()
    try:
        assert read_jpeg(save(tmp_path / "a.jpg", photograph()), "RGB", turns=True) is None
    finally:
        torchcodec_decoder.cache_clear()
