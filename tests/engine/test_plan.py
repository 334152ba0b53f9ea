import math

import pytest

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.preflight.plan import RunPlan, plan_run


def plan(*overrides: str) -> RunPlan:
    text = '[data]\nvalidation = 0.7\n[loader]\nbatch_size = 128\n[training]\nepochs = 4\ndevice = "cpu"\n'
    return plan_run(parse_config(text, "test", overrides))


def test_the_rates_are_those_of_the_schedule_at_every_step() -> None:
    planned = plan("schedule.name=CosineAnnealingLR", "optimizer.lr=0.2")
    assert (planned.epochs, planned.steps_per_epoch) == (4, 5)
    assert planned.rates == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 20)) for step in range(20)])
    assert planned.lowest_rates == planned.rates


def test_the_weights_are_listed_with_what_they_are_trained_with() -> None:
    planned = plan("optimizer={name='AdamW', lr=0.1, layer_decay=0.5}", "schedule.name=OneCycleLR")
    assert len(planned.groups) > 1
    assert planned.groups[0].startswith("AdamW, lr 0.1: ")
    assert planned.optimizer == "AdamW, fused"
    assert max(planned.lowest_rates) < max(planned.rates)


def test_what_a_plateau_does_is_said_to_be_unknown() -> None:
    note = plan("schedule.name=ReduceLROnPlateau").rates_note
    assert note == "falls when the validation loss stops improving, which is not known in advance"


def test_a_run_that_could_not_start_has_no_plan() -> None:
    with pytest.raises(TorchdeckError, match="did you mean 'momentum'"):
        plan("optimizer.momentun=0.9")
