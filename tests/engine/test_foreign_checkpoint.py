"""A run starts from what another loop saved: weights, optimizer state and epoch, where they fit."""

import argparse
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from torchdeck.engine.build import check_start, prepare
from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import CheckpointError, ConfigError
from torchdeck.engine.launching.fork import fork_config
from torchdeck.engine.launching.launch import launch, launch_resumed
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.training.foreign_state import _restore_optimizer, states_by_parameter
from torchdeck.engine.training.optimization.optimizers import build_optimizer

TOML = """
name = "mine"
[data]
validation = 0.2
[model]
name = "mlp"
hidden = [8]
[loader]
batch_size = 128
[optimizer]
name = "AdamW"
lr = 0.01
decay_1d = false
[schedule]
name = "CosineAnnealingLR"
[training]
epochs = 4
device = "cpu"
num_threads = 1
"""
STEPS = 5


def config() -> RunConfig:
    return parse_config(TOML, "case")


def a_loop(**changed: Any) -> dict[str, Any]:
    """What the loop of PyTorch's tutorial saves after some steps with the model of the config."""
    torch.manual_seed(0)
    model = prepare(config(), lambda *_: None).model
    optimizer = changed.pop("optimizer", torch.optim.AdamW)(model.parameters(), lr=0.003)
    for _ in range(STEPS):
        loss = nn.functional.cross_entropy(model(torch.rand(16, 1, 8, 8)), torch.arange(16) % 10)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    state = {"model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "loss": 0.5}
    return {"epoch": 3, **state, **changed}


def saved(folder: Path, content: dict[str, Any]) -> Path:
    torch.save(content, folder / "tutorial.pt")
    return folder / "tutorial.pt"


def trained_from(path: Path, folder: Path, *overrides: str) -> RunReader:
    run = launch(fork_config(path, base=config(), overrides=overrides), folder / "runs")
    run.join(120)
    if run.error is not None:
        raise run.error
    assert run.path is not None
    reader = RunReader(run.path)
    reader.poll()
    return reader


def test_weights_optimizer_state_and_epoch_are_taken(tmp_path: Path) -> None:
    content = a_loop()
    reader = trained_from(saved(tmp_path, content), tmp_path, "optimizer.lr=1e-30")
    assert [record["epoch"] for record in reader.epoch_records()] == [4]
    end = torch.load(reader.path / "checkpoints" / "last.pt", weights_only=True)
    # At this learning rate the weights stay those of the file.
    assert all(
        torch.equal(end["model_state_dict"][name], value) for name, value in content["model_state_dict"].items()
    )
    trained_here = end["position"]["step"] - 3 * reader.state()["steps_per_epoch"]
    assert trained_here == reader.state()["steps_per_epoch"] > 0
    steps = [int(kept["step"]) for kept in end["optimizer_state_dict"]["state"].values()]
    assert steps == [STEPS + trained_here] * len(content["optimizer_state_dict"]["state"])
    (event,) = [event for event in reader.events() if event["kind"] == "forked_from"]
    assert event["epoch"] == 3 and not event["exact"]
    for what in ("schedule", "randomness", "position inside an epoch"):
        assert any(what in reason for reason in event["not_exact_because"])


def test_the_average_of_each_parameter_is_that_parameters_in_other_groups_too(tmp_path: Path) -> None:
    content = a_loop()
    prepared = prepare(config(), lambda *_: None)
    own = build_optimizer(prepared.config.optimizer, prepared.model)
    assert len(own.param_groups) > 1
    _restore_optimizer(prepared.model, own, states_by_parameter(content["optimizer_state_dict"], prepared.model, own))
    for number, parameter in enumerate(prepared.model.parameters()):
        expected = content["optimizer_state_dict"]["state"][number]["exp_avg"]
        assert torch.equal(own.state[parameter]["exp_avg"], expected)
    assert {group["lr"] for group in own.param_groups} == {0.01}


def test_the_rates_are_those_after_as_many_epochs(tmp_path: Path) -> None:
    reader = trained_from(saved(tmp_path, a_loop()), tmp_path)
    assert reader.series("lr")[1][0] == pytest.approx(0.01 * (1 + math.cos(math.pi * 3 / 4)) / 2, rel=1e-3)


def test_without_an_optimizer_the_weights_and_the_epoch_are_taken_and_it_is_said(tmp_path: Path) -> None:
    content = a_loop()
    del content["optimizer_state_dict"]
    reader = trained_from(saved(tmp_path, content), tmp_path)
    (event,) = [event for event in reader.events() if event["kind"] == "forked_from"]
    assert any("the optimizer: the file has no" in reason for reason in event["not_exact_because"])


def test_another_optimizer_is_named_with_what_it_keeps(tmp_path: Path) -> None:
    def momentum(parameters: Any, lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)

    path = saved(tmp_path, a_loop(optimizer=momentum))
    with pytest.raises(CheckpointError, match=r"another optimizer: it keeps momentum_buffer .*exp_avg.*--weights"):
        trained_from(path, tmp_path)
    assert not (tmp_path / "runs").exists()


def test_another_model_is_named_by_its_tensors(tmp_path: Path) -> None:
    path = saved(tmp_path, a_loop())
    with pytest.raises(CheckpointError, match=r"does not fit the model: .*weight"):
        trained_from(path, tmp_path, "model.hidden=[16]")


def test_parameters_of_another_number_are_counted(tmp_path: Path) -> None:
    content = a_loop()
    content["optimizer_state_dict"]["param_groups"][0]["params"].pop()
    with pytest.raises(CheckpointError, match="is of 3 parameters; the model has 4, of which 4 are trained"):
        trained_from(saved(tmp_path, content), tmp_path)


def test_epochs_that_are_used_up_and_no_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has trained 4 epochs"):
        trained_from(saved(tmp_path, a_loop(epoch=4)), tmp_path)
    with pytest.raises(CheckpointError, match="its epoch is 'three'"):
        trained_from(saved(tmp_path, a_loop(epoch="three")), tmp_path)


def test_a_resume_takes_them_into_a_run_and_puts_its_later_epochs_aside(tmp_path: Path) -> None:
    first = launch(config(), tmp_path / "runs")
    first.join(120)
    assert first.error is None and first.path is not None
    path = saved(tmp_path, a_loop(epoch=2))
    resumed = launch_resumed(first.path, checkpoint=path, overrides=["training.epochs=3", "optimizer.lr=1e-30"])
    resumed.join(120)
    assert resumed.error is None
    reader = RunReader(first.path)
    reader.poll()
    assert [record["epoch"] for record in reader.epoch_records()] == [1, 2, 3]
    per_epoch = reader.state()["steps_per_epoch"]
    event = [event for event in reader.events() if event["kind"] == "resumed_from"][-1]
    assert (event["checkpoint"], event["epoch"], event["step"]) == (str(path), 2, 2 * per_epoch)
    assert any("schedule" in reason for reason in event["not_exact_because"])
    end = torch.load(first.path / "checkpoints" / "last.pt", weights_only=True)
    weights = torch.load(path, weights_only=True)["model_state_dict"]
    assert all(torch.equal(end["model_state_dict"][name], value) for name, value in weights.items())
    assert len((first.path / "metrics.1.jsonl").read_text().splitlines()) > 0


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    first = launch(config(), tmp_path / "runs")
    first.join(120)
    assert first.path is not None
    before = {file: file.read_bytes() for file in first.path.rglob("*") if file.is_file()}
    path = saved(tmp_path, a_loop(epoch=2, optimizer=torch.optim.SGD))
    resumed = launch_resumed(first.path, checkpoint=path)
    resumed.join(120)
    assert isinstance(resumed.error, CheckpointError) and "another optimizer" in str(resumed.error)
    assert {file: file.read_bytes() for file in first.path.rglob("*") if file.is_file()} == before


def test_a_state_beside_objects_is_refused_before_the_start_with_the_way_to_its_weights(tmp_path: Path) -> None:
    path = saved(tmp_path, a_loop(args=argparse.Namespace(lr=0.1)))
    with pytest.raises(CheckpointError, match=r"objects of argparse\.Namespace.*model\.weights.*fork --weights"):
        check_start(fork_config(path, base=config()))
    run = launch(fork_config(path, base=config(), weights_only=True), tmp_path / "runs")
    run.join(120)
    assert run.error is None and run.status == "finished"


def test_a_file_of_weights_alone_is_pointed_to_model_weights(tmp_path: Path) -> None:
    path = saved(tmp_path, a_loop()["model_state_dict"])
    with pytest.raises(CheckpointError, match=r"holds no model_state_dict .*model\.weights"):
        trained_from(path, tmp_path)
    with pytest.raises(CheckpointError, match="has no config; name one with --config"):
        fork_config(path)
