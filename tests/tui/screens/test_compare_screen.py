"""Curves of two checkpoints, of whatever their runs have recorded."""

from pathlib import Path
from typing import Any

from studio_pilot import screen_text, studio, until, until_shown

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.screens.compare import CompareScreen
from torchdeck.tui.widgets.charts.chart import Chart


class NoWorker:
    """Compares nothing: the curves alone are looked at."""

    async def call(self, *given: object) -> object:
        raise CheckpointError("not compared")


def checkpoint_of_a_run(folder: Path, name: str, error: float) -> Path:
    """The place of a checkpoint of a run that predicts numbers."""
    run = RunWriter.create(folder, RunConfig(name=name), {})
    block: Any = {
        "kind": "train", "epoch": 1, "step": 2, "t": 0.1, "seconds": 0.1, "samples": 64,
        "loss": [2.0, 1.0], "mae": [2.0, 1.0], "lr": 0.1,
    }  # fmt: skip
    run.record(block)
    epoch: Any = {
        "kind": "epoch", "epoch": 1, "step": 2, "t": 0.1, "seconds": 1.0, "lr": 0.1,
        "train": {"loss": 1.0, "mae": 1.0}, "validation": {"loss": error, "mae": error, "r2": 0.5}, "is_best": True,
        "rated": {"metric": "mae", "value": error},
    }  # fmt: skip
    run.record(epoch)
    run.close("finished")
    return run.path / "checkpoints" / "step-000000002.pt"


async def test_runs_that_predict_numbers_have_the_curves_that_they_recorded(tmp_path: Path) -> None:
    first, second = (checkpoint_of_a_run(tmp_path, name, error) for name, error in (("one", 1.5), ("two", 1.25)))
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        screen = CompareScreen(first, second, NoWorker())  # type: ignore[arg-type]
        app.push_screen(screen)
        await until_shown(pilot, "Validation MAE")
        assert "A one" in screen_text(app) and "B two" in screen_text(app)
        seen = {screen.query_one(Chart).title}
        for _ in range(20):
            await pilot.press("e")
            await pilot.pause(0.05)
            seen.add(screen.query_one(Chart).title)
        await until(pilot, lambda: screen._look.metric != "")
        assert {"Validation MAE", "Validation R²", "Train MAE"} <= seen
        assert not any("accuracy" in title for title in seen)
