"""What a file says beside its pixels never costs them, on any way that they are read."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_cases import component, no_progress, open_and_build, run_config, write_images
from PIL import Image

from torchdeck.engine.data.datasets.images.folder import FolderDataset
from torchdeck.engine.data.exploration.image_sizes import look_at_sizes
from torchdeck.engine.data.exploration.preview import preview
from torchdeck.engine.data.loading.bad_files import find_bad_files
from torchdeck.engine.data.transforms.pipeline import to_tensor

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
TURN_180 = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHHI", 0x0112, 3, 1, 3, 0, 0)


def saved(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, form, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes, crc: int | None = None) -> bytes:
    checked = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checked)


def png(*chunks: bytes, at_end: bool = False) -> bytes:
    whole, at = saved("PNG"), -12 if at_end else 33
    return whole[:at] + b"".join(chunks) + whole[at:]


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    whole = saved("JPEG", quality=95, subsampling=0)
    made = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return whole[:2] + made + whole[2:]


def webp(flags: int, *around: tuple[bytes, bytes], before: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    plain = saved("WEBP", lossless=True)
    pixels = plain[12:16], plain[20 : 20 + struct.unpack("<I", plain[16:20])[0]]
    header = b"VP8X", bytes([flags, 0, 0, 0, 23, 0, 0, 15, 0, 0])
    parts = [
        name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for name, body in (header, *before, pixels, *around)
    ]
    whole = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def tiff(tag: int, kind: int, count: int, value: int, **options: object) -> bytes:
    """A TIFF file with one more entry in its directory, or another one."""
    data = saved("TIFF", **options)
    (first,) = struct.unpack_from("<I", data, 4)
    (number,) = struct.unpack_from("<H", data, first)
    entries = {data[at : at + 2]: data[at : at + 12] for at in range(first + 2, first + 2 + 12 * number, 12)}
    entries[struct.pack("<H", tag)] = struct.pack("<HHII", tag, kind, count, value)
    listed = sorted(entries.values(), key=lambda entry: struct.unpack_from("<H", entry)[0])
    directory = struct.pack("<H", len(listed)) + b"".join(listed) + struct.pack("<I", 0)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


BOMB = zlib.compress(bytes(4 << 20))
DAMAGED: dict[str, bytes] = {
    "exif.png": png(chunk(b"eXIf", b"nonsense")),
    "exif-at-end.png": png(chunk(b"eXIf", b"nonsense"), at_end=True),
    "exif-empty.png": png(chunk(b"eXIf", b"")),
    "exif-crc.png": png(chunk(b"eXIf", TURN_180[6:], crc=0)),
    "profile-method.png": png(chunk(b"iCCP", b"x\0\x05none")),
    "profile-bomb.png": png(chunk(b"iCCP", b"x\0\0" + BOMB)),
    "size.png": png(chunk(b"pHYs", b"\0")),
    "gamma.png": png(chunk(b"gAMA", b"\0")),
    "text-crc.png": png(chunk(b"tEXt", b"a\0b", crc=0)),
    "text-bomb.png": png(chunk(b"zTXt", b"x\0\0" + BOMB)),
    "text-method.png": png(chunk(b"zTXt", b"x\0\x05")),
    "animation.png": png(chunk(b"acTL", b"\0")),
    "raw-profile.png": png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      4\nzzzz\n")),
    "exif.webp": webp(0x08, (b"EXIF", b"nonsense")),
    "exif-cut.webp": webp(0x08, (b"EXIF", b"nonsense"))[:-4],
    "exif-missing.webp": webp(0x08),
    "profile.webp": webp(0x20, before=((b"ICCP", b"xx"),)),
    "exif.jpg": jpeg((0xE1, b"Exif\0\0nonsense")),
    "exif-cut.jpg": jpeg((0xE1, TURN_180[:20])),
    "profile.jpg": jpeg((0xE2, b"ICC_PROFILE\0")),
    "adobe.jpg": jpeg((0xEE, b"Adobe")),
    "photoshop.jpg": jpeg((0xED, b"Photoshop 3.0\0008BIM\x04")),
    "pictures.jpg": jpeg((0xE2, b"MPF\0zzzz")),
    "orientation.tif": tiff(0x0112, 2, 4, 0x61626364),
    "orientation-99.tif": tiff(0x0112, 3, 1, 99, compression="tiff_lzw"),
    "orientation-0.tif": tiff(0x0112, 3, 1, 0),
    "exif-far.tif": tiff(0x8769, 4, 1, 0xFFFFFFF0, compression="tiff_deflate"),
    "profile-far.tif": tiff(0x8773, 7, 5000, 0x7FFFFFFF),
    "type.tif": tiff(0x0131, 99, 1, 0),
}  # fmt: skip


@pytest.fixture(params=sorted(DAMAGED))
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder whose class a begins with a file with damaged metadata."""
    for label in ("a", "b"):
        write_images(tmp_path / "images" / label, 4, size=(24, 16))
    name = request.param
    (tmp_path / "images/a/0.png").unlink()
    (tmp_path / f"images/a/0.{name.rpartition('.')[2]}").write_bytes(DAMAGED[name])
    return tmp_path / "images"


