"""Archives made to do harm are refused whole; what is sound is unpacked whole."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from torchvision.datasets import imagenet, pcam, utils

from torchdeck.engine.config import DataConfig
from torchdeck.engine.data.datasets import unpacking
from torchdeck.engine.data.datasets.sources import open_parts
from torchdeck.engine.data.datasets.unpacking import (
    decompress_file,
    own_unpacking,
    unpack_tar,
    unpack_zip,
)
from torchdeck.engine.errors import DataError

Member = tuple[str, bytes, bytes]  # name, type, content or link target
FILE, LINK, NAME, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def tar_of(path: Path, *members: Member, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == FILE:
                info.size = len(content)
            else:
                info.linkname = content.decode()
            archive.addfile(info, io.BytesIO(content) if kind == FILE else None)
    return path


def zip_of(path: Path, *members: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder to unpack into, with a file of the user's beside it and one in it."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("mine")
    (tmp_path / "outside").write_text("mine")
    return tmp_path / "set"


HOSTILE_TARS: dict[str, tuple[Member, ...]] = {
    "a name that climbs": (("../outside", FILE, b"theirs"),),
    "a name that climbs later": (("a/../../outside", FILE, b"theirs"),),
    "an absolute name": (("/tmp/torchdeck-outside", FILE, b"theirs"),),
    "a link out": (("link", LINK, b"../outside"),),
    "an absolute link": (("link", LINK, b"/etc"),),
    "a name of a file outside": (("link", NAME, b"../outside"),),
    "a link and then a file through it": (("link", LINK, b".."), ("link/outside", FILE, b"theirs")),
    "a link inside and then a folder there": (("a", FOLDER, b""), ("b", LINK, b"a"), ("b/c", FILE, b"x")),
    "a chain of links": (("a", LINK, b"."), ("a/b", LINK, b".."), ("a/b/outside", FILE, b"theirs")),
    "a name of a link": (("link", LINK, b"mine"), ("name", NAME, b"link")),
    "a character device": (("device", tarfile.CHRTYPE, b""),),
    "a block device": (("device", tarfile.BLKTYPE, b""),),
    "a FIFO": (("fifo", tarfile.FIFOTYPE, b""),),
    "an unknown kind": (("odd", b"Z", b""),),
    "a file and a folder": (("a", FILE, b"x"), ("a/b", FILE, b"x")),
    "a folder and a file": (("a/b", FILE, b"x"), ("a", FILE, b"x")),
}


@pytest.mark.parametrize("kind", HOSTILE_TARS)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_would_do_harm_is_refused_and_leaves_nothing(place: Path, kind: str, mode: str) -> None:
    members = (("good", FILE, b"good"), *HOSTILE_TARS[kind])
    archive = tar_of(place.parent / "set.tar", *members, mode=mode)
    with pytest.raises(DataError, match=r"set\.tar: (not unpacked: its member|can't be unpacked)"):
        unpack_tar(archive, place, ".gz" if mode == "w:gz" else None)
    assert everything_in(place) == {"mine"} and (place.parent / "outside").read_text() == "mine"
    assert not Path("/tmp/torchdeck-outside").exists()


HOSTILE_ZIPS = {
    "a name that climbs": ("../outside", b"theirs", 0),
    "an absolute name": ("/tmp/torchdeck-outside", b"theirs", 0),
    "a link": ("link", b"../outside", stat.S_IFLNK | 0o777),
    "a device": ("device", b"", stat.S_IFCHR | 0o666),
    "a file in a file": ("good/b", b"x", 0),
}


@pytest.mark.parametrize("kind", HOSTILE_ZIPS)
def test_a_zip_that_would_do_harm_is_refused_and_leaves_nothing(place: Path, kind: str) -> None:
    archive = zip_of(place.parent / "set.zip", ("good", b"good", 0), HOSTILE_ZIPS[kind])
    with pytest.raises(DataError, match=r"set\.zip: not unpacked: its member"):
        unpack_zip(archive, place)
    assert everything_in(place) == {"mine"} and (place.parent / "outside").read_text() == "mine"


def bomb_zip(path: Path) -> Callable[[Path], None]:
    zip_of(path, *((f"part{number}", bytes(1 << 20), 0) for number in range(12)))
    return lambda place: unpack_zip(path, place)


def bomb_tar(path: Path) -> Callable[[Path], None]:
    tar_of(path, ("zeros", FILE, bytes(12 << 20)), mode="w:gz")
    return lambda place: unpack_tar(path, place, ".gz")


def bomb_of_headers(path: Path) -> Callable[[Path], None]:
    tar_of(path, *[("a", FOLDER, b"")] * 18_000, mode="w:gz")
    return lambda place: unpack_tar(path, place, ".gz")


def bomb_gz(path: Path) -> Callable[[Path], None]:
    path.write_bytes(gzip.compress(bytes(12 << 20)))
    return lambda place: decompress_file(path, place / "zeros", ".gz")


def bomb_of_holes(path: Path) -> Callable[[Path], None]:
    # A sparse file of 1 TB in the old GNU format, with one hole from its beginning to its end.
    info = tarfile.TarInfo("holes")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % (1 << 33 - 1)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
    path.write_bytes(bytes(header) + bytes(1024))
    return lambda place: unpack_tar(path, place)


@pytest.mark.parametrize("make", [bomb_zip, bomb_tar, bomb_of_headers, bomb_gz, bomb_of_holes])
def test_what_unpacks_to_far_more_than_data_does_is_refused_and_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Callable[[Path], None]]
) -> None:
    monkeypatch.setattr(unpacking, "_ALWAYS_ALLOWED_BYTES", 8 << 20)
    monkeypatch.setattr(unpacking, "_MOST_TIMES", 50)
    unpack = make(place.parent / "bomb")
    with pytest.raises(DataError, match=r"bomb: not unpacked: its .* MB would become more than .* GB"):
        unpack(place)
    assert everything_in(place) == {"mine"}


def test_a_member_that_is_longer_than_it_says_is_refused(place: Path) -> None:
    archive = zip_of(place.parent / "set.zip", ("a", b"x" * 1000, 0))
    content = archive.read_bytes()
    archive.write_bytes(content.replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match="can't be unpacked"):
        unpack_zip(archive, place)
    assert everything_in(place) == {"mine"}


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz", "set.zip", "set.gz"])
def test_an_archive_that_ends_early_leaves_nothing_that_looks_whole(place: Path, name: str, kept: float) -> None:
    archive = place.parent / name
    content = os.urandom(200_000)
    if name.endswith(".zip"):
        zip_of(archive, ("a", content, 0), ("b", content, 0))
    elif ".tar" in name:
        tar_of(archive, ("a", FILE, content), ("b", FILE, content), mode="w:gz" if name.endswith("gz") else "w")
    else:
        archive.write_bytes(gzip.compress(content))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * kept)])
    with own_unpacking(), pytest.raises(DataError, match="download it again"):
        utils.extract_archive(str(archive), str(place))
    assert everything_in(place) == {"mine"}


def test_a_file_that_is_there_twice_is_the_last_of_them(place: Path) -> None:
    unpack_tar(tar_of(place.parent / "set.tar", ("a", FILE, b"1"), ("a", FILE, b"2")), place)
    assert (place / "a").read_bytes() == b"2"


def test_a_sound_archive_is_unpacked_whole_with_its_links_and_no_more_than_plain_permissions(place: Path) -> None:
    members: tuple[Member, ...] = (
        ("./", FOLDER, b""),
        ("./set/images/a.png", FILE, b"a"),
        ("./set/images", FOLDER, b""),
        ("./set/latest", LINK, b"images/a.png"),
        ("./set/again.png", NAME, b"./set/images/a.png"),
        ("./mine", FILE, b"of the archive"),
    )
    (place / "set").mkdir()
    (place / "set" / "labels.txt").write_text("mine")
    for name, mode in (("set.tar", "w"), ("set.tgz", "w:gz"), ("set.tar.xz", "w:xz"), ("set.tar.bz2", "w:bz2")):
        archive = tar_of(place.parent / name, *members, mode=mode)
        with own_unpacking():
            utils.extract_archive(str(archive), str(place))
        assert everything_in(place) == {
            *("mine", "set", "set/labels.txt", "set/images", "set/images/a.png", "set/latest", "set/again.png")
        }
        assert (place / "set" / "latest").read_bytes() == (place / "set" / "again.png").read_bytes() == b"a"
        assert stat.S_IMODE((place / "set" / "images" / "a.png").stat().st_mode) & 0o7022 == 0
    assert (place / "mine").read_bytes() == b"of the archive"


def test_a_hostile_archive_that_opening_unpacks_is_refused_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision unpacks ImageNet's files, which the user put there, whenever it is opened."""
    monkeypatch.setattr(imagenet, "_verify_archive", lambda *_: None)
    root = tmp_path / "root"
    root.mkdir()
    (root / "meta.bin").write_bytes(b"")
    tar_of(root / "ILSVRC2012_img_train.tar", ("n01", FILE, b"sound"), ("../outside", FILE, b"evil"))
    with pytest.raises(DataError, match="leads out of the folder"):
        open_parts(DataConfig(dataset="ImageNet", root=str(root)))
    assert everything_in(tmp_path) == {"root", "root/meta.bin", "root/ILSVRC2012_img_train.tar"}


def test_torchvisions_own_functions_are_back_when_the_last_block_ends() -> None:
    own = dict(utils._ARCHIVE_EXTRACTORS), utils._decompress, pcam._decompress
    with own_unpacking():
        with own_unpacking():
            assert utils._ARCHIVE_EXTRACTORS[".tar"] is unpack_tar
        assert utils._ARCHIVE_EXTRACTORS[".tar"] is unpack_tar
    assert (dict(utils._ARCHIVE_EXTRACTORS), utils._decompress, pcam._decompress) == own
