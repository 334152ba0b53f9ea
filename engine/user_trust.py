"""Trust in the user's Python files, commands and web addresses: what a config would use, and what was approved.

Imports no torch, and runs and imports nothing of the files: they are read as text.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .config import RunConfig
from .config.secret_keys import is_literal
from .config.secret_settings import MissingSecretError, secret_value, secrets_in_word
from .files.documents import DocumentError
from .files.private_store import PrivateStore
from .files.regular_file import open_regular_file
from .files.state_folder import state_folder
from .user_code import import_root, is_user_spec, module_file
from .user_path import user_path

_SPEC = re.compile(r"""[^\s"'=,\[\]{}]+\.py(?::[\w.]+)?""")
# Files of one config; with more imports, the code to approve is unknown, and the question is asked every time.
_MAX_FILES = 5000
# Of a longer file the imports are not looked for: every file beside it counts as one.
_MAX_PARSED_BYTES = 4 << 20
_PIECE_BYTES = 1 << 20
_COMMAND = "notify.command"
_WEBHOOK = "notify.webhook"


@dataclass(frozen=True)
class CodeFile:
    """A Python file that a config names, with what it brings along.

    Attributes:
        path: the file, absolute.
        names: names in it that would be called.
        imports: other files of its folder that it imports, as far as their text shows.
        digest: SHA-256 over the paths and contents of all of them; empty if there are too many.
    """

    path: Path
    names: tuple[str, ...]
    imports: tuple[Path, ...]
    digest: str

    @property
    def key(self) -> str:
        """What it is remembered under."""
        return str(self.path)


@dataclass(frozen=True)
class _Setting:
    text: str
    setting: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class ShellCommand(_Setting):
    """A command that a run gives to the shell.

    Attributes:
        text: the command.
        setting: the setting that holds it.
        written: what the config says, which is a reference where the command is kept as a secret.
    """

    written: str = ""

    @property
    def key(self) -> str:
        """Key under which it is remembered: a path is absolute, so it can't be confused with one."""
        return f"command:{self.digest}"


@dataclass(frozen=True)
class WebAddress(_Setting):
    """An address that a run sends to.

    Attributes:
        text: the address.
        setting: the setting that holds it.
    """

    @property
    def key(self) -> str:
        """Key under which it is remembered: neither that of a file nor that of a command."""
        return f"address:{self.digest}"

    @property
    def server(self) -> str:
        """The part that says who is sent to; the rest is often a password."""
        scheme, _, rest = self.text.partition("://")
        return f"{scheme}://{re.split('[/?#]', rest)[0].rpartition('@')[2]}/…"


Runnable = CodeFile | ShellCommand | WebAddress


def code_files(value: Any) -> list[CodeFile]:
    """The user's files that acting on `value` would run: a config, or any part of one. Missing files are left out.

    Args:
        value: pydantic models, mappings, sequences and plain values, nested in any way.
    """
    names: dict[Path, list[str]] = {}
    for text in _texts(value):
        if is_user_spec(text):
            file, _, name = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
            path = user_path(file).absolute()
            if path.is_file() and name not in names.setdefault(path.resolve(), []):
                names[path.resolve()].append(name)
    return [_code_file(path, tuple(called)) for path, called in names.items()]


def files_in_words(words: Iterable[str]) -> list[CodeFile]:
    """The user's files that words of a command line name, such as `model.name=my_model.py:net`."""
    return code_files([spec for word in words for spec in _SPEC.findall(word)])


def notifications(config: RunConfig) -> list[ShellCommand | WebAddress]:
    """The commands that a run of this config gives to the shell and the addresses that it calls.

    Looking at a config does neither. An address that only the user's environment has is the user's own.
    """
    return [*_notification(_COMMAND, config.notify.command), *_notification(_WEBHOOK, config.notify.webhook)]


def notifications_in_words(words: Iterable[str]) -> list[ShellCommand | WebAddress]:
    """The commands and addresses that words of a command line set, such as `notify.command=./tell.sh`."""
    settings = (setting for word in words for setting in secrets_in_word(word).items())
    return [found for key, text in settings for found in _notification(key, text)]


def _notification(key: str, text: str) -> list[ShellCommand | WebAddress]:
    try:
        value = secret_value(key, text)
    except MissingSecretError:
        # There is nothing to run; the run says so.
        return []
    if key == _COMMAND:
        return [ShellCommand(value, key, text)] if value.strip() else []
    return [WebAddress(value, key)] if key == _WEBHOOK and is_literal(value) else []


