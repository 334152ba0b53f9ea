"""Nobody else may write to what torchdeck makes, however open the umask is."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from warm_python import warm_python

SCRIPT = """
import os, sys
os.umask(0)
from pathlib import Path
from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.writer import RunWriter
if sys.argv[1] == "library":
    run = RunWriter.create(Path("made/runs"), load_config("digits"), {})
    run.record({"kind": "train", "step": 1, "loss": [1.0]})
    run.event("note", text="x")
    run.close("finished")
else:
    from torchdeck.tui.cli import main
    sys.argv = ["torchdeck", "train", "digits", "--runs", "made/runs", "--set", "training.epochs=1",
                "--set", "schedule.warmup_epochs=0", "--set", "training.device=cpu"]
    sys.exit(main())
"""


@pytest.mark.parametrize("way", ["library", "command"])
def test_files_and_folders_are_never_wider_than_0644_and_0755(tmp_path: Path, way: str) -> None:
    subprocess.run([*warm_python(), "-c", SCRIPT, way], cwd=tmp_path, check=True, capture_output=True)
    made = [tmp_path / "made", *(tmp_path / "made").rglob("*")]
    assert any(path.name == "run.toml" for path in made)
    wide = {
        str(path.relative_to(tmp_path)): oct(mode)
        for path in made
        if (mode := stat.S_IMODE(path.lstat().st_mode)) & ~(0o755 if path.is_dir() else 0o644)
    }
    assert wide == {}
