"""Download a file over HTTP: in pieces, with progress, resuming an interrupted attempt."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO

from ...files.documents import read_json_object
from ...progress import Progress

_PIECE = 1 << 16
_ATTEMPTS = 4
_PAUSE_SECONDS = 0.5
_TIMEOUT_SECONDS = 30.0
_KILOBYTE = 1000
_MAX_NOTE_BYTES = 64 << 10


class TransferError(urllib.error.URLError):
    """A file can't be fetched. The text says which, why, and what to do; a URLError, as torchvision's code expects."""

    def __str__(self) -> str:
        return str(self.reason)


def fetch_file(url: str, path: Path, progress: Progress, *, agent: str = "torchdeck") -> None:
    """Fetch `url` into `path`, which appears when it is complete.

    Until then the bytes are in `path` + ".part". They stay there when the transfer fails or is ended, and the next
    attempt asks the server for the rest, if its file is still the same one (RFC 9110, If-Range). A connection that is
    cut is retried a few times.

    Args:
        url: http or https; other schemes that urllib supports, without resuming.
        path: where it goes; its folder is made.
        progress: called with what is done, kilobytes done and in all (0 where the server doesn't say); what it raises
            ends the transfer.
        agent: how the request names itself.

    Raises:
        TransferError: it can't be had, or there is no space for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    problem: Exception | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        before = _size(part)
        try:
            _fetch_rest(url, path, part, progress, agent)
            return
        except urllib.error.HTTPError as error:
            # It holds the connection.
            error.close()
            problem = error
            if error.code < 500:
                break
        except (OSError, http.client.HTTPException) as error:
            problem = error
            if (isinstance(error, OSError) and error.filename is not None) or _is_full(error):
                # Our own disk, not the connection.
                break
            if _size(part) == before and attempt:
                break
    there = _size(part)
    kept = f"; {there / 1e6:.1f} MB are kept for the next attempt" if there else ""
    raise TransferError(
        f"{url} can't be downloaded: {_words(problem)}{kept}. You can also download it yourself and put it at {path}"
    ) from problem


def _fetch_rest(url: str, path: Path, part: Path, progress: Progress, agent: str) -> None:
    headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
    have, validator = _size(part), _validator(part, url)
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(_Encrypted, urllib.request.HTTPSHandler(context=_exact_ends()))
    try:
        response = opener.open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        # Nothing is left to ask for, or the file is another one: begin again.
        _forget(part)
        raise ConnectionError("the file on the server has changed since the download began") from error
    with response:
        goes_on = getattr(response, "status", 200) == http.client.PARTIAL_CONTENT
        done = have if goes_on else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None and length.isdigit() else 0
        _check_space(part, total - done)
        _note(part, url, response.headers.get("ETag") or response.headers.get("Last-Modified") or "")
        with part.open("ab" if goes_on else "wb") as file:
            done = _copy(response, file, done, total, f"downloading {path.name} (kB)", progress)
            file.flush()
            os.fsync(file.fileno())
    if total and done != total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")
    part.replace(path)
    _note_of(part).unlink(missing_ok=True)


class _Encrypted(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from an encrypted address to one that is not."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request to follow with. Raises HTTPError."""
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            reason = f"a redirect to {newurl}, which is not encrypted and not followed"
            raise urllib.error.HTTPError(req.full_url, code, reason, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _ExactEnds(ssl.SSLContext):
    """Tells a connection that was cut from one that its server ended, which matters where no length was sent."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As the base class does."""
        return super().wrap_socket(*args, **{**kwargs, "suppress_ragged_eofs": False})


def _exact_ends() -> ssl.SSLContext:
    context = _ExactEnds(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


def _copy(response: Any, file: BinaryIO, done: int, total: int, message: str, progress: Progress) -> int:
    """Copy what comes. Returns how many bytes of the file are there."""
    progress(message, done // _KILOBYTE, total // _KILOBYTE)
    while piece := response.read(_PIECE):
        file.write(piece)
        done += len(piece)
        progress(message, done // _KILOBYTE, total // _KILOBYTE)
    return done


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(28, f"No space left: {needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free", str(part))


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == 28


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _note(part: Path, url: str, validator: str) -> None:
    """Store the server's identifier of this version of the file; weak tags don't identify it (RFC 9110, 13.1.5)."""
    strong = "" if validator.startswith("W/") else validator
    _note_of(part).write_text(json.dumps({"url": url, "validator": strong}), encoding="utf-8")


def _validator(part: Path, url: str) -> str:
    try:
        note = read_json_object(_note_of(part), _MAX_NOTE_BYTES)
        return str(note["validator"]) if note["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)


def _words(problem: Exception | None) -> str:
    if isinstance(problem, urllib.error.HTTPError):
        return f"the server answered {problem.code} {problem.reason}"
    if isinstance(problem, urllib.error.URLError):
        return str(problem.reason)
    return str(problem) or type(problem).__name__
