"""A run with checkpoints that were built to do harm is still listed, shown, pinned in and resumed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile_files import expanded_tensors, safetensors

from torchdeck.engine.checkpoints.export import export_checkpoint
from torchdeck.engine.checkpoints.restored import restore_model
from torchdeck.engine.checkpoints.tensor_norms import tensor_norms
from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import CheckpointError, ConfigError
from torchdeck.engine.launching.continuation import load_state
from torchdeck.engine.launching.fork import fork_config
from torchdeck.engine.launching.launch import launch, launch_resumed
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.pins import pin
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint

MORE = ["training.epochs=3"]
ENTRY = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.fixture
def run(perceptron_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to write into."""
    folder = perceptron_checkpoint.parents[1]
    shutil.copytree(folder, tmp_path / "runs" / folder.name)
    return tmp_path / "runs" / folder.name


def hostile_steps(run: Path) -> list[Path]:
    """Files in the place of later checkpoints of the run: one with metadata of a wrong type, one that is no run's."""
    folder = run / "checkpoints"
    metadata, foreign, partial = (folder / f"step-{number:09d}.pt" for number in (900, 901, 902))
    safetensors(json.dumps({"__metadata__": [1, 2], "w": ENTRY}).encode(), bytes(16))(metadata)
    safetensors(json.dumps({"w": ENTRY}).encode(), bytes(16))(foreign)
    content = torch.load(folder / "last.pt", weights_only=True)
    torch.save({**content, "position": [1, 2, 3]}, partial)
    return [metadata, foreign, partial]


def test_a_run_with_hostile_checkpoints_is_listed_and_shown_with_what_is_wrong_with_them(run: Path) -> None:
    metadata, *_ = hostile_steps(run)
    assert [summary.name for summary in list_runs(run.parent)] == [run.name]
    reader = RunReader(run)
    reader.poll()
    problems = {checkpoint.file: checkpoint.problem for checkpoint in reader.checkpoints()}
    assert "__metadata__ is not an object of texts" in problems[metadata.name]
    pin(run / "checkpoints", metadata.name)
    assert any(checkpoint.is_pinned for checkpoint in RunReader(run).checkpoints())


def test_resume_skips_hostile_checkpoints_with_a_reason_and_takes_the_next(run: Path) -> None:
    hostile = hostile_steps(run)
    resumed = launch_resumed(run, overrides=["training.epochs=2"])
    resumed.join(120)
    assert resumed.status == "finished", resumed.error
    reader = RunReader(run)
    reader.poll()
    event = next(event for event in reader.events() if event["kind"] == "resumed_from")
    reasons = {item["file"]: item["reason"] for item in event["skipped"]}
    assert reasons.keys() == {path.name for path in hostile}
    assert "__metadata__" in reasons[hostile[0].name]
    assert "not a torchdeck checkpoint" in reasons[hostile[1].name]
    assert "its position is not what torchdeck saves" in reasons[hostile[2].name]


def test_a_checkpoint_of_a_later_format_is_everywhere_said_to_be_torchdecks_and_of_that_format(run: Path) -> None:
    path = run / "checkpoints" / "step-000000903.pt"
    torch.save({**torch.load(run / "checkpoints" / "last.pt", weights_only=True), "torchdeck_format": 99}, path)
    assert inspect_checkpoint(path).is_own
    uses: list[Callable[[Path], object]] = [
        load_state,
        restore_model,
        lambda path: launched(fork_config(path, overrides=MORE), run),
    ]
    for use in uses:
        with pytest.raises(CheckpointError, match="has torchdeck's checkpoint format 99, and this version reads"):
            use(path)


def launched(config: RunConfig, run: Path) -> None:
    fork = launch(config, run.parent)
    fork.join(120)
    if fork.error is not None:
        raise fork.error


def test_tensors_that_repeat_their_data_are_not_written_out(tmp_path: Path) -> None:
    path, out = tmp_path / "expanded.pt", tmp_path / "out.safetensors"
    expanded_tensors(2000, 15 << 20)(path)
    with pytest.raises(CheckpointError, match="fill the memory"):
        export_checkpoint(path, out)
    assert list(tmp_path.iterdir()) == [path]
    assert tensor_norms(path).keys() <= {f"layer{number}.weight" for number in range(2000)}


def test_views_that_share_one_storage_are_not_written_out_more_often_than_weights_are_tied(tmp_path: Path) -> None:
    shared = torch.ones(1 << 20)
    path = tmp_path / "tied.pt"
    torch.save({f"w{number}": shared for number in range(4)}, path)
    assert export_checkpoint(path, tmp_path / "tied.safetensors").tensors == 4
    torch.save({f"w{number}": shared for number in range(40)}, path)
    with pytest.raises(CheckpointError, match="share data"):
        export_checkpoint(path, tmp_path / "views.safetensors")
    assert not (tmp_path / "views.safetensors").exists()


def test_an_export_that_the_disk_has_no_room_for_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"w": torch.ones(1 << 20)}, tmp_path / "w.pt")
    status = os.statvfs(tmp_path)
    blocks = (10 << 20) // status.f_frsize
    full = os.statvfs_result((*status[:3], blocks, blocks, *status[5:10]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(ConfigError, match=r"has 10 MB free, the file needs 4 MB"):
        export_checkpoint(tmp_path / "w.pt", tmp_path / "w.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["w.pt"]
