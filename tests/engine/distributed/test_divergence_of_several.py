"""A loss that becomes NaN is decided on by all processes together."""

from pathlib import Path

import pytest
from campaign import is_full_campaign
from several_processes import MLP, ended, several

DIVERGES = (*MLP, "optimizer={name='SGD',lr=1e18}", "schedule={name='constant'}", "parallel.timeout_minutes=1")


@pytest.mark.campaign
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"] if is_full_campaign() else ["fsdp"])
def test_a_run_of_several_processes_that_diverges_names_the_module_and_the_process(
    tmp_path: Path, strategy: str
) -> None:
    run = several(tmp_path, 2, *DIVERGES, f"parallel.strategy={strategy}")
    reader = ended(run)
    assert reader.status() == "failed"
    error = reader.state()["error"]
    assert error is not None and "It started in the output of " in error and ", in process 0." in error
    assert not [event for event in reader.events() if event["kind"] == "resumed_from"]


@pytest.mark.campaign
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"] if is_full_campaign() else ["ddp"])
def test_it_goes_back_and_on_with_a_lower_rate_on_all_of_them(tmp_path: Path, strategy: str) -> None:
    settings = (
        "training.on_nonfinite='rollback'",
        "training.rollback_lr_factor=1e-20",
        f"parallel.strategy={strategy}",
    )
    reader = ended(several(tmp_path, 2, *DIVERGES, *settings))
    assert reader.status() == "finished"
    assert [event["kind"] for event in reader.events()].count("rolled_back") == 1
