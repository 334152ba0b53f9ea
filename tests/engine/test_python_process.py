"""Python processes that torchdeck or its libraries start don't import the files of the working directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchdeck.engine.machine.import_path import drop_working_directory
from torchdeck.engine.machine.python_process import libraries_start_python_safely, python_command

PROBE = "import importlib.util; print(importlib.util.find_spec('users_own') is not None)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    (tmp_path / "users_own.py").touch()
    return tmp_path


def finds_the_users_file(*python: str) -> bool:
    return subprocess.run([*python, "-c", PROBE], capture_output=True, text=True, check=True).stdout == "True\n"


def test_our_own_processes_find_nothing_there(folder: Path) -> None:
    assert finds_the_users_file(sys.executable)
    assert not finds_the_users_file(*python_command())


@pytest.mark.parametrize("setting", [None, "", "1"])
def test_those_of_libraries_find_nothing_there_and_the_setting_is_restored(
    setting: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is not None:
        monkeypatch.setenv("PYTHONSAFEPATH", setting)
    with libraries_start_python_safely():
        assert not finds_the_users_file(sys.executable)
    assert os.environ.get("PYTHONSAFEPATH") == setting


@pytest.mark.parametrize(
    ("path", "left"), [(["", "a"], ["a"]), (["HERE", "a"], ["a"]), (["a", ""], ["a", ""]), ([], [])]
)
def test_the_entry_of_python_m_is_dropped(
    path: list[str], left: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry.replace("HERE", str(folder)) for entry in path])
    drop_working_directory()
    assert sys.path == left
