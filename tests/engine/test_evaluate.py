"""A checkpoint that is evaluated again scores the same as in training; two checkpoints are compared."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from trained import trained

from torchdeck.engine.checkpoints.compare import compare_checkpoints
from torchdeck.engine.checkpoints.evaluate import evaluate_checkpoint
from torchdeck.engine.errors import CheckpointError, ConfigError
from torchdeck.tui.commands import torchdeck

TOML = """
name = "case"
[data]
validation = 0.3
eval_transforms = [ { name = "Normalize", mean = [0.3], std = [0.4] } ]
train_transforms = [ { name = "Normalize", mean = [0.3], std = [0.4] } ]
[model]
name = "mlp"
hidden = [8]
[loader]
batch_size = 128
eval_batch_size = 100
[training]
epochs = 2
device = "cpu"
num_threads = 1
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(TOML, tmp_path_factory.mktemp("runs")) / "checkpoints" / "last.pt"


def test_a_checkpoint_scores_what_it_scored_when_it_was_saved(checkpoint: Path) -> None:
    scores = evaluate_checkpoint(checkpoint, split="validation")
    recorded = torch.load(checkpoint, weights_only=True)["metrics"]
    assert scores.metrics == recorded
    assert (scores.split, scores.epoch, scores.run) == ("validation", 2, checkpoint.parent.parent.name)
    assert sum(count for _, _, count in scores.tables["confusion"]) == scores.samples


def test_the_worst_samples_are_the_wrong_ones_of_the_largest_loss_with_their_pixels(checkpoint: Path) -> None:
    scores = evaluate_checkpoint(checkpoint, split="validation")
    losses = [sample.loss for sample in scores.worst]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 24
    assert all(sample.target != sample.predicted for sample in scores.worst)
    wrong = {(target, predicted) for target, predicted, _ in scores.tables["confusion"]}
    assert {(sample.target, sample.predicted) for sample in scores.worst} <= wrong
    assert all(sample.pixels.shape == (8, 8, 1) and sample.pixels.dtype == np.uint8 for sample in scores.worst)
    assert len({sample.index for sample in scores.worst}) == 24


def test_without_a_test_split_it_is_said_what_was_measured(checkpoint: Path) -> None:
    scores = evaluate_checkpoint(checkpoint)
    assert (scores.split, scores.notes) == (
        "validation",
        ["these data have no test split: evaluated on the validation split"],
    )
    assert evaluate_checkpoint(checkpoint, split="train").samples > scores.samples
    with pytest.raises(ConfigError, match="no test split; use --split validation"):
        evaluate_checkpoint(checkpoint, split="test")


def test_what_is_no_checkpoint_of_torchdeck_can_not_be_measured(tmp_path: Path) -> None:
    torch.save({"model_state_dict": {"w": torch.zeros(2)}}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="so its model is unknown"):
        evaluate_checkpoint(tmp_path / "foreign.pt")


def test_the_verb_prints_the_same_as_json_and_as_text(checkpoint: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = str(checkpoint.parent.parent.parent)
    torchdeck.main(["evaluate", "case", "--from", "last", "--json", "--runs", root], standalone_mode=False)
    document = json.loads(capfd.readouterr().out)
    assert document["metrics"] == evaluate_checkpoint(checkpoint).metrics
    assert len(document["tables"]["per_class"]["f1"]) == len(document["classes"]) == 10
    assert "pixels" not in document["worst"][0]
    torchdeck.main(["evaluate", "case", "--runs", root], standalone_mode=False)
    text = capfd.readouterr().out
    for words in ("validation split", "accuracy", "confusion matrix: rows are targets", "predicted as"):
        assert words in text


def test_two_checkpoints_are_compared_by_settings_metrics_and_modules(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    weights = content["model_state_dict"]
    changed = {name: tensor.clone() for name, tensor in weights.items()}
    first = next(iter(weights))
    changed[first] += 0.5
    del changed[list(weights)[-1]]
    content |= {
        "model_state_dict": changed,
        "config": content["config"].replace("seed = 0", "seed = 3"),
        "metrics": {"accuracy": 0.5, "new": 1.0},
    }
    torch.save(content, tmp_path / "other.pt")
    comparison = compare_checkpoints(checkpoint, tmp_path / "other.pt")
    assert comparison.settings == {"seed": (0, 3)}
    assert comparison.metrics["new"] == (None, 1.0)
    assert comparison.metrics["accuracy"][1] == 0.5
    distances = {row.module: row for row in comparison.modules}
    moved = distances.pop(first.rpartition(".")[0])
    assert moved.distance == pytest.approx(0.5 * weights[first].numel() ** 0.5, rel=1e-5)
    assert all(row.distance == 0 for row in distances.values())
    assert comparison.only_first == [list(weights)[-1]]
    assert comparison.only_second == []


def test_a_foreign_file_is_compared_by_its_weights(checkpoint: Path, tmp_path: Path) -> None:
    torch.save(torch.load(checkpoint, weights_only=True)["model_state_dict"], tmp_path / "bare.pt")
    comparison = compare_checkpoints(checkpoint, tmp_path / "bare.pt")
    assert comparison.note == "bare.pt has no torchdeck config"
    assert all(row.distance == 0 for row in comparison.modules)
    assert comparison.modules
