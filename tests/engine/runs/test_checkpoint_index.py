"""The list of a run's checkpoints, with its index and without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from run_cases import new_run, save

from torchdeck.engine.runs.saving.checkpoint import list_checkpoints, newest_valid_checkpoint


def test_the_list_does_without_its_index_and_without_reading_when_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, keep_last=9)
    for step in (1, 2):
        save(run, step, epoch=step, metrics={"accuracy": step / 10}, is_best=step == 1, reason="epoch")
    run.close("finished")
    by_index = list_checkpoints(run.path)
    (run.path / "checkpoints" / "index.json").write_text('{"step-000000001.pt": {"step": "x"}, "')
    by_files = list_checkpoints(run.path)
    fields = ("file", "step", "epoch", "metrics", "bytes", "is_best", "is_last", "problem")
    for first, second in zip(by_index, by_files, strict=True):
        assert [getattr(first, name) for name in fields] == [getattr(second, name) for name in fields]


def test_the_list_names_damaged_files_and_passes_over_links_and_fifos(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    save(run, 1)
    run.close("finished")
    folder = run.path / "checkpoints"
    (folder / "step-000000002.pt").write_bytes(b"PK\3\4 torn")
    os.mkfifo(folder / "step-000000003.pt")
    (folder / "step-000000004.pt").symlink_to(folder / "step-000000001.pt")
    damaged, good = list_checkpoints(run.path)
    assert (damaged.step, good.step) == (2, 1)
    assert "truncated" in damaged.problem
    assert good.problem == ""


def test_a_last_that_lost_its_step_file_still_counts(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    save(run, 7, metrics={"accuracy": 0.5})
    run.close("finished")
    (run.path / "checkpoints" / "step-000000007.pt").unlink()
    (checkpoint,) = list_checkpoints(run.path)
    assert (checkpoint.file, checkpoint.step, checkpoint.is_last) == ("last.pt", 7, True)
    assert newest_valid_checkpoint(run.path)[0].name == "last.pt"
