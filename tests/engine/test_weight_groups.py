"""Parameter groups, computed without any weights."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.preflight.weight_groups import WeightGroups, weight_groups


def groups_of(*overrides: str) -> WeightGroups:
    return weight_groups(
        parse_config("", "test", ["optimizer.name=AdamW", "optimizer.lr=0.1", *overrides]), 10, (3, 32, 32)
    )


def test_every_group_has_its_rate_its_decay_and_its_numbers() -> None:
    found = groups_of(
        "model.name=resnet18",
        'model.freeze=["*", "!layer4.1", "!fc"]',
        "optimizer.decay_1d=false",
        "optimizer.weight_decay=0.02",
        "optimizer.groups=[{pattern='fc', lr_factor=10.0}, {pattern='nowhere'}]",
    )
    assert [
        (group.lr, group.weight_decay, len(group.tensors), group.vectors, group.params) for group in found.groups
    ] == [
        (0.1, 0.02, 2, 0, 2 * 512 * 512 * 9),
        (0.1, 0.0, 4, 4, 4 * 512),
        (1.0, 0.02, 1, 0, 5120),
        (1.0, 0.0, 1, 1, 10),
    ]
    assert [group.patterns for group in found.groups] == [[], [], ["fc"], ["fc"]]
    assert found.groups[3].tensors == ["fc.bias"]
    assert (found.frozen_tensors, found.frozen_params) == (
        54,
        11_181_642 - sum(group.params for group in found.groups),
    )
    assert found.notes[0].startswith('optimizer.groups: "nowhere" matches no trained parameter')
    assert json.loads(json.dumps(asdict(found)))["groups"][2]["lr_factor"] == 10.0


def test_the_blocks_of_a_transformer_fall_off_one_by_one() -> None:
    found = weight_groups(
        parse_config("", "test", ["model.name=vit_b_32", "optimizer.layer_decay=0.5"]), 10, (3, 32, 32)
    )
    blocks = {
        name.split(".")[2]: group.lr_factor
        for group in found.groups
        for name in group.tensors
        if ".encoder_layer_" in name
    }
    assert blocks == {f"encoder_layer_{index}": 0.5 ** (12 - index) for index in range(12)}


def test_of_a_lazy_model_the_groups_are_those_of_its_known_shapes(tmp_path: Path) -> None:
    text = "from torch import nn\ndef net(num_classes): return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))"
    (tmp_path / "lazy.py").write_text(text)
    found = groups_of(f"model.name={tmp_path / 'lazy.py'}:net")
    assert [(group.vectors, group.params) for group in found.groups] == [(1, 3 * 32 * 32 * 10 + 10)]


def test_an_option_that_the_optimizer_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="group fc: unknown argument 'wieght_decay'"):
        groups_of("model.name=resnet18", "optimizer.groups=[{pattern='fc', wieght_decay=0.0}]")