class TrustStore:
    """Approvals, kept between sessions in a file that only its owner can read: a digest for each."""

    def __init__(self, file: Path | None = None) -> None:
        """`file`: where it is kept; None for the user's state folder."""
        self._store = PrivateStore(file or default_store(), "trusted")

    def knows(self, file: Runnable) -> bool:
        """Whether this content of this file, or this command, was agreed to."""
        return bool(file.digest) and self._entries().get(file.key) == file.digest

    def remember(self, files: Iterable[Runnable]) -> None:
        """Keep that these contents were agreed to. Raises OSError when that can't be written."""
        with self._store.alone():
            self._store.write({**self._entries(), **{file.key: file.digest for file in files}})

    def _entries(self) -> dict[str, str]:
        """Path and digest of what was agreed to; nothing where the file isn't there, is damaged or is not ours."""
        try:
            return self._store.entries()
        except (OSError, DocumentError):
            return {}


class CodeTrust:
    """Code that may run in one session: approved in it, named on the command line, or remembered."""

    def __init__(self, store: TrustStore, named: Iterable[Runnable] = ()) -> None:
        self._store = store
        # A file by its path alone: who edits one in the session needs no question after every edit.
        self._agreed = {each.key for each in named}

    def unknown(self, value: Any) -> list[CodeFile]:
        """Files that acting on `value` would run and that are not approved."""
        return [file for file in code_files(value) if self._is_unknown(file)]

    def unknown_to_train(self, config: RunConfig) -> list[Runnable]:
        """Files and commands that a run of the config would run, and addresses it would call, without approval."""
        return [*self.unknown(config), *filter(self._is_unknown, notifications(config))]

    def agree(self, files: Iterable[Runnable]) -> None:
        """These may run, in this session and with this content in later ones.

        Raises:
            OSError: it can't be remembered; in this session they may still run.
        """
        chosen = list(files)
        self._agreed.update(each.key for each in chosen)
        self._store.remember(chosen)

    def _is_unknown(self, each: Runnable) -> bool:
        return each.key not in self._agreed and not self._store.knows(each)


def default_store() -> Path:
    """The file of trusted code in the user's state folder."""
    return state_folder() / "trusted-code.json"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        yield from _texts({**dict(value), **(value.model_extra or {})})
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item)


def _code_file(path: Path, names: tuple[str, ...]) -> CodeFile:
    root = import_root(path)
    found: dict[Path, bytes] = {}
    waiting = [path]
    while waiting and len(found) <= _MAX_FILES:
        file = waiting.pop()
        if file in found:
            continue
        content, identity = _read(file)
        found[file] = identity
        beside = sorted(file.parent.glob("*.py")) if content is None else _imported(content, file, root)
        waiting += [each for each in beside if each not in found]
    digest = hashlib.sha256()
    for file in sorted(found):
        digest.update(f"{file}\0".encode(errors="surrogateescape") + found[file])
    is_whole = len(found) <= _MAX_FILES
    imports = tuple(sorted(file for file in found if file != path))
    return CodeFile(path, names, imports, digest.hexdigest() if is_whole else "")


def _read(file: Path) -> tuple[bytes | None, bytes]:
    """A file's content, None where it is too long to be looked into, and what changes with every byte of it."""
    try:
        with os.fdopen(open_regular_file(file, follow_links=True), "rb") as opened:
            content = opened.read(_MAX_PARSED_BYTES + 1)
            if len(content) <= _MAX_PARSED_BYTES:
                return content, b"%d\0" % len(content) + content
            digest, length = hashlib.sha256(content), len(content)
            while piece := opened.read(_PIECE_BYTES):
                digest.update(piece)
                length += len(piece)
    except OSError:
        return b"", b"0\0"
    return None, b"%d\0" % length + digest.digest()


def _imported(content: bytes, file: Path, root: Path) -> list[Path]:
    """Files below `root` that a file imports, anywhere in its code."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, file, root)
            names += [base, *(".".join(filter(None, (base, alias.name))) for alias in node.names)]
    # Importing a module runs the packages that it lies in, too.
    parts = {".".join(name.split(".")[:count]) for name in names for count in range(1, name.count(".") + 2) if name}
    files = [module_file(root, part) for part in sorted(parts)]
    return [each for each in files if each is not None and each.is_file()]


def _base(node: ast.ImportFrom, file: Path, root: Path) -> str:
    """The module that `from … import` names, dotted from the root; relative ones count from the file's package."""
    if not node.level:
        return node.module or ""
    package = list(file.parent.relative_to(root).parts)
    package = package[: len(package) - (node.level - 1)]
    return ".".join([*package, *filter(None, [node.module])])
