import math
from collections.abc import Callable
from pathlib import Path

import pytest

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.preflight.inspection import draft_groups, draft_memory, inspect_draft, largest_draft_batch
from torchdeck.engine.preflight.outline import outline_run
from torchdeck.engine.preflight.plan import RunPlan, plan_run
from torchdeck.engine.preflight.without_effect import draft_without_effect


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


def test_an_outline_has_the_steps_and_rates_of_the_plan_without_a_model() -> None:
    sections = (
        "[data]\nvalidation = 0.2",
        '[model]\nname = "no_such_model"',
        "[training]\nepochs = 60",
        '[optimizer]\nname = "AdamW"\nlayer_decay = 0.5',
        '[schedule]\nname = "OneCycleLR"',
    )
    text = "\n".join(sections)
    found = outline_run(parse_config(text, "test", ["optimizer.lr=0.1"]))
    assert (found.epochs, found.steps_per_epoch) == (60, 23)
    assert len(found.rates) == len(found.at_epochs) == 512
    assert (found.at_epochs[0], found.at_epochs[-1]) == (0.0, pytest.approx(60 - 1 / 23))
    assert found.peak == pytest.approx(0.1)


def test_an_outline_fetches_nothing(tmp_path: Path) -> None:
    text = f'[data]\ndataset = "KMNIST"\nroot = "{tmp_path}"\ndownload = true\n'
    with pytest.raises(TorchdeckError, match="KMNIST is incomplete in"):
        outline_run(parse_config(text, "test"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "look", [inspect_draft, draft_memory, largest_draft_batch, draft_groups, draft_without_effect]
)
def test_no_look_at_a_draft_fetches_anything(
    look: Callable[[RunConfig], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    place = "torchdeck.engine.data.datasets.torchvision.transfers.fetch_file"
    monkeypatch.setattr(place, lambda url, *_, **__: fetched.append(url))
    text = f'[data]\ndataset = "KMNIST"\nroot = "{tmp_path}"\ndownload = true\n[model]\nname = "mlp"\nhidden = [8]\n'
    look(parse_config(text, "test"))
    assert (fetched, list(tmp_path.iterdir())) == ([], [])
