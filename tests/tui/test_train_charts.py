"""The keys of the train pane's charts, on a run's directory."""

from pathlib import Path

from studio_pilot import screen_text, studio, until, until_shown

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.panes.train_charts import choices
from torchdeck.tui.widgets.charts.chart import Chart


def written_run(root: Path) -> Path:
    """A run of two epochs of 50 steps."""
    writer = RunWriter.create(root, load_config("digits", []), {"argv": ["torchdeck"]})
    writer.update_state(epochs=2, total_steps=100, steps_per_epoch=50, status="running", phase="training")
    for epoch in (1, 2):
        place = {"epoch": epoch, "step": 50 * epoch, "t": float(epoch), "seconds": 1.0, "lr": 0.003}
        losses = [1 / step for step in range(50 * epoch - 49, 50 * epoch + 1)]
        accuracy = [1 - loss for loss in losses]
        writer.record({"kind": "train", "samples": 3200, "loss": losses, "accuracy": accuracy, **place})
        validation = {"loss": 0.5 / epoch, "accuracy": 0.9, "macro_f1": 0.875}
        train = {"loss": losses[-1], "accuracy": accuracy[-1]}
        writer.record({"kind": "epoch", "train": train, "validation": validation, "is_best": True, **place})
    writer.update_state(epoch=2, step=100, step_in_epoch=50)
    writer.close("finished", None)
    return writer.path


async def test_one_key_works_on_both_charts_and_escape_takes_it_back(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(200, 40)) as (app, pilot):
        app.post_message(WatchRequested(run))
        await until_shown(pilot, "epoch 2/2")
        charts = list(app.query(Chart))
        await pilot.press("m", "l", "plus", "left")
        assert [chart.smoothing for chart in charts] == [0.6, 0.6]
        assert [chart.log_y for chart in charts] == [True, True]
        assert [chart.view.cursor for chart in charts] == [100, 100]
        assert screen_text(app).count("at step 100") == 2
        await pilot.press("escape")
        assert "at step" not in screen_text(app)
        assert screen_text(app).count("zoomed") == 2
        await pilot.press("escape")
        assert "zoomed" not in screen_text(app)


async def test_the_second_chart_goes_through_the_metrics_of_the_run(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    reader = RunReader(run)
    reader.poll()
    assert choices(reader) == ["accuracy", "macro_f1", "lr"]
    async with studio(tmp_path) as (app, pilot):
        app.post_message(WatchRequested(run))
        await until_shown(pilot, "accuracy %  ━ train 99")
        await pilot.press("k")
        await until_shown(pilot, "macro F1 %  ━ val. 87.5")
        await pilot.press("k")
        await until_shown(pilot, "lr  ━ train 0.003")
        await pilot.press("K", "K")
        await until_shown(pilot, "accuracy %  ━ train 99")


async def test_the_charts_count_epochs_on_request(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(200, 40)) as (app, pilot):
        app.post_message(WatchRequested(run))
        await until_shown(pilot, "epoch 2/2")
        await pilot.press("u")
        await until(pilot, lambda: all(chart.x_label == "epoch" for chart in app.query(Chart)))
        await pilot.press("left")
        assert screen_text(app).count("at epoch 2 ") == 2


async def test_one_chart_takes_all_the_room_then_the_other(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        app.post_message(WatchRequested(run))
        await until_shown(pilot, "epoch 2/2")
        loss, second = app.query(Chart)
        half = loss.size.width
        for shown in ([True, False], [False, True], [True, True]):
            await pilot.press("z")
            assert [loss.display, second.display] == shown
        assert loss.size.width == half
        await pilot.press("z")
        await until(pilot, lambda: loss.size.width > 2 * half)
        assert any("━ train 0.01" in line for line in screen_text(app).splitlines())
