"""Errors of the command line are plain text, whatever a name or a file contains."""

from pathlib import Path

import pytest

from torchdeck.tui.cli import run_command


def test_a_name_in_an_error_does_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a\x1b]0;title\x07\u202e.pt"
    file.write_bytes(b"no checkpoint")
    assert run_command(["checkpoint", str(file)], None) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("torchdeck: ")
    assert "a\\x1b]0;title\\x07\\u202e.pt: " in shown
