from pathlib import Path

import pytest
import torch
from torch import nn
from training_cases import events_of, train, weights_of

from torchdeck.engine.config import OptimizerConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.training.optimization.optimizers import build_optimizer
from torchdeck.engine.training.optimization.parameter_groups import group_lines, idle_rules, plan_groups


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3)
        self.blocks = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), nn.Linear(4, 4, bias=False))
        self.embedding = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 3)


def config(**values: object) -> OptimizerConfig:
    return OptimizerConfig.model_validate({"name": "AdamW", "lr": 0.1, **values})


def options_by_name(optimizer_config: OptimizerConfig) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of every parameter, as the optimizer has them."""
    model = Net()
    optimizer = build_optimizer(optimizer_config, model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [
        (names[id(parameter)], (group["lr"], group["weight_decay"]))
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    assert len(found) == len(dict(found)) == len(names), "every parameter once"
    return dict(found)


def test_without_options_there_is_one_group_of_everything() -> None:
    assert set(options_by_name(config(weight_decay=0.05)).values()) == {(0.1, 0.05)}
    assert len(plan_groups(config(), Net())) == 1


def test_vectors_are_left_out_of_weight_decay_when_asked_for() -> None:
    options = options_by_name(config(weight_decay=0.05, decay_1d=False))
    assert {name for name, (_, decay) in options.items() if decay == 0} == {
        "stem.bias",
        "blocks.0.0.bias",
        "blocks.0.1.weight",
        "blocks.0.1.bias",
        "head.bias",
    }


def test_the_rate_falls_by_a_factor_from_each_layer_to_the_one_before_it() -> None:
    rates = {name: rate for name, (rate, _) in options_by_name(config(layer_decay=0.5)).items()}
    assert rates["head.weight"] == rates["head.bias"] == 0.1
    assert rates["embedding.weight"] == pytest.approx(0.05)
    assert rates["blocks.1.weight"] == pytest.approx(0.025)
    assert rates["blocks.0.0.weight"] == rates["blocks.0.1.bias"] == pytest.approx(0.0125)
    assert rates["stem.weight"] == pytest.approx(0.00625)


def test_the_last_rule_that_matches_gives_factor_and_options() -> None:
    rules = [
        {"pattern": "*", "weight_decay": 0.3},
        {"pattern": "head", "lr_factor": 10.0, "weight_decay": 0.0, "betas": [0.5, 0.6]},
        {"pattern": "*.bias", "lr_factor": 2.0},
    ]
    options = options_by_name(config(groups=rules))
    assert options["head.weight"] == (1.0, 0.0)
    assert options["head.bias"] == (0.2, 0.0)
    assert options["stem.bias"] == (0.2, 0.3)
    assert options["stem.weight"] == (0.1, 0.3)


def test_the_group_at_the_full_rate_comes_first_as_its_rate_is_shown() -> None:
    optimizer = build_optimizer(config(layer_decay=0.5), Net())
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_the_groups_are_listed_with_what_is_in_them() -> None:
    lines = group_lines(plan_groups(config(decay_1d=False, groups=[{"pattern": "head", "lr_factor": 10}]), Net()), 0.1)
    assert len(lines) == 4
    assert "AdamW, lr 1: 1 tensors, 12 parameters (head.weight)" in lines
    assert any("weight_decay 0: 4 tensors" in line for line in lines)


def test_a_rule_that_matches_nothing_is_noted() -> None:
    (note,) = idle_rules(config(groups=[{"pattern": "haed"}, {"pattern": "head"}]), Net())
    assert note.startswith('optimizer.groups: "haed" matches no trained parameter')


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"groups": [{"pattern": "head", "weight_deca": 0.0}]}, "group head: unknown argument 'weight_deca'"),
        ({"groups": [{"pattern": "re:("}]}, "not a valid regular expression"),
        ({"name": "Rprop", "decay_1d": False}, "Rprop has no weight decay"),
        ({"name": "LBFGS"}, "re-evaluates the loss through a closure"),
    ],
)
def test_options_that_can_not_be_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_optimizer(config(**values), Net())


def test_muon_takes_the_hidden_matrices_and_adamw_the_rest() -> None:
    groups = plan_groups(config(name="Muon"), Net())
    methods = {name: group.method for group in groups for name in group.names}
    assert {name for name, method in methods.items() if method == "Muon"} == {"blocks.0.0.weight", "blocks.1.weight"}
    assert set(methods.values()) == {"Muon", "AdamW"}


def test_muon_and_adamw_do_the_steps_that_each_does_alone() -> None:
    def model() -> nn.Sequential:
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))

    together, apart = model(), model()
    one = build_optimizer(config(name="Muon", weight_decay=0.1, momentum=0.9), together)
    matrix, rest = apart[0].weight, [apart[0].bias, *apart[2].parameters()]
    two = [
        torch.optim.Muon([matrix], lr=0.1, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=0.1, weight_decay=0.1, fused=True),
    ]
    restored = None
    for step in range(4):
        inputs = torch.randn(7, 6, generator=torch.Generator().manual_seed(step))
        for net, optimizers in ((together, [one]), (apart, two)):
            net(inputs).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        if step == 1:
            restored = build_optimizer(config(name="Muon", weight_decay=0.1, momentum=0.9), together)
            restored.load_state_dict(one.state_dict())
            one = restored
    for tensor, other in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(tensor, other)


def test_a_run_says_which_rule_matched_nothing_and_trains_the_others(tmp_path: Path) -> None:
    groups = "optimizer.groups=[{pattern='nowhere'}, {pattern='*.bias', lr_factor=1e-9, weight_decay=0.0}]"
    path = train(tmp_path, groups, "training.epochs=1")
    assert any('"nowhere" matches no trained parameter' in event["text"] for event in events_of(path, "note"))
    plain = weights_of(train(tmp_path / "plain", "training.epochs=1"))
    ours = weights_of(path)
    assert any(not torch.equal(ours[name], plain[name]) for name in ours if name.endswith("bias"))
