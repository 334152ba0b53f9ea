"""Compatibility of a checkpoint: what differs from the draft, and whether it can resume bit-exactly."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from trained import PERCEPTRON, trained

from torchdeck.engine.checkpoints.compatibility import standing_of
from torchdeck.engine.checkpoints.tensor_norms import tensor_norms
from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config, parse_config, replace_value


def config_of(checkpoint: Path) -> RunConfig:
    return load_config(str(checkpoint.parent.parent))


def test_a_checkpoint_beside_its_own_config_differs_in_nothing_and_goes_on_exactly(
    perceptron_checkpoint: Path,
) -> None:
    standing = standing_of(perceptron_checkpoint, parse_config(PERCEPTRON, "case"))
    assert (standing.changed, standing.inexact, standing.unknown) == ({}, [], "")
    assert standing.environment["torch"] == str(torch.__version__)


def test_settings_that_differ_and_what_makes_a_resume_inexact_are_told(
    perceptron_checkpoint: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(perceptron_checkpoint.parents[1], tmp_path / "run")
    checkpoint, run_toml = run / "checkpoints" / "last.pt", run / "run.toml"
    standing = standing_of(checkpoint, replace_value(config_of(checkpoint), "optimizer.lr", "0.5"))
    assert standing.changed == {"optimizer.lr": (0.01, 0.5)}
    assert standing.inexact == []
    before = run_toml.read_text()
    run_toml.write_text(before.replace("num_threads = 1", "num_threads = 2"))
    assert standing_of(checkpoint, config_of(checkpoint)).inexact == ["torch's CPU threads: 1 → 2"]
    run_toml.write_text(before.replace('dataset = "digits"', 'dataset = "/nowhere"'))
    assert "/nowhere" in standing_of(checkpoint, config_of(checkpoint)).unknown


def test_a_run_on_a_part_of_its_data_can_be_resumed_exactly(tmp_path: Path) -> None:
    toml = PERCEPTRON.replace("batch_size = 512", 'batch_size = 512\nsubset = "0.5"')
    checkpoint = trained(toml, tmp_path) / "checkpoints" / "last.pt"
    standing = standing_of(checkpoint, config_of(checkpoint))
    assert (standing.inexact, standing.unknown) == ([], "")


def test_norms_are_those_of_torch_for_every_tensor(tmp_path: Path) -> None:
    tensors = {
        "float": torch.tensor([3.0, 4.0]),
        "half": torch.full((10,), 200.0, dtype=torch.float16),
        "complex": torch.tensor([3 + 4j]),
        "count": torch.tensor(-7),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "broken": torch.tensor([1.0, math.nan]),
        "empty": torch.empty(0, 3),
    }
    torch.save(tensors, tmp_path / "t.pt")
    norms = tensor_norms(tmp_path / "t.pt")
    assert math.isnan(norms.pop("broken"))
    wanted = {"float": 5, "half": 200 * 10**0.5, "complex": 5, "count": 7, "transposed": 55**0.5, "empty": 0}
    assert norms == pytest.approx(wanted)
