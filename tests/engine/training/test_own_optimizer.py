"""Optimizers and schedules of the user's own file."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_cases import case, reader_of, resume_copy, train, weights_of

from torchdeck.engine.build import prepare
from torchdeck.engine.config import OptimizerConfig, ScheduleConfig
from torchdeck.engine.errors import ConfigError, TorchdeckError, UserCodeError
from torchdeck.engine.preflight.plan import plan_run
from torchdeck.engine.training.optimization.optimizers import build_optimizer, check_optimizer
from torchdeck.engine.training.optimization.parameter_groups import group_lines, plan_groups
from torchdeck.engine.training.optimization.schedules import Schedule, build_schedule, check_schedule

OPTIMIZERS = """
import torch
from torch.optim import SGD

class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            first, second = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                average = self.state[weight].setdefault("average", torch.zeros_like(weight))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(torch.lerp(weight.grad, average, first).sign(), alpha=-group["lr"])
                average.lerp_(weight.grad, 1 - second)

def plain_sgd(params, lr, momentum=0.0):
    return SGD(params, lr=lr, momentum=momentum)

def without_lr(params):
    return SGD(params)

def nothing(params, lr):
    return None

def of_one(params, lr):
    return SGD(list(params)[:1], lr=lr)

class FailingStep(SGD):
    def step(self, closure=None):
        raise ZeroDivisionError("no step")

class Unsavable(SGD):
    def state_dict(self):
        return {**super().state_dict(), "function": print}

class NeedsClosure(SGD):
    def step(self, closure):
        closure()

def failing(params, lr):
    return {}["missing"]
"""

SCHEDULES = """
import math
from torch.optim import SGD, lr_scheduler

def polynomial(optimizer, total_steps, power=1.0):
    return lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total_steps) ** power)

def told(optimizer, epochs, steps_per_epoch, total_steps, T_max, mode):
    schedule = lr_scheduler.StepLR(optimizer, 1)
    schedule.told = [epochs, steps_per_epoch, total_steps, T_max, mode]
    return schedule

def plateau(optimizer, mode, factor=0.5):
    return lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, factor=factor, patience=0)

def two_parts(optimizer):
    parts = [lr_scheduler.StepLR(optimizer, 1, 0.5), lr_scheduler.StepLR(optimizer, 2, 0.5)]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[2])

def nothing(optimizer):
    return None

def failing(optimizer):
    return lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (step - 1))

def not_finite(optimizer):
    return lr_scheduler.LambdaLR(optimizer, lambda step: math.nan if step else 1.0)

class Unsavable(lr_scheduler.StepLR):
    def __init__(self, optimizer):
        self.function = print
        super().__init__(optimizer, 2)
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "opt.py").write_text(OPTIMIZERS, encoding="utf-8")
    (tmp_path / "sched.py").write_text(SCHEDULES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def optimizer_config(name: str, **values: Any) -> OptimizerConfig:
    return OptimizerConfig.model_validate({"name": f"opt.py:{name}", "lr": 0.01, **values})


def schedule_of(name: str, **values: Any) -> tuple[Schedule, torch.optim.Optimizer]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    config = ScheduleConfig.model_validate({"name": f"sched.py:{name}", **values})
    return build_schedule(config, optimizer, steps_per_epoch=4, epochs=3), optimizer


def test_a_class_gets_the_parameters_the_learning_rate_and_its_own_arguments() -> None:
    optimizer = build_optimizer(optimizer_config("Lion", betas=[0.5, 0.6]), nn.Linear(2, 2))
    (group,) = optimizer.param_groups
    assert (type(optimizer).__name__, group["lr"], group["betas"]) == ("Lion", 0.01, (0.5, 0.6))


def test_a_function_may_make_it() -> None:
    optimizer = build_optimizer(optimizer_config("plain_sgd", momentum=0.9), nn.Linear(2, 2))
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["momentum"] == 0.9


def test_parameter_groups_are_those_of_torchs_own() -> None:
    values = {"decay_1d": False, "weight_decay": 0.1, "groups": [{"pattern": "1.*", "lr_factor": 10, "betas": [0, 0]}]}
    config, model = optimizer_config("Lion", **values), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = build_optimizer(config, model)
    own = {id(model[0].weight): (0.01, 0.1), id(model[0].bias): (0.01, 0.0), id(model[1].weight): (0.1, 0.1)}
    found = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert {key: found[key] for key in own} == own
    assert group_lines(plan_groups(config, model), 0.01)[0].startswith("opt.py:Lion, lr 0.01: ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "Liom"}, "did you mean 'Lion'"),
        ({"name": "Lion", "momentun": 1}, "optimizer opt.py:Lion: unknown argument 'momentun'"),
        ({"name": "without_lr"}, "optimizer opt.py:without_lr: takes no lr"),
        ({"name": "plain_sgd", "decay_1d": False}, "opt.py:plain_sgd has no weight decay"),
        ({"name": "Lion", "groups": [{"pattern": "*", "momentum": 1}]}, "group \\*: unknown argument 'momentum'"),
    ],
)
def test_what_is_wrong_is_said_without_calling_it(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_optimizer(optimizer_config(values.pop("name"), **values))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "returned NoneType; expected a torch.optim.Optimizer"),
        ("of_one", "hold 1 of the 4 parameters"),
        ("failing", "KeyError: 'missing'\n.*opt.py\", line"),
        ("FailingStep", 'step: ZeroDivisionError: no step\n.*opt.py", line'),
        ("NeedsClosure", "step: TypeError: .*closure"),
        ("Unsavable", "state_dict.. can't be saved: function is a builtin_function_or_method"),
    ],
)
def test_an_optimizer_that_would_fail_in_the_run_is_refused_before_it(name: str, message: str) -> None:
    with pytest.raises(UserCodeError, match=message):
        prepare(case(f"optimizer={{name='opt.py:{name}',lr=0.01}}"), lambda *_: None)


