"""What the model saw at a step, known without the run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component, open_and_build, run_config

from torchdeck.engine.config import TrainingConfig
from torchdeck.engine.data.exploration.batch_at_step import batches_at, parts_of, pictures
from torchdeck.engine.errors import ConfigError
from torchdeck.tui.cli import run_command

MOVED = [component("RandomCrop", size=8, padding=2), component("Normalize", mean=[0.3], std=[0.4])]
WARPED = [component("RandomPerspective", p=1.0)]
MIXED = [*MOVED, component("MixUp", alpha=0.4)]


@pytest.mark.parametrize("transforms", [MOVED, WARPED, MIXED], ids=["moved", "warped", "mixed"])
@pytest.mark.parametrize(
    "loader",
    [
        {},
        {"sampler": "balanced", "num_samples": 500},
        {"shuffle": False},
    ],
)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_s_batches_are_those_that_the_run_trains_on(
    transforms: list[Any], loader: dict[str, Any], accumulate: int
) -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=transforms, loader=loader, seed=3)
    training = TrainingConfig(accumulate=accumulate, epochs=4, device="cpu")
    config = config.model_copy(update={"training": training})
    sources, data = open_and_build(config)
    per_epoch = -(-data.train.num_batches // accumulate)
    step = 2 * per_epoch + 2
    expected = list(data.train.batches(2))[accumulate : 2 * accumulate]
    seen = batches_at(config, step)
    assert [(batch.epoch, batch.batch) for batch in seen] == [(3, accumulate + 1 + n) for n in range(accumulate)]
    for batch, (inputs, targets) in zip(seen, expected, strict=True):
        assert torch.equal(parts_of(batch.inputs)[0][1], inputs) and torch.equal(batch.targets, targets)
        if transforms is not MIXED:
            assert [sample.target for sample in batch.samples] == [str(target) for target in targets.tolist()]
        assert sources.train.indices is not None
        assert all(sources.train.indices[sample.position] == sample.index for sample in batch.samples)


def test_the_last_step_of_an_epoch_and_the_steps_there_are() -> None:
    config = run_config(dataset="digits", validation=0.2)
    config = config.model_copy(update={"training": TrainingConfig(epochs=2, device="cpu")})
    assert len(batches_at(config, 23)[0].samples) == 1438 - 22 * 64
    assert batches_at(config, 46)[0].epoch == 2
    for step in (0, 47):
        with pytest.raises(ConfigError, match=r"step \d+: the run has steps 1 to 46 \(23 per epoch\)"):
            batches_at(config, step)


def test_pictures_of_a_batch_are_for_the_eye() -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=[MOVED[1]], loader={"shuffle": False})
    (batch,) = batches_at(config, 1)
    images = pictures(batch, config, 3)
    plain = batches_at(config.model_copy(update={"data": config.data.model_copy(update={"train_transforms": []})}), 1)
    expected = (parts_of(plain[0].inputs)[0][1][:3] * 255).round().byte().movedim(1, -1).numpy()
    assert (abs(np.stack(images).astype(int) - expected.astype(int)) <= 1).all()


def test_the_verb_names_the_samples_and_saves_the_tensors(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "batch.pt"
    arguments = ["batch", "digits", "--step", "30", "--set", "loader.batch_size=20"]
    assert run_command([*arguments, "--save", str(file)], None) == 0
    said = capfd.readouterr().out.splitlines()
    assert said[0].startswith("step 30: epoch ") and said[0].endswith("20 samples")
    assert said[1].startswith("  inputs: 20×1×8×8 float32, ")
    assert said[-1] == "  … 4 more; --all prints them"
    assert run_command([*arguments, "--json"], None) == 0
    document = json.loads(capfd.readouterr().out)
    saved = torch.load(file, weights_only=True)
    assert [sample["index"] for sample in document["batches"][0]["samples"]] == saved["indices"].tolist()
    assert document["batches"][0]["inputs"][0]["shape"] == list(saved["inputs"].shape)
