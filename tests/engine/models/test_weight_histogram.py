"""How weights are distributed: of a new model, and of a checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from torchdeck.engine.build import prepare
from torchdeck.engine.config import ModelConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.preflight.weight_histogram import fresh_histograms, saved_histograms


def test_a_checkpoint_s_tensors_are_counted_into_equal_steps(tmp_path: Path) -> None:
    file = tmp_path / "some.pt"
    weight = torch.tensor([[0.0, 1.0, 2.0, math.nan], [2.0, 4.0, 4.0, math.inf]])
    torch.save({"model_state_dict": {"fc.weight": weight, "fc.bias": torch.zeros(3)}}, file)
    found, constant = saved_histograms(file, "fc", ["weight", "bias", "absent"], bins=4)
    assert (found.name, found.count, found.not_finite) == ("weight", 8, 2)
    assert found.bins == [1, 1, 2, 2]
    assert (found.smallest, found.largest) == (0.0, 4.0)
    assert found.mean == pytest.approx(13 / 6)
    assert sum(constant.bins) == 3


def test_fresh_weights_are_those_that_a_run_begins_with() -> None:
    config = parse_config("", "test", ["seed=3", "data.validation=0.2", "model.name=mlp"])
    built = prepare(config, lambda *_: None).model
    before = torch.get_rng_state()
    (found,) = fresh_histograms(config.model, 3, 10, (1, 8, 8), "1", ["weight"], bins=8)
    weight = built.get_submodule("1").weight.detach()
    assert (found.count, found.mean, found.largest) == (weight.numel(), float(weight.mean()), float(weight.max()))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_would_have_to_be_fetched_or_is_too_large_is_not_built() -> None:
    with pytest.raises(ConfigError, match="when the run starts"):
        fresh_histograms(ModelConfig(name="resnet18", pretrained=True), 0, 10, (3, 32, 32), "fc", ["weight"], 8)
    with pytest.raises(ConfigError, match="million parameters are too many"):
        fresh_histograms(ModelConfig(name="vgg11"), 0, 10, (3, 32, 32), "classifier.0", ["weight"], 8)
