"""Downloads over TLS from a server on this machine with a certificate of its own, cut off and otherwise."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torchdeck.engine.data.datasets import http_download
from torchdeck.engine.data.datasets.http_download import TransferError, fetch_file
from torchdeck.engine.progress import unreported

CONTENT = os.urandom(400_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; how it ends a connection, and what it was asked for."""

    cut_after: int | None = None
    sends_length = True
    location = ""

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server_port}/set.bin"

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the certificate hangs up."""

    def shutdown_request(self, request: Any) -> None:
        # As a cut cable does: without the notice by which TLS ends a connection.
        if self.cut_after is None:
            with contextlib.suppress(OSError, ValueError):
                request.unwrap()
        self.close_request(request)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        if self.server.location:
            self.send_response(302)
            self.send_header("Location", self.server.location)
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"first"')
        if self.server.sends_length:
            self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        body = CONTENT[start:]
        self.wfile.write(body if self.server.cut_after is None else body[: self.server.cut_after])

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("this machine has no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=case -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder / "both.pem"


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(http_download, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    with Server(certificate) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_whole_file_arrives(server: Server, tmp_path: Path) -> None:
    fetch_file(server.url, tmp_path / "set.bin", unreported)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["set.bin"]


def test_a_cut_transfer_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.cut_after = 150_000
    fetch_file(server.url, tmp_path / "set.bin", unreported)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert server.asked[0] == "" and all(asked.startswith("bytes=") for asked in server.asked[1:])


def test_a_cut_transfer_of_unknown_length_is_not_taken_for_whole(server: Server, tmp_path: Path) -> None:
    server.cut_after, server.sends_length = 100_000, False
    fetched = False
    for _ in range(5):
        try:
            fetch_file(server.url, tmp_path / "set.bin", unreported)
            fetched = True
            break
        except TransferError as error:
            assert "kept for the next attempt" in str(error)
            assert not (tmp_path / "set.bin").exists()
    # Every connection was cut, so nothing ever said that the file had ended.
    assert not fetched and not (tmp_path / "set.bin").exists()


def test_a_transfer_of_unknown_length_that_was_ended_properly_is_whole(server: Server, tmp_path: Path) -> None:
    server.sends_length = False
    fetch_file(server.url, tmp_path / "set.bin", unreported)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT


def test_a_certificate_that_nobody_vouches_for_is_refused_and_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(TransferError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_file(server.url, tmp_path / "set.bin", unreported)
    assert list(tmp_path.iterdir()) == [] and server.asked == []


def test_a_certificate_of_another_host_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_file(server.url.replace("127.0.0.1", "localhost"), tmp_path / "set.bin", unreported)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_an_address_without_encryption_is_not_followed(server: Server, tmp_path: Path) -> None:
    server.location = "http://127.0.0.1:1/set.bin"
    with pytest.raises(TransferError, match=r"a redirect to http://127\.0\.0\.1:1/set\.bin, which is not encrypted"):
        fetch_file(server.url, tmp_path / "set.bin", unreported)
    assert list(tmp_path.iterdir()) == []