def test_the_trial_leaves_weights_and_random_numbers_alone() -> None:
    own = prepare(case("optimizer={name='opt.py:Lion',lr=1.0}"), lambda *_: None).model
    torchs = prepare(case(), lambda *_: None).model
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), torchs.parameters(), strict=True))


def test_lengths_are_supplied_where_the_signature_names_them() -> None:
    schedule, _ = schedule_of("told", warmup_epochs=1)
    assert schedule.state_dict()["main"]["told"] == [3, 4, 8, 8, "min"]
    schedule, _ = schedule_of("told", warmup_epochs=1, interval="epoch", metric="accuracy", T_max=7)
    assert schedule.state_dict()["main"]["told"] == [3, 4, 2, 7, "max"]


def test_a_schedule_begins_after_the_warm_up() -> None:
    schedule, optimizer = schedule_of("polynomial", warmup_epochs=1)
    optimizer.step()
    rates = []
    for _ in range(12):
        rates.append(schedule.learning_rate)
        schedule.after_step()
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, *(1 - step / 8 for step in range(8))])


def test_a_factory_may_return_what_watches_a_metric() -> None:
    schedule, _ = schedule_of("plateau", metric="accuracy")
    assert schedule.watches_metric
    for accuracy in (0.5, 0.6, 0.55):
        schedule.after_evaluation({"accuracy": accuracy, "loss": 1.0})
    assert schedule.learning_rate == 0.5


def test_scaling_reaches_the_parts_of_a_schedule() -> None:
    schedule, optimizer = schedule_of("two_parts")
    optimizer.step()
    schedule.scale(0.1)
    rates = []
    for _ in range(4):
        rates.append(schedule.learning_rate)
        schedule.after_step()
    assert rates == pytest.approx([0.1, 0.05, 0.1, 0.1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "polynomail"}, "did you mean 'polynomial'"),
        ({"name": "polynomial", "pow": 2}, "schedule sched.py:polynomial: unknown argument 'pow'"),
    ],
)
def test_a_wrong_schedule_is_said_without_calling_it(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_schedule(ScheduleConfig.model_validate({**values, "name": f"sched.py:{values['name']}"}), 0.1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "returned NoneType; expected a torch.optim.lr_scheduler.LRScheduler"),
        ("failing", 'step: ZeroDivisionError: .*\n.*sched.py", line'),
        ("not_finite", "sets the learning rate nan after its first step"),
        ("Unsavable", "can't be saved: main.function is a builtin_function_or_method"),
    ],
)
def test_a_schedule_that_would_fail_in_the_run_is_refused_before_it(name: str, message: str) -> None:
    with pytest.raises(TorchdeckError, match=message):
        prepare(case(f"schedule.name=sched.py:{name}"), lambda *_: None)


def test_a_run_with_both_resumes_bit_for_bit(tmp_path: Path) -> None:
    overrides = (
        "optimizer={name='opt.py:Lion',lr=1e-3,weight_decay=0.1,decay_1d=false}",
        "schedule={name='sched.py:polynomial',warmup_epochs=0.4}",
        "checkpoint.every_steps=3",
    )
    whole = train(tmp_path / "runs", *overrides)
    again = resume_copy(whole, tmp_path / "copies", "step-000000003.pt")
    expected = weights_of(whole)
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights_of(again).items())
    assert reader_of(again).series("lr")[1].tolist() == reader_of(whole).series("lr")[1].tolist()


def test_the_plan_goes_through_the_schedule() -> None:
    plan = plan_run(case("optimizer={name='opt.py:Lion',lr=1e-3}", "schedule.name=sched.py:polynomial"))
    assert plan.optimizer == "opt.py:Lion"
    assert plan.rates == pytest.approx([1e-3 * (1 - step / 10) for step in range(10)])
