"""Freeze rules, and what stands still with the frozen."""

import copy

import pytest
import torch
from torch import nn

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.models.build import build_model, build_with_notes
from torchdeck.engine.models.freezing import apply_freeze, check_freeze_rules


def trainable(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)), nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ([], {"0.weight", "0.bias", "1.0.weight", "1.0.bias", "1.1.weight", "1.1.bias", "2.weight", "2.bias"}),
        (["*", "!2"], {"2.weight", "2.bias"}),
        (["0", "1"], {"2.weight", "2.bias"}),
        (["1.1"], {"0.weight", "0.bias", "1.0.weight", "1.0.bias", "2.weight", "2.bias"}),
        (["*.bias"], {"0.weight", "1.0.weight", "1.1.weight", "2.weight"}),
        (["!2", "*"], set()),
        (["*", "!1", "1.0"], {"1.1.weight", "1.1.bias"}),
        (["?"], set()),
    ],
)
def test_the_last_rule_that_matches_decides(rules: list[str], left: set[str]) -> None:
    model = small()
    apply_freeze(model, rules)
    assert trainable(model) == left


def test_every_rule_says_how_many_parameters_it_matched() -> None:
    assert [(rule.rule, rule.hits) for rule in apply_freeze(small(), ["*", "!2", "fc"])] == [
        ("*", 8),
        ("!2", 2),
        ("fc", 0),
    ]


def test_a_rule_does_not_match_a_name_that_merely_begins_alike() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(2, 2), "fc2": nn.Linear(2, 2)})
    apply_freeze(model, ["fc"])
    assert trainable(model) == {"fc2.weight", "fc2.bias"}


def test_a_shared_parameter_answers_to_all_its_names() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False), "c": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    assert apply_freeze(model, ["b"])[0].hits == 1
    assert trainable(model) == {"c.weight", "c.bias"}


@pytest.mark.parametrize(("rules", "count"), [(["*", "!fc"], 5130), (["*", "!layer4", "!fc"], 8_398_858)])
def test_a_frozen_resnet18_trains_what_was_reopened(rules: list[str], count: int) -> None:
    model = build_model(ModelConfig(name="resnet18", freeze=rules), 10, (3, 64, 64))
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == count


def test_running_statistics_of_frozen_layers_stand_still_in_training() -> None:
    model = build_model(ModelConfig(name="resnet18", freeze=["*", "!layer4", "!fc"]), 10, (3, 32, 32))
    model.train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model(torch.rand(4, 3, 32, 32))
    moved = {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}
    assert moved
    assert all(name.startswith("layer4") for name in moved)


def test_a_norm_without_parameters_goes_with_its_part_of_the_model() -> None:
    model = nn.ModuleDict(
        {"body": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False)), "fc": nn.Linear(2, 2)}
    )
    apply_freeze(model, ["body"])
    model.train()
    assert not model["body"][1].training
    assert model["fc"].training


def test_a_copy_of_a_frozen_model_holds_its_own_layers() -> None:
    model = small()
    apply_freeze(model, ["1.0"])
    twin = copy.deepcopy(model)
    twin.train()
    assert not twin[1][0].training
    assert twin[1][0].train() is twin[1][0]


def test_a_rule_that_matches_nothing_is_told_with_the_nearest_name() -> None:
    built = build_with_notes(ModelConfig(name="cnn", freeze=["clasifier"]), 10, (1, 8, 8))
    assert built.notes == ["model.freeze: \"clasifier\" matches no parameter; did you mean 'classifier'?"]
    with pytest.warns(UserWarning, match="clasifier"):
        build_model(ModelConfig(name="cnn", freeze=["clasifier"]), 10, (1, 8, 8))


def test_freezing_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing is left to train"):
        build_model(ModelConfig(name="mlp", freeze=["*"]), 10, (1, 8, 8))


def test_a_rule_that_names_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match='"!" is empty'):
        build_model(ModelConfig(name="mlp", freeze=["!"]), 10, (1, 8, 8))


def test_a_rule_may_be_a_regular_expression() -> None:
    model = build_with_notes(
        ModelConfig(name="cnn", freeze=[r"re:features\.[024]\..*", "!re:.*4.*bias"]), 3, (1, 8, 8)
    ).model
    open_ = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert "features.0.0.weight" not in open_
    assert "features.4.1.bias" in open_
    with pytest.raises(ConfigError, match="not a valid regular expression"):
        check_freeze_rules(["re:("])


def test_frozen_norm_layers_go_on_averaging_when_the_switch_is_off() -> None:
    config = ModelConfig(name="cnn", freeze=["features"], freeze_norm=False)
    model = build_with_notes(config, 3, (1, 8, 8)).model.train()
    before = model.features[0][1].running_mean.clone()
    model(torch.rand(4, 1, 8, 8))
    assert not torch.equal(model.features[0][1].running_mean, before)
