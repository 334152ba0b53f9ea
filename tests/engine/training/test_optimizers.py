import pytest
import torch
from torch import nn

from torchdeck.engine.config import OptimizerConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.training.optimization.optimizers import build_optimizer, check_optimizer, list_optimizers


def optimizer_config(name: str, **arguments: object) -> OptimizerConfig:
    return OptimizerConfig.model_validate({"name": name, **arguments})


@pytest.mark.parametrize("entry", list_optimizers(), ids=lambda entry: entry.name)
def test_every_listed_optimizer_takes_a_step(entry: object) -> None:
    model = nn.Linear(4, 3, bias=False)
    optimizer = build_optimizer(optimizer_config(entry.name, lr=0.01), model)  # type: ignore[attr-defined]
    before = model.weight.detach().clone()
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


def test_arguments_are_the_librarys_own() -> None:
    optimizer = build_optimizer(optimizer_config("AdamW", lr=0.1, betas=[0.8, 0.9]), nn.Linear(2, 2))
    assert optimizer.defaults["betas"] == (0.8, 0.9)


def test_an_unknown_optimizer_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'AdamW'"):
        check_optimizer(optimizer_config("AdanW"))


def test_an_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown argument 'momentun'; did you mean 'momentum'"):
        check_optimizer(optimizer_config("SGD", momentun=0.9))


def test_a_value_the_optimizer_refuses_is_told_in_its_words() -> None:
    with pytest.raises(ConfigError, match="optimizer SGD: Invalid momentum value"):
        check_optimizer(optimizer_config("SGD", momentum=-1.0))


def test_an_optimizer_that_needs_a_closure_says_so() -> None:
    with pytest.raises(ConfigError, match="closure"):
        check_optimizer(optimizer_config("LBFGS"))


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    optimizer = build_optimizer(optimizer_config("SGD"), model)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_a_model_with_everything_frozen_is_refused() -> None:
    with pytest.raises(ConfigError, match="every parameter is frozen"):
        build_optimizer(optimizer_config("SGD"), nn.Linear(2, 2).requires_grad_(False))
