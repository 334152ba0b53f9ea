"""The commit and the changes around a run are recorded, and nothing that a repository names is run for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from torchdeck.engine.runs.git_state import describe_git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in a repository with one commit, in the folder `repository`."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    folder = tmp_path / "repository"
    folder.mkdir()

    def run(*arguments: str, at: Path = folder) -> str:
        names = ("-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always")
        return subprocess.run(["git", *names, *arguments], cwd=at, check=True, capture_output=True, text=True).stdout

    run("init", "-q")
    (folder / "model.py").write_text("width = 1\n")
    run("add", ".")
    run("commit", "-qm", "first")
    return run


def marking_program(tmp_path: Path) -> tuple[Path, Path]:
    """A program, and the file that it makes when it is run."""
    marker, program = tmp_path / "code-ran", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    program.chmod(0o755)
    return program, marker


def test_the_commit_and_whether_tracked_files_differ_from_it(git: Git, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    (folder / "inner").mkdir()
    (folder / "notes.txt").write_text("untracked")
    commit = git("rev-parse", "HEAD").strip()
    assert describe_git(folder / "inner") == {"commit": commit, "is_dirty": False}
    (folder / "model.py").write_text("width = 2\n")
    assert describe_git(folder) == {"commit": commit, "is_dirty": True}
    git("commit", "-qam", "second")
    assert describe_git(folder) == {"commit": git("rev-parse", "HEAD").strip(), "is_dirty": False}


def test_packed_refs_detached_heads_worktrees_and_hashes_of_sha256(git: Git, tmp_path: Path) -> None:
    folder, beside = tmp_path / "repository", tmp_path / "beside"
    commit = git("rev-parse", "HEAD").strip()
    git("worktree", "add", "-q", "-b", "other", str(beside))
    git("pack-refs", "--all")
    assert describe_git(folder) == describe_git(beside) == {"commit": commit, "is_dirty": False}
    (beside / "model.py").write_text("width = 3\n")
    assert describe_git(beside) == {"commit": commit, "is_dirty": True}
    git("checkout", "-q", "--detach")
    assert describe_git(folder) == {"commit": commit, "is_dirty": False}
    modern = tmp_path / "sha256"
    modern.mkdir()
    git("init", "-q", "--object-format=sha256", at=modern)
    assert describe_git(modern) is None
    (modern / "a").write_text("a")
    git("add", ".", at=modern)
    git("commit", "-qm", "first", at=modern)
    assert describe_git(modern) == {"commit": git("rev-parse", "HEAD", at=modern).strip(), "is_dirty": False}


def test_nothing_outside_of_a_repository_and_in_a_damaged_one(tmp_path: Path) -> None:
    assert describe_git(tmp_path) is None
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert describe_git(tmp_path) is None
    (tmp_path / ".git" / "HEAD").unlink()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/../../secret")
    assert describe_git(tmp_path) is None


@pytest.mark.parametrize(
    ("key", "attributes"),
    [
        ("core.fsmonitor", ""),
        ("filter.x.clean", "*.py filter=x"),
        ("filter.x.process", "*.py filter=x"),
        ("diff.external", ""),
        ("diff.x.command", "*.py diff=x"),
        ("diff.x.textconv", "*.py diff=x"),
        ("core.sshCommand", ""),
        ("core.pager", ""),
    ],
)
def test_no_program_of_the_configuration_is_run(git: Git, tmp_path: Path, key: str, attributes: str) -> None:
    folder = tmp_path / "repository"
    program, marker = marking_program(tmp_path)
    (folder / ".git" / "info" / "attributes").write_text(attributes)
    git("config", key, str(program))
    (folder / "model.py").write_text("width = 9\n")
    assert describe_git(folder) == {"commit": git("rev-parse", "HEAD").strip(), "is_dirty": True}
    assert not marker.exists()


def test_no_hook_and_no_program_of_the_user_configuration_or_the_environment_is_run(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "repository"
    program, marker = marking_program(tmp_path)
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        shutil.copy(program, folder / ".git" / "hooks" / hook)
    (tmp_path / "home" / ".gitconfig").write_text(f"[core]\nfsmonitor = {program}\n")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(program))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    os.utime(folder / "model.py", (1, 1))
    described = describe_git(folder)
    assert described is not None
    assert described["is_dirty"] is False
    assert not marker.exists()


def test_no_program_of_a_submodule_or_of_a_missing_object_is_run(git: Git, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    program, marker = marking_program(tmp_path)
    library = tmp_path / "library"
    shutil.copytree(folder, library)
    git("submodule", "-q", "add", str(library), "library")
    git("commit", "-qm", "submodule")
    git("config", "core.fsmonitor", str(program), at=folder / "library")
    assert (describe_git(folder) or {}).get("is_dirty") is False
    assert not marker.exists()
    git("config", "extensions.partialClone", "origin")
    git("config", "remote.origin.promisor", "true")
    git("config", "remote.origin.url", f"ext::{program}")
    git("config", "protocol.ext.allow", "always")
    tree = git("rev-parse", "HEAD^{tree}").strip()
    (folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    assert (describe_git(folder) or {}).get("is_dirty") is None
    assert not marker.exists()


def test_the_program_that_marks_is_run_by_git_itself(git: Git, tmp_path: Path) -> None:
    program, marker = marking_program(tmp_path)
    git("config", "core.fsmonitor", str(program))
    git("status")
    assert marker.exists()
