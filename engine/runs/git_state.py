"""The commit and the changes of the repository around a folder, told without running anything that it names.

A repository's configuration names programs: a file system monitor, filters, hooks, ways to fetch what is missing. A
folder that was unpacked or downloaded may have brought its own. So the commit is read as text, and git compares the
files through a git directory of our own, which has no configuration, beside the repository's objects and index.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files.regular_file import read_regular_file

_SECONDS = 2.0
_MAX_REF_BYTES = 4096
_MAX_PACKED_BYTES = 64 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHA256_CONFIG = "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha256\n"


@dataclass(frozen=True)
class _Repository:
    """Where the parts of a repository lie.

    Attributes:
        work_tree: the folder of its files.
        own: what belongs to this work tree: HEAD, index.
        common: what all its work trees share: refs, objects.
    """

    work_tree: Path
    own: Path
    common: Path


def describe_git(folder: Path) -> dict[str, Any] | None:
    """`commit` of the repository around a folder, and `is_dirty`: whether tracked files differ from it.

    `is_dirty` is None if unknown: no git, a repository that takes too long or belongs to another user,
    objects that were not fetched. None in place of all of it outside of a repository and before its first commit.
    """
    try:
        repository = _repository_around(folder)
        commit = _commit_of(repository) if repository is not None else None
    except (OSError, ValueError):
        return None
    if repository is None or commit is None:
        return None
    return {"commit": commit, "is_dirty": _is_dirty(repository, commit)}


def _repository_around(folder: Path) -> _Repository | None:
    """Raises OSError and ValueError where a repository is damaged."""
    folder = folder.absolute()
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.is_file():
            # A work tree beside the first, or a submodule.
            link = _text(git)
            if not link.startswith("gitdir:"):
                return None
            git = place / link.removeprefix("gitdir:").strip()
        if (git / "HEAD").is_file():
            shared = git / "commondir"
            return _Repository(place, git, git / _text(shared) if shared.is_file() else git)
    return None


def _commit_of(repository: _Repository) -> str | None:
    head = _text(repository.own / "HEAD")
    if not head.startswith("ref:"):
        return _as_commit(head)
    name = head.removeprefix("ref:").strip()
    if not name.startswith("refs/") or ".." in name:
        return None
    for place in (repository.own, repository.common):
        if (place / name).is_file():
            return _as_commit(_text(place / name))
    packed = repository.common / "packed-refs"
    if not packed.is_file():
        return None
    ending = f" {name}"
    lines = read_regular_file(packed, _MAX_PACKED_BYTES).decode("utf-8", "replace").splitlines()
    return next((_as_commit(line.removesuffix(ending)) for line in lines if line.endswith(ending)), None)


def _as_commit(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None


def _text(path: Path) -> str:
    return read_regular_file(path, _MAX_REF_BYTES).decode("utf-8", "surrogateescape").strip()


def _is_dirty(repository: _Repository, commit: str) -> bool | None:
    try:
        index = os.stat(repository.own / "index", follow_symlinks=False)
        if not stat.S_ISREG(index.st_mode) or index.st_uid != os.getuid():
            return None
        with tempfile.TemporaryDirectory(prefix="torchdeck-git-") as folder:
            return bool(_changes(repository, commit, Path(folder)))
    except (OSError, subprocess.SubprocessError):
        return None


def _changes(repository: _Repository, commit: str, git: Path) -> bytes:
    """What `git status` prints of tracked files. Raises OSError and SubprocessError."""
    (git / "refs").mkdir()
    (git / "HEAD").write_text(f"{commit}\n", encoding="ascii")
    (git / "config").write_text(_SHA256_CONFIG if len(commit) > 40 else "", encoding="ascii")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_DIR": str(git),
        "GIT_WORK_TREE": str(repository.work_tree),
        "GIT_OBJECT_DIRECTORY": str((repository.common / "objects").absolute()),
        "GIT_INDEX_FILE": str((repository.own / "index").absolute()),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        # Older versions of git know no GIT_CONFIG_GLOBAL.
        "HOME": str(git),
        "XDG_CONFIG_HOME": str(git),
    }
    # A submodule has a configuration of its own: git would start itself in there.
    options = ("--porcelain", "--untracked-files=no", "--no-renames", "--ignore-submodules=all")
    return subprocess.run(
        ["git", "status", *options],
        cwd=repository.work_tree,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=True,
        env=environment,
    ).stdout
