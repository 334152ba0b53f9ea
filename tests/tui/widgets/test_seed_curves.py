"""Curves of several seeds: their mean, with a band."""

from pathlib import Path

import numpy as np
import pytest
from framed_chart import FramedApp, dots, lines_of
from studio_pilot import screen_text, studio, until, until_shown

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.panes.runs.side import RunsChart
from torchdeck.tui.panes.runs.table import RunTable
from torchdeck.tui.runs.curves import RunCurve, seed_mean
from torchdeck.tui.widgets.charts.chart import Chart


def written(root: Path, name: str, seed: int, accuracy: float, lr: float = 0.003) -> None:
    config = load_config("digits", [f"seed={seed}", f"name={name}", f"optimizer.lr={lr}"])
    writer = RunWriter.create(root, config, {})
    best = {"metric": "accuracy", "value": accuracy, "epoch": 2, "step": 40}
    for epoch in (1, 2):
        place = {"epoch": epoch, "step": 20 * epoch, "t": 1.0 * epoch, "seconds": 1.0, "lr": 0.1}
        validation = {"accuracy": accuracy * epoch / 2, "loss": 1 - accuracy}
        writer.record({"kind": "epoch", "train": {"loss": 1.0}, "validation": validation, "is_best": True, **place})
    writer.update_state(epoch=2, epochs=2, step=40, metrics={"accuracy": accuracy, "loss": 1 - accuracy}, best=best)
    writer.close("finished")


def curve(name: str, x: list[float], y: list[float]) -> RunCurve:
    return RunCurve(Path(name), np.array(x), np.array(y))


def test_the_line_of_a_group_is_the_mean_as_far_as_all_of_it_reach() -> None:
    curves = [curve("a", [1, 2, 3], [1.0, 2.0, 9.0]), curve("b", [1, 2], [3.0, 4.0]), curve("other", [1], [7.0])]
    (line,) = seed_mean(Path("a"), [Path("a"), Path("b")], curves)
    assert (line.run, line.x.tolist(), line.y.tolist()) == (Path("a"), [1, 2], [2.0, 3.0])
    assert line.band is not None
    assert line.band[1] - line.y == pytest.approx(np.full(2, np.sqrt(2)))
    (single,) = seed_mean(Path("other"), [Path("other")], curves)
    assert single.band is None and single.y.tolist() == [7.0]


async def test_a_band_is_shaded_between_its_edges() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    y = np.full(10, 0.5)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("run", range(10), y, band=(y - 0.4, y + 0.4))
        await pilot.pause()
        with_band = dots(lines_of(app)[1:])
        chart.set_series("run", range(10), y)
        chart.draw_last()
        await pilot.pause()
        assert with_band > 10 * dots(lines_of(app)[1:])


async def test_b_shows_runs_that_differ_by_the_seed_alone_as_one(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.90, 0.94)):
        written(tmp_path / "runs", "pair", seed, accuracy)
    written(tmp_path / "runs", "alone", 0, 0.5, lr=0.1)
    async with studio(tmp_path, size=(160, 48)) as (app, pilot):
        await pilot.press("5")
        table = app.query_one(RunTable)
        await until(pilot, lambda: table.count == 3)
        await pilot.press("b")
        await until(pilot, lambda: table.count == 2)
        await until_shown(pilot, "pair ×2")
        assert "92.00% ± 2.83" in screen_text(app) and "all but the seed" in screen_text(app)
        await pilot.press("down")
        chart = app.query_one(RunsChart)
        await until(pilot, lambda: any(series.band for series in chart._series.values()))
        await pilot.press("b")
        await until(pilot, lambda: table.count == 3)
        assert "×2" not in screen_text(app)
        await until(pilot, lambda: not any(series.band for series in chart._series.values()))
