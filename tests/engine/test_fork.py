"""A fork continues exactly where its parent was, or starts from its weights; the parent stays unchanged."""

from pathlib import Path
from typing import Any

import pytest
import torch

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import CheckpointError, ConfigError
from torchdeck.engine.launching.fork import fork_config, parent_of
from torchdeck.engine.launching.launch import LaunchedRun, launch, launch_resumed
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter

TOML = """
name = "parent"
[data]
validation = 0.2
[model]
name = "mlp"
hidden = [8]
dropout = 0.2
[loader]
batch_size = 128
[optimizer]
name = "AdamW"
lr = 0.01
[training]
epochs = 3
device = "cpu"
num_threads = 1
[checkpoint]
keep_last = 9
every_steps = 7
"""


def ended(run: LaunchedRun) -> Path:
    run.join(120)
    if run.error is not None:
        raise run.error
    assert run.path is not None
    return run.path


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of which no save was left out because the next was due."""
    save = RunWriter.save_checkpoint

    def save_and_wait(run: RunWriter, *arguments: Any, **fields: Any) -> None:
        save(run, *arguments, **fields)
        run.flush()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "save_checkpoint", save_and_wait)
        return ended(launch(parse_config(TOML, "case"), tmp_path_factory.mktemp("runs")))


def state_of(run: Path, file: str = "last.pt") -> dict[str, Any]:
    return torch.load(run / "checkpoints" / file, weights_only=True)


def is_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def fork(parent: Path, root: Path, file: str, *overrides: str, **options: Any) -> Path:
    config = fork_config(parent / "checkpoints" / file, overrides=overrides, **options)
    return ended(launch(config, root))


def test_a_fork_of_the_whole_state_without_changes_ends_bit_for_bit_like_its_parent(
    parent: Path, tmp_path: Path
) -> None:
    run = fork(parent, tmp_path, "step-000000007.pt")
    assert is_same(state_of(parent)["model_state_dict"], state_of(run)["model_state_dict"])
    reader = RunReader(run)
    reader.poll()
    info, (event,) = reader.info(), [e for e in reader.events() if e["kind"] == "forked_from"]
    assert info["parent"] == {
        "run": parent.name,
        "path": str(parent),
        "checkpoint": "step-000000007.pt",
        "epoch": 0,
        "step": 7,
        "kind": "state",
    }
    assert (event["exact"], event["step"]) == (True, 7)
    assert reader.series("train/loss")[0][0] == 8
    assert reader.best() is not None
    assert (run / "checkpoints" / "best.pt").exists()


def test_changed_settings_hold_and_are_said(parent: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in parent.rglob("*") if path.is_file()}
    run = fork(parent, tmp_path, "step-000000014.pt", "optimizer.lr=0.002", "training.epochs=4")
    assert run.name.startswith("parent-fork-")
    assert state_of(run)["epoch"] == 4
    assert state_of(run)["optimizer_state_dict"]["param_groups"][0]["lr"] == 0.002
    assert RunReader(run).state()["exact"] is False
    assert {path: path.read_bytes() for path in parent.rglob("*") if path.is_file()} == before


def test_a_fork_of_the_weights_begins_at_the_first_epoch(parent: Path, tmp_path: Path) -> None:
    run = fork(parent, tmp_path, "last.pt", "training.epochs=1", weights_only=True)
    reader = RunReader(run)
    reader.poll()
    assert (reader.info()["parent"]["kind"], reader.progress().epoch) == ("weights", 1)
    (first,) = reader.epoch_records()
    (untrained,) = [record for record in epoch_records_of(parent) if record["epoch"] == 1]
    assert first["train"]["loss"] < untrained["train"]["loss"]


def epoch_records_of(run: Path) -> list[dict[str, Any]]:
    reader = RunReader(run)
    reader.poll()
    return reader.epoch_records()


def test_a_fork_that_was_stopped_goes_on_exactly_without_its_parent(parent: Path, tmp_path: Path) -> None:
    config = fork_config(parent / "checkpoints" / "step-000000007.pt")
    run = launch(config, tmp_path)
    run.wait_for_directory()
    run.stop(after="epoch")
    path = ended(run)
    assert RunReader(path).status() == "stopped"
    (path / "run.toml").write_text((path / "run.toml").read_text().replace(str(parent), "/gone"))
    ended(launch_resumed(path))
    assert is_same(state_of(parent)["model_state_dict"], state_of(path)["model_state_dict"])


def test_what_can_not_be_forked_is_refused_before_anything_is_written(parent: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.pt"
    torch.save({"w": torch.zeros(2)}, bare)
    with pytest.raises(CheckpointError, match="so it has no config; name one with --config"):
        fork_config(bare)
    with pytest.raises(ConfigError, match="epocs"):
        fork_config(parent / "checkpoints" / "last.pt", overrides=["training.epocs=3"])
    with pytest.raises(ConfigError, match="has trained 3 epochs"):
        fork(parent, tmp_path / "runs", "last.pt")
    with pytest.raises(CheckpointError, match="does not fit"):
        fork(parent, tmp_path / "runs", "step-000000007.pt", "model.hidden=[9]")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_starts_from_nothing_has_no_parent(tmp_path: Path) -> None:
    assert parent_of(RunConfig()) is None
