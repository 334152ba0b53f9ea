"""The averaged (EMA) weights of a run, in every place that can take them: one real run of digits for all of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from trained import trained

from torchdeck.engine.checkpoints.restored import restore_model
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.fork import fork_config
from torchdeck.engine.models.build import build_with_notes
from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.commands import torchdeck

TOML = """
name = "case"
[data]
validation = 0.2
[model]
name = "cnn"
channels = [4]
[loader]
batch_size = 256
[ema]
decay = 0.9
[training]
epochs = 2
device = "cpu"
num_threads = 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(TOML, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def content(run: Path) -> dict[str, Any]:
    """The last checkpoint, whose two sets of weights differ."""
    loaded: dict[str, Any] = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    assert not is_equal(loaded["model_state_dict"], loaded["ema_state_dict"])
    return loaded


def is_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def verb(run: Path, *arguments: str) -> None:
    torchdeck.main([*arguments, "--runs", str(run.parent)], standalone_mode=False)


def test_evaluating_them_gives_the_scores_that_training_recorded(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    verb(run, "evaluate", run.name, "--from", "last", "--split", "validation", "--ema", "--json")
    document = json.loads(capfd.readouterr().out)
    reader = RunReader(run)
    reader.poll()
    recorded = reader.epoch_records()[-1]
    assert document["metrics"] == recorded["ema"]
    assert document["metrics"]["loss"] != recorded["validation"]["loss"]


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_exporting_them_writes_them_and_not_the_trained_ones(
    run: Path, content: dict[str, Any], tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"averaged{suffix}"
    verb(run, "export", run.name, "--from", "last", "--ema", str(out))
    written = load_file(out) if suffix == ".safetensors" else torch.load(out, weights_only=True)
    assert is_equal(written, content["ema_state_dict"])


@pytest.mark.filterwarnings("ignore")
def test_the_exported_program_computes_with_them(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "averaged.pt2"
    verb(run, "export", run.name, "--from", "last", "--ema", str(out))
    images = torch.rand(3, 1, 8, 8)
    program = torch.export.load(out).module()
    with torch.no_grad():
        averaged, trained = (
            restore_model(run / "checkpoints" / "last.pt", averaged=averaged).model(images)
            for averaged in (True, False)
        )
        torch.testing.assert_close(program(images), averaged)
    assert not torch.allclose(averaged, trained)


@pytest.mark.parametrize(("averaged", "entry"), [(True, "ema_state_dict"), (False, "model_state_dict")])
def test_a_fork_begins_with_the_weights_that_were_asked_for(
    run: Path, content: dict[str, Any], averaged: bool, entry: str
) -> None:
    config = fork_config(run / "checkpoints" / "last.pt", weights_only=True, averaged=averaged)
    assert config.model.weights_entry == entry
    model = build_with_notes(config.model, 10, (1, 8, 8)).model
    assert is_equal(model.state_dict(), content[entry])


def test_a_fork_from_them_trains(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    verb(
        run, "fork", run.name, "--from", "last", "--weights", "--ema", "--name", "again", "--set", "training.epochs=1"
    )
    capfd.readouterr()
    (forked,) = run.parent.glob("*again*")
    assert RunReader(forked).status() == "finished"
    assert torch.load(forked / "checkpoints" / "last.pt", weights_only=True)["ema_updates"] > 0


@pytest.mark.parametrize("entry", ["", "model_state_dict", "ema_state_dict"])
def test_a_config_takes_them_by_the_name_of_their_entry(run: Path, content: dict[str, Any], entry: str) -> None:
    settings = [f"model.weights={run}/checkpoints/last.pt", f"model.weights_entry={entry}"]
    config = parse_config(TOML, "case", settings if entry else settings[:1])
    model = build_with_notes(config.model, 10, (1, 8, 8)).model
    # Without an entry the trained weights are taken, which fit as well.
    assert is_equal(model.state_dict(), content[entry or "model_state_dict"])


def test_the_whole_state_can_not_be_forked_from_them(run: Path) -> None:
    with pytest.raises(ConfigError, match="needs --weights"):
        verb(run, "fork", run.name, "--ema")
