"""What a training step takes of the memory, by estimate, against what torch's allocator gave out in a real one."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
from warm_python import warm_python

from torchdeck.engine.config import LoaderConfig, RunConfig
from torchdeck.engine.config.file import dump_config, parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.preflight import memory_estimate as memory
from torchdeck.engine.preflight.inspection import draft_memory, largest_draft_batch
from torchdeck.engine.preflight.measured_step import measure_draft, measure_spec
from torchdeck.engine.preflight.memory_estimate import MemoryEstimate, estimate_memory, largest_batch

SHAPE = (1, 16, 16)


def run(*overrides: str) -> RunConfig:
    return parse_config("", "test", ["training.device=cpu", "training.num_threads=1", "model.name=cnn", *overrides])


def estimate(*overrides: str) -> MemoryEstimate:
    return estimate_memory(run(*overrides), 10, SHAPE)


def test_of_several_processes_the_step_of_one_is_estimated() -> None:
    part, whole = estimate("loader.batch_size=64", "parallel.processes=4"), estimate("loader.batch_size=64")
    assert part == dataclasses.replace(estimate("loader.batch_size=16"), free=part.free)
    assert part.activations < 0.5 * whole.activations


MEASURED = {
    "activations dominate": ["optimizer.name=AdamW", "loader.batch_size=128"],
    "weights dominate": ["model.name=mlp", "loader.batch_size=8", "optimizer.momentum=0.9"],
    "bf16, channels last and averages": [
        "training.precision=bf16",
        "training.channels_last=true",
        "loader.batch_size=128",
        "ema.decay=0.9",
    ],
    "accumulated": ["training.accumulate=5", "training.clip_norm=1", "loader.batch_size=128"],
    "an optimizer without a fused form": ["optimizer.name=NAdam", "model.name=mlp"],
}


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    """The measured peak of each case, in a process that does nothing else: torch counts what other threads take."""
    code = (
        "import json, sys\n"
        "from torchdeck.engine.config.file import parse_config\n"
        "from torchdeck.engine.preflight.measured_step import measure_spec\n"
        "configs = [parse_config(toml, 'test') for toml in json.load(sys.stdin)]\n"
        f"print(json.dumps([measure_spec(config, 10, {SHAPE}).peak for config in configs]))"
    )
    cases = json.dumps([dump_config(run(*case)) for case in MEASURED.values()])
    result = subprocess.run([*warm_python(), "-c", code], input=cases, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return dict(zip(MEASURED, json.loads(result.stdout), strict=True))


@pytest.mark.parametrize("name", MEASURED)
def test_the_estimate_is_within_a_tenth_of_the_measured_peak(name: str, measured: dict[str, int]) -> None:
    assert estimate(*MEASURED[name]).peak == pytest.approx(measured[name], rel=0.1)


def test_the_parts_add_up_to_the_peak() -> None:
    found = estimate("optimizer.name=AdamW")
    parts = found.parameters + found.buffers + found.optimizer_state + found.gradients + found.activations
    assert parts == found.peak
    assert found.averages == 0
    assert found.evaluation_peak > found.parameters


def test_the_optimizer_and_frozen_parts_show() -> None:
    plain = estimate("model.name=mlp", "optimizer.name=SGD")
    momentum = estimate("model.name=mlp", "optimizer.name=SGD", "optimizer.momentum=0.9")
    adam = estimate("model.name=mlp", "optimizer.name=AdamW")
    frozen = estimate("model.name=mlp", "optimizer.name=AdamW", 'model.freeze=["*", "!5"]')
    assert plain.optimizer_state == 0
    assert momentum.optimizer_state == momentum.parameters
    assert adam.optimizer_state == pytest.approx(2 * adam.parameters, rel=0.001)
    assert frozen.parameters == adam.parameters
    assert frozen.optimizer_state < adam.optimizer_state / 10
    assert frozen.peak < adam.peak
    averaged = estimate("model.name=mlp", "optimizer.name=AdamW", "ema.decay=0.99")
    assert averaged.averages == pytest.approx(averaged.parameters, rel=0.001)
    assert averaged.peak == pytest.approx(adam.peak + averaged.averages, rel=0.001)


def test_every_optimizer_of_the_catalog_can_be_estimated() -> None:
    for name in ("ASGD", "Adafactor", "RAdam", "Rprop"):
        assert estimate(f"optimizer.name={name}", "loader.batch_size=2").peak > 0


def test_the_largest_batch_fits_and_the_next_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 200_000_000)
    found = largest_batch(run(), 10, SHAPE)
    assert found is not None
    assert found.fits
    assert found.batch_size % 8 == 0
    assert not estimate(f"loader.batch_size={found.batch_size + 8}").fits
    limited = largest_batch(run(), 10, SHAPE, limit=100)
    assert limited is not None
    assert limited.batch_size == 100


def test_no_batch_fits_where_the_weights_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 100_000)
    assert largest_batch(run(), 10, SHAPE) is None


def test_a_model_that_computes_with_values_is_refused_with_a_way_on(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "from torch import nn\n"
        "class Model(nn.Module):\n"
        "    def __init__(self, num_classes, input_shape):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(256, num_classes)\n"
        "    def forward(self, x):\n"
        "        return self.fc(x.flatten(1)) * x.mean().item()\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match="measuring a real step can"):
        estimate(f"model.name={file}:Model")
    assert measure_spec(run(f"model.name={file}:Model"), 10, SHAPE).peak > 0


TWO_INPUTS = """
import torch
from torch import nn

class Pairs:
    classes = ["a", "b"]
    targets = [0, 1] * 40
    def __len__(self):
        return 80
    def __getitem__(self, index):
        image, numbers = torch.full((1, 16, 16), index / 80), torch.full((5,), float(index))
        return (INPUTS, self.targets[index])

def pairs():
    return Pairs()

class Model(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.images, self.numbers = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(5, 64)
        self.head = nn.Linear(16 * 256 + 64, num_classes)
    def forward(self, image, numbers):
        return self.head(torch.cat([self.images(image).relu().flatten(1), self.numbers(numbers).relu()], 1))
"""


@pytest.mark.parametrize("inputs", ["(image, numbers)", "{'image': image, 'numbers': numbers}"], ids=["tuple", "dict"])
def test_a_model_of_several_inputs_is_estimated_with_all_of_them(inputs: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(TWO_INPUTS.replace("INPUTS", inputs), encoding="utf-8")
    config = run(
        f"model={{name='{file}:Model'}}", f"data.dataset={file}:pairs", "data.validation=0.2", "loader.batch_size=32"
    )
    assert draft_memory(config).peak == pytest.approx(measure_draft(config).peak, rel=0.1)
    largest = largest_draft_batch(config)
    assert largest is not None and largest.batch_size == 64
    part = config.model_copy(update={"loader": LoaderConfig(subset="10")})
    largest = largest_draft_batch(part)
    assert largest is not None and largest.batch_size == 10


def test_a_draft_is_measured_on_its_own_data() -> None:
    config = run(
        "data.dataset=digits",
        "data.validation=0.2",
        "loader.batch_size=100",
        "training.epochs=3",
        "training.accumulate=2",
    )
    measured = measure_draft(config)
    assert measured.seconds > 0
    assert (measured.batch_size, measured.steps_per_epoch, measured.epochs) == (100, 8, 3)
