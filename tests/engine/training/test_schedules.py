import math

import pytest
import torch
from torch import nn

from torchdeck.engine.config import ScheduleConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.training.optimization.schedules import Schedule, build_schedule, check_schedule, list_schedules


def make(
    lr: float = 1.0, steps: int = 10, epochs: int = 4, **values: object
) -> tuple[Schedule, torch.optim.Optimizer]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    config = ScheduleConfig.model_validate(values)
    return build_schedule(config, optimizer, steps_per_epoch=steps, epochs=epochs), optimizer


def rates(schedule: Schedule, optimizer: torch.optim.Optimizer, steps: int = 10, epochs: int = 4) -> list[float]:
    seen = []
    for _ in range(epochs):
        for _ in range(steps):
            seen.append(schedule.learning_rate)
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch()
        schedule.after_evaluation({"loss": 1.0})
    return seen


def test_constant_keeps_the_learning_rate() -> None:
    assert set(rates(*make(lr=0.3))) == {0.3}


def test_cosine_reaches_zero_at_the_end_of_the_run_without_being_told_its_length() -> None:
    seen = rates(*make(name="CosineAnnealingLR"))
    expected = [0.5 * (1 + math.cos(math.pi * step / 40)) for step in range(40)]
    assert seen == pytest.approx(expected)


def test_warmup_rises_linearly_to_the_first_rate_and_the_schedule_begins_after_it() -> None:
    seen = rates(*make(name="CosineAnnealingLR", warmup_epochs=1))
    assert seen[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert seen[10] == pytest.approx(1.0)
    assert seen[10:] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 30)) for step in range(30)])


def test_a_schedule_by_epoch_changes_between_epochs_only() -> None:
    seen = rates(*make(name="StepLR", interval="epoch", step_size=2, gamma=0.1))
    assert seen == pytest.approx([1.0] * 20 + [0.1] * 20)


def test_an_epoch_of_warmup_does_not_count_for_a_schedule_by_epoch() -> None:
    seen = rates(*make(name="StepLR", interval="epoch", step_size=1, gamma=0.1, warmup_epochs=1))
    assert seen[10:] == pytest.approx([1.0] * 10 + [0.1] * 10 + [0.01] * 10)


def test_one_cycle_takes_its_peak_from_the_optimizer() -> None:
    assert max(rates(*make(lr=0.2, name="OneCycleLR"))) == pytest.approx(0.2, rel=0.05)


def test_plateau_lowers_the_rate_when_the_validation_loss_stands_still() -> None:
    seen = rates(*make(name="ReduceLROnPlateau", interval="epoch", patience=0))
    assert seen[0] == 1.0
    assert seen[-1] < 0.11


@pytest.mark.parametrize("name", [entry.name for entry in list_schedules()])
def test_every_listed_schedule_goes_on_exactly_from_its_state(name: str) -> None:
    needed = {
        "StepLR": {"step_size": 3},
        "MultiStepLR": {"milestones": [5, 12]},
        "ExponentialLR": {"gamma": 0.9},
        "CyclicLR": {"base_lr": 0.1, "step_size_up": 4},
        "CosineAnnealingWarmRestarts": {"T_0": 7},
        "ReduceLROnPlateau": {"interval": "epoch", "patience": 0},
    }
    values = {"name": name, **({"warmup_epochs": 0.5} if name != "CyclicLR" else {}), **needed.get(name, {})}
    whole = rates(*make(**values))
    schedule, optimizer = make(**values)
    first = rates(schedule, optimizer, epochs=2)
    state, optimizer_state = schedule.state_dict(), optimizer.state_dict()
    resumed, new_optimizer = make(**values)
    new_optimizer.load_state_dict(optimizer_state)
    resumed.load_state_dict(state)
    assert first + rates(resumed, new_optimizer, epochs=2) == whole


def test_scaling_changes_this_and_every_later_rate() -> None:
    whole = rates(*make(name="CosineAnnealingLR"))
    schedule, optimizer = make(name="CosineAnnealingLR")
    first = rates(schedule, optimizer, epochs=2)
    schedule.scale(0.5)
    second = rates(schedule, optimizer, epochs=2)
    assert first + second == pytest.approx(whole[:20] + [rate / 2 for rate in whole[20:]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": "CosineAnealingLR"}, "did you mean 'CosineAnnealingLR'"),
        ({"name": "StepLR"}, "the argument 'step_size' is missing"),
        ({"name": "StepLR", "step_size": 3, "gama": 0.1}, "did you mean 'gamma'"),
        ({"name": "LambdaLR"}, "takes a Python function"),
        ({"name": "SequentialLR"}, "combines other schedules"),
        ({"name": "constant", "gamma": 1.0}, "takes no arguments"),
    ],
)
def test_a_schedule_that_can_not_be_built_says_why(values: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        check_schedule(ScheduleConfig.model_validate(values), 0.1)
