"""A schedule and the run it steers are as long as each other, or it is said before the run starts."""

import inspect
from typing import Any

import pytest
import torch

from torchdeck.engine.config import ScheduleConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.training.optimization.schedule_lengths import (
    LENGTHS,
    fitted_warmup,
    length_note,
    warmup_note,
)
from torchdeck.engine.training.optimization.schedules import build_schedule, list_schedules

# What a schedule of torch can't be built without, and torchdeck doesn't fill in.
NEEDED: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [3, 6]},
    "ExponentialLR": {"gamma": 0.9},
    "CyclicLR": {"base_lr": 0.01},
}
TORCH = [entry.name for entry in list_schedules() if entry.name not in ("constant", "ReduceLROnPlateau")]


def rates(config: ScheduleConfig, *, steps_per_epoch: int = 4, epochs: int = 5, lr: float = 0.1) -> list[float]:
    """The learning rate of every step of the run, and that after its last."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    schedule = build_schedule(config, optimizer, steps_per_epoch=steps_per_epoch, epochs=epochs)
    found = [schedule.learning_rate]
    for _ in range(epochs):
        for _ in range(steps_per_epoch):
            optimizer.step()
            schedule.after_step()
            found.append(schedule.learning_rate)
        schedule.after_epoch()
    return found


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("warmup", [0.0, 1.0, 2.5])
def test_every_schedule_of_torch_lasts_as_long_as_the_run(name: str, interval: str, warmup: float) -> None:
    config = ScheduleConfig(name=name, interval=interval, warmup_epochs=warmup, **NEEDED.get(name, {}))
    assert length_note(config, steps_per_epoch=4, epochs=5) == ""
    assert all(rate > 0 for rate in rates(config)[:-1])


def test_every_length_of_torchs_schedules_is_known() -> None:
    """A schedule that a later torch brings must not get a short default unseen."""
    for name in TORCH:
        parameters = inspect.signature(getattr(torch.optim.lr_scheduler, name)).parameters
        lengths = {
            key for key in parameters if key.startswith(("total_", "T_max", "T_0", "step_size_up", "anneal_epochs"))
        }
        assert lengths <= {LENGTHS.get(name)}, name


def test_polynomial_decay_ends_with_the_run_and_not_after_five_steps() -> None:
    assert rates(ScheduleConfig(name="PolynomialLR")) == pytest.approx([0.1 * (1 - step / 20) for step in range(21)])


def test_one_cycle_that_is_over_before_the_run_is_refused_before_it_starts() -> None:
    config = ScheduleConfig(name="OneCycleLR", total_steps=12)
    with pytest.raises(ConfigError, match=r"its 12 steps are over before the 20 steps.*leave total_steps out"):
        length_note(config, steps_per_epoch=4, epochs=5)
    by_epochs = ScheduleConfig(name="OneCycleLR", epochs=2, steps_per_epoch=4)
    with pytest.raises(ConfigError, match="its 8 steps are over"):
        length_note(by_epochs, steps_per_epoch=4, epochs=5)


@pytest.mark.parametrize(
    ("name", "argument", "says"),
    [("PolynomialLR", "total_iters", "the learning rate is 0"), ("CosineAnnealingLR", "T_max", "rises again")],
)
def test_a_short_schedule_is_said(name: str, argument: str, says: str) -> None:
    note = length_note(ScheduleConfig(name=name, **{argument: 5}), steps_per_epoch=4, epochs=5)
    assert says in note and "after 5 of the 20 steps" in note
    assert length_note(ScheduleConfig(name=name, **{argument: 20}), steps_per_epoch=4, epochs=5) == ""


@pytest.mark.parametrize(
    ("warmup", "epochs", "fitted"), [(0.0, 1, 0.0), (0.5, 1, 0.5), (1.0, 1, 0.5), (3.0, 2, 1.0), (1.0, 2, 1.0)]
)
def test_a_warm_up_that_does_not_fit_shrinks_and_is_said(warmup: float, epochs: int, fitted: float) -> None:
    assert fitted_warmup(warmup, epochs) == fitted
    assert bool(warmup_note(warmup, epochs)) == (fitted != warmup)
    schedule = rates(ScheduleConfig(name="CosineAnnealingLR", warmup_epochs=warmup), epochs=epochs)
    assert max(schedule) == pytest.approx(0.1)
    assert schedule[-1] == pytest.approx(0, abs=1e-9)
