"""Filling parameters by rule: which, with what, and never what was trained unless asked."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from torchdeck.engine.config import InitRule, ModelConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.models.build import build_with_notes, check_model
from torchdeck.engine.models.initialization import apply_init, plan_init
from torchdeck.engine.models.module_tree import inspect_model


def rule(name: str, **settings: Any) -> InitRule:
    return InitRule(name=name, **settings)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Flatten(), nn.Linear(144, 8)), nn.Linear(8, 3)
    )


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["0.weight", "2.1.weight", "3.weight"]),
        ({"types": "Conv*"}, ["0.weight"]),
        ({"modules": "2"}, ["2.1.weight"]),
        ({"modules": "re:[23].*"}, ["2.1.weight", "3.weight"]),
        ({"types": "Linear", "parameters": "*"}, ["2.1.weight", "3.weight"]),
        ({"types": "Linear", "name": "zeros", "parameters": "bias"}, ["2.1.bias", "3.bias"]),
    ],
)
def test_a_rule_fills_what_it_names_and_its_scheme_is_defined_for(settings: dict[str, Any], names: list[str]) -> None:
    (plan,) = plan_init(network(), [rule(settings.pop("name", "orthogonal"), **settings)])
    assert plan.names == names


@pytest.mark.parametrize(
    ("scheme", "holds"),
    [
        ("zeros", lambda weight: not weight.any()),
        ("orthogonal", lambda weight: torch.allclose(weight @ weight.T, torch.eye(8), atol=1e-5)),
        ("xavier_uniform", lambda weight: weight.abs().max() <= (6 / 152) ** 0.5),
        ("kaiming_normal", lambda weight: abs(weight.std() - (2 / 144) ** 0.5) < 0.01),
        ("trunc_normal", lambda weight: weight.abs().max() <= 2),
    ],
)
def test_a_scheme_is_that_of_torch(scheme: str, holds: Any) -> None:
    model = network()
    apply_init(model, plan_init(model, [rule(scheme, modules="2")]))
    assert holds(model[2][1].weight)


def test_the_last_rule_that_names_a_parameter_decides() -> None:
    model = network()
    apply_init(model, plan_init(model, [rule("ones"), rule("constant", val=3.0, modules="3")]))
    assert model[3].weight.unique().tolist() == [3.0]
    assert model[0].weight.unique().tolist() == [1.0]


def test_a_shared_parameter_is_filled_once() -> None:
    model = network()
    model.add_module("again", model[3])
    (plan,) = plan_init(model, [rule("zeros", types="Linear")])
    assert plan.names == ["2.1.weight", "3.weight"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "kaiming_norml"}, "unknown scheme 'kaiming_norml'; did you mean 'kaiming_normal'"),
        ({"name": "normal", "sd": 1}, "unknown argument 'sd'"),
        ({"name": "constant"}, "missing a required argument: 'val'"),
        ({"name": "kaiming_normal", "mode": "fan_ou"}, "fan_ou"),
        ({"name": "zeros", "modules": "re:("}, "is not a valid regular expression"),
    ],
)
def test_a_wrong_rule_is_found_without_building(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_model(ModelConfig(name="mlp", init=[InitRule(**settings)]))


def test_the_filled_weights_are_a_function_of_the_seed() -> None:
    config = ModelConfig(name="mlp", init=[rule("orthogonal")], hidden=[8])  # type: ignore[call-arg]
    built = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        built.append(build_with_notes(config, 3, (1, 4, 4)).model.state_dict()["1.weight"])
    assert torch.equal(built[0], built[1])
    assert not torch.equal(built[0], built[2])


def test_trained_weights_are_filled_only_where_a_rule_names_their_modules(tmp_path: Path) -> None:
    torch.save(build_with_notes(ModelConfig(name="cnn"), 3, (1, 8, 8)).model.state_dict(), tmp_path / "w.pt")
    config = ModelConfig(name="cnn", weights=str(tmp_path / "w.pt"), init=[rule("zeros")])
    built = build_with_notes(config, 5, (1, 8, 8))
    state = built.model.state_dict()
    assert not state["classifier.weight"].any()
    assert state["features.0.0.weight"].all()
    assert "zeros fills 1: classifier.weight; 12 keep their pretrained values" in built.notes[1]
    assert inspect_model(config, 5, (1, 8, 8)).note == built.notes[1]
    everything = config.model_copy(update={"init": [rule("zeros", modules="features")]})
    assert not build_with_notes(everything, 5, (1, 8, 8)).model.state_dict()["features.0.0.weight"].any()


def test_a_run_that_goes_on_needs_no_file_of_weights() -> None:
    config = ModelConfig(name="cnn", weights="gone.pt", init=[rule("zeros")])
    assert build_with_notes(config, 5, (1, 8, 8), load=False).model.state_dict()["classifier.weight"].any()