def close(pixels: torch.Tensor) -> bool:
    """Whether they are the file's, as far as JPEG keeps them."""
    return pixels.shape == (3, 16, 24) and bool((pixels.float() - to_tensor(PIXELS).float()).abs().mean() < 30)


@pytest.mark.parametrize("storage", ["memory", "mmap", "encoded", "loader"])
def test_the_pixels_are_read_in_every_tier(storage: str, damaged: Path, tmp_path: Path) -> None:
    config = run_config(
        dataset=str(damaged),
        validation=0.25,
        storage=storage,
        cache=str(tmp_path / "cache"),
        loader={"shuffle": False},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sources, data = open_and_build(config)
        inputs = torch.cat([batch for loader in (data.train, data.validation) for batch, _ in loader.batches(0)])
    assert sources.train.indices is not None and sources.validation.indices is not None
    at = [*sources.train.indices.tolist(), *sources.validation.indices.tolist()].index(0)
    assert close(inputs[at] * 255)


@pytest.mark.filterwarnings("ignore")
def test_scan_sizes_and_preview_take_it_for_whole(damaged: Path, tmp_path: Path) -> None:
    config = run_config(dataset=str(damaged), validation=0.25)
    sources, _ = open_and_build(config)
    splits = [sources.train, sources.validation]
    assert find_bad_files(splits, tmp_path / "cache", no_progress) == []
    found = look_at_sizes(sources.train, range(len(sources.train)), progress=no_progress)
    assert found.unreadable == {} and list(found.sizes) == [(16, 24)]
    assert len(preview(sources, config.data, 0, 0, range(len(sources.train)), train=True)) == len(sources.train)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.png", lambda: png(chunk(b"eXIf", TURN_180[6:]), chunk(b"gAMA", b"\0"))),
        ("a.jpg", lambda: jpeg((0xE1, TURN_180), (0xE2, b"ICC_PROFILE\0"))),
        ("a.webp", lambda: webp(0x08, (b"EXIF", TURN_180[6:]), (b"XMP ", b"zz"))[:-2]),
    ],
)
def test_a_whole_exif_block_beside_a_damaged_one_of_another_kind_still_turns(
    name: str, make: Callable[[], bytes], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(make())
    dataset = FolderDataset(tmp_path, (name,), np.zeros(1, dtype=np.int64), "RGB")
    assert close(to_tensor(dataset[0][0]).flip((1, 2)))


@pytest.mark.parametrize("name", ["exif.png", "exif.webp", "exif.jpg", "exif-far.tif"])
def test_a_file_cut_within_its_pixels_is_still_refused(name: str, tmp_path: Path) -> None:
    write_images(tmp_path / "a", 2, size=(24, 16))
    (tmp_path / "a" / name).write_bytes(DAMAGED[name][:200])
    sources = open_and_build(run_config(dataset=str(tmp_path / "a" / ".."), validation=0.4, **SKIP))[0]
    (bad,) = find_bad_files([sources.train], tmp_path / "cache", no_progress)
    assert Path(bad.path).name == name


SKIP = {"storage": "loader", "train_transforms": [component("Resize", size=[8, 8])]}
