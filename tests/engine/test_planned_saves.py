"""What a plan says of the saves of a run is what the run does."""

from pathlib import Path

import pytest

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.preflight.planned_saves import PlannedSaves, planned_saves
from torchdeck.engine.runs.reader import RunReader

SMALL = ("model.name=mlp", "model.hidden=[8]", "training.device=cpu", "loader.batch_size=512", "training.epochs=5")


@pytest.mark.parametrize(
    "settings",
    [
        ("every_epochs=0",),
        ("every_epochs=1", "keep_last=1"),
        ("every_epochs=1", "keep_last=1", "keep_every=2"),
        ("every_epochs=2", "keep_last=2"),
        ("every_epochs=1", "every_steps=2", "keep_last=2", "keep_every=2"),
        ("every_epochs=0", "every_steps=4", "keep_last=2", "keep_every=3"),
    ],
    ids=" ".join,
)
def test_a_run_saves_and_keeps_as_many_as_planned(tmp_path: Path, settings: tuple[str, ...]) -> None:
    overrides = (*SMALL, *(f"checkpoint.{setting}" for setting in settings))
    config = load_config("digits", overrides)
    run = launch(config, tmp_path)
    run.join(120)
    assert run.status == "finished", run.error
    assert run.path is not None
    reader = RunReader(run.path)
    reader.poll()
    found = planned_saves(config, int(reader.progress().steps_per_epoch))
    saved = [event for event in reader.events() if event["kind"] == "saved"]
    steps = {event["step"] for event in saved}
    skipped = sum(event["coalesced"] for event in saved)
    kept = len(reader.checkpoints())
    assert found.is_exact == ("every_epochs=2" not in settings)
    if found.is_exact:
        assert len(steps) <= found.count <= len(steps) + skipped
        assert kept <= found.kept <= kept + 1 + skipped
    else:
        assert found.count <= len(steps) + skipped
        assert found.kept >= kept


def test_what_is_saved_by_time_or_as_the_best_is_not_counted() -> None:
    config = load_config("digits", ["training.epochs=6", "checkpoint.every_epochs=4"])
    assert planned_saves(config, 10) == PlannedSaves(2, 4, is_exact=False)
    timed = load_config("digits", ["training.epochs=3", "checkpoint.every_minutes=5"])
    assert planned_saves(timed, 10) == PlannedSaves(3, 4, is_exact=False)
