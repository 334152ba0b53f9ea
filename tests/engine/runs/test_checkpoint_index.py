"""The list of a run's checkpoints, with its index and without."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from campaign import is_full_campaign
from run_cases import new_run, save

from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving import checkpoint_index
from torchdeck.engine.runs.saving.checkpoint import list_checkpoints, newest_valid_checkpoint
from torchdeck.engine.runs.saving.checkpoint_index import IndexEntry, read_index, step_file, write_index
from torchdeck.engine.runs.writer import RunWriter


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


def entry_of(step: int, status: os.stat_result | None = None) -> IndexEntry:
    metrics = {"loss": 1 / step, "accuracy": math.nan, "macro_f1": 0.5}
    size, modified = (status.st_size, status.st_mtime_ns) if status is not None else (10**9, 10**18)
    return IndexEntry(step, step, metrics, "epoch", step == 1, size, modified)


def test_an_index_of_tens_of_thousands_of_checkpoints_is_read_whole(tmp_path: Path) -> None:
    entries = {step_file(step): entry_of(step) for step in range(1, 24_001)}
    write_index(tmp_path, entries)
    assert (tmp_path / "index.json").stat().st_size > 4 << 20
    found = read_index(tmp_path)
    assert found.keys() == entries.keys()
    assert found[step_file(7)].metrics["loss"] == 1 / 7 and math.isnan(found[step_file(7)].metrics["accuracy"])


@pytest.mark.campaign
def test_a_run_of_very_many_checkpoints_is_listed_resumed_and_thinned_without_opening_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 100_000 if is_full_campaign() else 1_500
    run = new_run(tmp_path, keep_last=10**6)
    save(run, 1, is_best=True)
    run.close("finished")
    folder = run.path / "checkpoints"
    content, entries = (folder / step_file(1)).read_bytes(), read_index(folder)
    for step in range(2, count + 1):
        file = folder / step_file(step)
        file.write_bytes(content)
        entries[file.name] = entry_of(step, file.stat())
    write_index(folder, entries)
    opened: list[str] = []
    inspect = checkpoint_index.inspect_checkpoint
    monkeypatch.setattr(checkpoint_index, "inspect_checkpoint", lambda path: opened.append(path.name) or inspect(path))
    assert [checkpoint.step for checkpoint in list_checkpoints(run.path)] == list(range(count, 0, -1))
    assert newest_valid_checkpoint(run.path)[0].name == step_file(count)
    config = RunReader(run.path).config()
    thinner = config.model_copy(update={"checkpoint": config.checkpoint.model_copy(update={"keep_last": 3})})
    resumed = RunWriter.reopen(run.path, thinner, at_step=count)
    save(resumed, count + 1)
    resumed.close("finished")
    assert opened == []
    # The best one stays.
    assert [checkpoint.step for checkpoint in list_checkpoints(run.path)] == [count + 1, count, count - 1, 1]
    assert len(list(folder.glob("step-*"))) == 4
