"""Downloading data sets from a server on this machine: progress, interruptions, resuming, checksums."""

import gzip
import hashlib
import http.server
import json
import re
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from json_documents import check_document
from torchvision import datasets
from torchvision.datasets import utils

from torchdeck.engine.data.datasets import http_download as transfer
from torchdeck.engine.data.datasets.download import download
from torchdeck.engine.data.datasets.http_download import TransferError, fetch_file
from torchdeck.engine.data.datasets.torchvision.transfers import transfers
from torchdeck.engine.errors import ConfigError, DataError
from torchdeck.tui.cli import run_command

CONTENT = np.random.default_rng(0).integers(0, 256, 400_000, dtype=np.uint8).tobytes()


@dataclass
class Server:
    """Files by name; how it behaves, and what it was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tag: str = '"first"'
    cut_after: int | None = None
    ranges: bool = True
    sends_length: bool = True
    requests: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(transfer, "_PAUSE_SECONDS", 0.01)
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, asked = self.path.lstrip("/"), self.headers.get("Range", "")
            state.requests.append((name, asked))
            content = state.files.get(name)
            if content is None:
                self.send_error(404)
                return
            start = 0
            if asked and state.ranges and self.headers.get("If-Range") == state.tag:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("ETag", state.tag)
            if state.sends_length:
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            body = content[start:]
            if state.cut_after is not None:
                body = body[: state.cut_after]
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listener.shutdown()
    listener.server_close()
    thread.join()


def silent(message: str, done: int, total: int) -> None:
    pass


def test_a_file_arrives_whole_with_progress(server: Server, tmp_path: Path) -> None:
    server.files["set.bin"] = CONTENT
    seen: list[tuple[str, int, int]] = []
    fetch_file(f"{server.address}/set.bin", tmp_path / "new/set.bin", lambda *state: seen.append(state))
    assert (tmp_path / "new/set.bin").read_bytes() == CONTENT
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["set.bin"]
    assert seen[0] == ("downloading set.bin (kB)", 0, 400) and seen[-1] == ("downloading set.bin (kB)", 400, 400)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_cut_connection_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.files["set.bin"], server.cut_after = CONTENT, 150_000
    fetch_file(f"{server.address}/set.bin", tmp_path / "set.bin", silent)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["", "bytes=150000-", "bytes=300000-"]


def test_what_was_ended_goes_on_the_next_time(server: Server, tmp_path: Path) -> None:
    server.files["set.bin"] = CONTENT

    class Enough(Exception):
        pass

    def enough(message: str, done: int, total: int) -> None:
        if done > 200:
            raise Enough

    with pytest.raises(Enough):
        fetch_file(f"{server.address}/set.bin", tmp_path / "set.bin", enough)
    assert not (tmp_path / "set.bin").exists()
    there = (tmp_path / "set.bin.part").stat().st_size
    assert 200_000 < there < len(CONTENT)
    fetch_file(f"{server.address}/set.bin", tmp_path / "set.bin", silent)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert server.requests[-1] == ("set.bin", f"bytes={there}-")


@pytest.mark.parametrize("change", ["another file", "no ranges", "shorter file"])
def test_a_part_of_another_file_is_not_mixed_in(change: str, server: Server, tmp_path: Path) -> None:
    server.files["set.bin"], server.cut_after = CONTENT, 0
    (tmp_path / "set.bin.part").write_bytes(CONTENT[:100_000])
    note = {"url": f"{server.address}/set.bin", "validator": server.tag}
    (tmp_path / "set.bin.part.json").write_text(json.dumps(note))
    server.cut_after = None
    server.files["set.bin"] = CONTENT[::-1] if change != "shorter file" else CONTENT[:50_000]
    server.tag = '"second"' if change == "another file" else server.tag
    server.ranges = change != "no ranges"
    fetch_file(f"{server.address}/set.bin", tmp_path / "set.bin", silent)
    assert (tmp_path / "set.bin").read_bytes() == server.files["set.bin"]


def test_a_server_that_does_not_say_how_much_there_is(server: Server, tmp_path: Path) -> None:
    server.files["set.bin"], server.sends_length = CONTENT, False
    totals = set()
    fetch_file(f"{server.address}/set.bin", tmp_path / "set.bin", lambda message, done, total: totals.add(total))
    assert (tmp_path / "set.bin").read_bytes() == CONTENT and totals == {0}


def test_a_file_that_can_not_be_had_says_what_to_put_where(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "set.bin"
    message = (
        f"{server.address}/set.bin can't be downloaded: the server answered 404 Not Found. You can also download "
    )
    with pytest.raises(TransferError, match=f"{message}it yourself and put it at {target}"):
        fetch_file(f"{server.address}/set.bin", target, silent)
    assert len(server.requests) == 1
    server.files["set.bin"], server.cut_after = CONTENT, 100_000
    server.ranges = False
    with pytest.raises(TransferError, match=r"connection .*; 0\.1 MB are kept"):
        fetch_file(f"{server.address}/set.bin", target, silent)


def test_a_disk_without_room_is_named_before_anything_is_fetched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["set.bin"] = CONTENT
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(TransferError, match="No space left: 0 MB needed, 0 MB free"):
        fetch_file(f"{server.address}/set.bin", tmp_path / "set.bin", silent)
    assert len(server.requests) == 1


def idx(array: np.ndarray[Any, Any]) -> bytes:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + b"".join(struct.pack(">I", size) for size in array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def kmnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """KMNIST as torchvision fetches it, ten samples of it, from the server of this test."""
    generator = np.random.default_rng(0)
    for part in ("train", "t10k"):
        server.files[f"{part}-images-idx3-ubyte.gz"] = idx(generator.integers(0, 256, (10, 28, 28)))
        server.files[f"{part}-labels-idx1-ubyte.gz"] = idx(np.arange(10))
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in server.files.items()]
    monkeypatch.setattr(datasets.KMNIST, "mirrors", [f"{server.address}/"])
    monkeypatch.setattr(datasets.KMNIST, "resources", resources)
    return server


def test_a_data_set_is_fetched_unpacked_and_opened(kmnist: Server, tmp_path: Path) -> None:
    messages = []
    done = download("KMNIST", str(tmp_path), lambda message, *_: messages.append(message))
    assert (done.name, done.samples) == ("KMNIST", {"train": 10, "test": 10})
    assert list(dict.fromkeys(messages)) == [f"downloading {name} (kB)" for name in kmnist.files]
    asked = len(kmnist.requests)
    download("KMNIST", str(tmp_path), silent)
    assert len(kmnist.requests) == asked


def test_a_file_with_another_checksum_is_not_kept(kmnist: Server, tmp_path: Path) -> None:
    name = "t10k-images-idx3-ubyte.gz"
    kmnist.files[name] = b"something else"
    with pytest.raises(DataError, match=rf"KMNIST: can't be downloaded(.|\n)*{name} differs from the published file"):
        download("KMNIST", str(tmp_path), silent)
    assert not (tmp_path / "KMNIST/raw" / name).exists()
    assert (tmp_path / "KMNIST/raw/train-images-idx3-ubyte").exists()


def test_ending_a_download_is_no_failed_mirror(kmnist: Server, tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(*_: Any) -> None:
        raise Cancelled

    original = utils._urlretrieve
    with pytest.raises(Cancelled):
        download("KMNIST", str(tmp_path), cancel)
    assert utils._urlretrieve is original


def test_a_failed_encrypted_transfer_is_not_tried_without_encryption(tmp_path: Path) -> None:
    with transfers(silent), pytest.raises(TransferError, match=r"^https:"):
        utils._urlretrieve("https://127.0.0.1:1/set.bin", str(tmp_path / "set.bin"))
    with transfers(silent), pytest.raises(TransferError):
        try:
            utils._urlretrieve("https://127.0.0.1:1/set.bin", str(tmp_path / "set.bin"))
        except OSError:
            utils._urlretrieve("http://127.0.0.1:1/set.bin", str(tmp_path / "set.bin"))


def test_torchvision_fetches_everything_through_the_functions_that_are_replaced() -> None:
    source = Path(utils.__file__).read_text(encoding="utf-8")
    body = source[source.index("def download_url(") : source.index("def list_dir(")]
    assert "_urlretrieve(url, fpath)" in body and "check_integrity(fpath, md5)" in body
    others = [
        file.name
        for file in Path(utils.__file__).parent.glob("*.py")
        if file.name != "utils.py"
        and re.search(r"urlopen|urlretrieve|requests\.get", file.read_text(encoding="utf-8"))
    ]
    assert others == []


def test_what_can_not_be_downloaded_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KMNIS: unknown data set; did you mean 'KMNIST'"):
        download("KMNIS", str(tmp_path), silent)
    with pytest.raises(ConfigError, match="ImageNet can't be downloaded; put"):
        download("ImageNet", str(tmp_path), silent)


def test_the_verb_says_what_is_there_now(kmnist: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["download", "KMNIST", "--root", str(tmp_path / "data")]
    assert run_command(arguments, None) == 0
    said = capsys.readouterr()
    assert said.out == f"KMNIST is in {tmp_path}/data: 10 train, 10 test\n"
    assert "train-images-idx3-ubyte.gz  0.0/0.0 MB" in said.err
    assert run_command([*arguments, "--json"], None) == 0
    said = capsys.readouterr()
    check_document("download", json.loads(said.out))
    assert json.loads(said.out)["samples"] == {"train": 10, "test": 10} and said.err == ""
    assert run_command(["download", "KMNIS"], None) == 2
    assert "did you mean 'KMNIST'" in capsys.readouterr().err
