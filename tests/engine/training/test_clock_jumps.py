"""A clock that is set back or forward by a year, as on a box whose battery died, changes nothing of a run."""

import itertools
import math
import time
from pathlib import Path

import pytest
from training_cases import keep_every_save, make_trainer, reader_of, train, weights_of

from torchdeck.engine.runs.saving.checkpoint import newest_valid_checkpoint

YEAR = 365 * 86400.0


def test_order_durations_and_retention_follow_the_steps_and_not_the_time_of_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_every_save(monkeypatch)
    settings = ("training.epochs=4", "checkpoint.keep_last=2", "checkpoint.every_minutes=0.0001")
    expected = weights_of(train(tmp_path / "steady", *settings))
    real, jumps = time.time, itertools.cycle((0.0, YEAR, -YEAR, 3600.0, -7200.0))
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    trainer, run = make_trainer(tmp_path / "jumping", *settings)
    trainer.fit()
    run.close("finished")
    reader = reader_of(run.path)
    assert all(0 < record["seconds"] < 3600 for record in reader.epoch_records())
    moments = [record["t"] for record in reader.epoch_records()]
    assert moments == sorted(moments)
    assert not math.isnan(reader.progress().samples_per_s)
    steps = [info.step for info in reader.checkpoints()]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == 20
    assert newest_valid_checkpoint(run.path)[0].name == "step-000000020.pt"
    assert all((weights_of(run.path)[name] == weight).all() for name, weight in expected.items())
