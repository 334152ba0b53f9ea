"""The train pane on a run's directory: what it shows at which size, and its keys."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from studio_pilot import screen_text, studio, until, until_shown
from textual.pilot import Pilot
from written_runs import written_run

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.app import Studio
from torchdeck.tui.look.preferences import preferences_path
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.panes.train.charts import RunCharts, charts_that_fit, grid_columns
from torchdeck.tui.runs.own_run import Refusal
from torchdeck.tui.screens.evaluation import EvaluationScreen
from torchdeck.tui.screens.pick import PickScreen
from torchdeck.tui.widgets.charts.chart import Chart
from torchdeck.tui.words.train.charted_metrics import automatic_choice, charted_metrics


@pytest.fixture(autouse=True)
def _own_preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def shown(app: Studio, pilot: Pilot[None], run: Path) -> None:
    app.post_message(WatchRequested(run))
    await until_shown(pilot, "epoch 2 of 2")
    await until_shown(pilot, "■ compute 90%   ■ data 10%")
    await until(pilot, lambda: all(chart._series for chart in app.query(Chart) if chart.is_on_screen))


async def test_without_a_run_it_says_what_would_be_started_and_which_keys_help(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await pilot.press("4")
        await until_shown(pilot, "No run is shown")
        text = screen_text(app)
        assert "S  start the draft: digits" in text
        assert "5  choose a run from the list" in text
        assert app.focused is app.query_one("#empty")


async def test_a_refused_start_is_shown_whole_until_a_run_takes_its_place(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(90, 30)) as (app, pilot):
        await pilot.press("4")
        reason = "\n".join(f"reason {number}" for number in range(1, 10))
        app.watched_run.refuse(Refusal(reason, "Press 3 to change the settings, S to try again"))
        app.run_changed()
        await until_shown(pilot, "not started")
        app.draft = app.draft.model_copy(update={"seed": 7})
        await pilot.resize_terminal(80, 24)
        await until_shown(pilot, "reason 9")
        assert "Nothing was written. Press 3 to change the settings, S to try again." in screen_text(app)
        assert app.focused is app.query_one("#empty")
        await shown(app, pilot, run)
        assert "not started" not in screen_text(app)
        await until(pilot, lambda: isinstance(app.focused, Chart))


@pytest.mark.parametrize(("size", "charts"), [((80, 24), 2), ((120, 40), 4), ((200, 60), 6)])
async def test_it_shows_as_much_as_the_size_allows(tmp_path: Path, size: tuple[int, int], charts: int) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=size) as (app, pilot):
        await shown(app, pilot, run)
        text = screen_text(app)
        assert len(app.query(Chart)) == charts
        await until(pilot, lambda: isinstance(app.focused, Chart))
        assert f"{run.name}  ✓ finished  cnn · digits · fp32 · cpu" in text
        assert "step 100 of 100" in text
        assert "■ compute 90%   ■ data 10%" in text
        assert "val. loss" in text
        assert ("Samples / s, last" in text) == (size[0] >= 120)
        assert ("of 8.0 GB" in text) == (size[0] >= 120)
        assert ("60 L learning rate: 0.01 → 0.003" in text) == (size[0] >= 200)


async def test_v_shows_epochs_devices_and_events_in_the_place_of_the_curves(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await shown(app, pilot, run)
        await pilot.press("v")
        await until_shown(pilot, "of 8.0 GB")
        assert "learning rate: 0.01 → 0.003" in screen_text(app)
        await until(pilot, lambda: app.focused is app.query_one("#epochs"))
        await pilot.press("v")
        await until(pilot, lambda: "of 8.0 GB" not in screen_text(app))
        await until_shown(pilot, "Loss  ━ train 0.01117")


async def test_the_best_epoch_has_a_star_and_i_shows_its_evaluation(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    (run / "evaluation.json").write_text('{"epoch": 2, "step": 100, "metrics": {"loss": 0.25}, "tables": {}}')
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        starred = [line for line in screen_text(app).splitlines() if "★" in line and "90.00%" in line]
        assert len(starred) == 1
        assert " 2 " in starred[0]
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, EvaluationScreen))


async def test_an_error_is_shown_in_the_head_with_the_way_to_go_on(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs", "failed")
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await shown(app, pilot, run)
        await until_shown(pilot, "ValueError: first")
        assert "press 6 for its output; press 5 then r to resume" in screen_text(app)
        assert "Loss" in screen_text(app)


async def test_range_cursor_and_smoothing_of_one_chart_are_those_of_all(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        charts = list(app.query(Chart))
        await pilot.press("full_stop", "plus", "left")
        assert {chart.smoothing for chart in charts} == {0.98}
        assert {chart.view.cursor for chart in charts} == {100.0}
        assert len({chart.view for chart in charts}) == 1
        await until_shown(pilot, "at step 100")
        await pilot.press("l")
        assert [chart.log_y for chart in charts] == [True, False, False, False]
        await pilot.press("escape")
        await until(pilot, lambda: "at step 100" not in screen_text(app))
        assert all(chart.view.window is not None for chart in charts)
        await pilot.press("escape")
        assert all(chart.view.window is None for chart in charts)


async def test_the_charts_count_steps_epochs_or_time(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        for unit, last in (("epoch", 2.0), ("s", 120.0), ("step", 100.0)):
            await pilot.press("t")
            assert {chart.x_label for chart in app.query(Chart)} == {unit}
            assert app.query(Chart).first()._series["train"].x[-1] == last


async def test_a_chart_is_added_changed_and_removed_and_the_choice_is_remembered(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        charts = app.query_one(RunCharts)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"macro_f1", "enter")
        await until(pilot, lambda: charts.names[:2] == ["loss", "macro_f1"])
        await until_shown(pilot, "Macro F1 %  ━ val. 87.5")
        assert app.focused is list(app.query(Chart))[1]
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"memory", "enter")
        await until_shown(pilot, "Memory GB  ━ run 2")
        await until(pilot, lambda: app.focused is list(app.query(Chart))[1])
        await pilot.press("shift+tab", "d")
        assert charts.names == ["memory", "score", "gradient_norm", "throughput"]
        assert tomllib.loads(preferences_path().read_text())["panes"]["train"]["charts"] == charts.names
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await shown(app, pilot, run)
        assert app.query_one(RunCharts).names == ["memory", "score", "gradient_norm", "throughput"]


async def test_the_last_chart_stays_and_nine_are_the_most(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        charts = app.query_one(RunCharts)
        charts.choose(["loss"])
        await pilot.press("d")
        assert charts.names == ["loss"]
        assert app.told[-1].text == "this is the only chart: e shows another metric in it"
        charts.choose(["loss"] * 9)
        await pilot.press("a")
        await pilot.pause()
        assert not isinstance(app.screen, PickScreen)
        assert len(charts.names) == 9


async def test_with_more_charts_than_have_room_the_focused_one_is_scrolled_to(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await shown(app, pilot, run)
        app.query_one(RunCharts).choose(["loss", "score", "lr", "throughput", "gap"])
        await pilot.press(*["tab"] * 4)
        await until_shown(pilot, "Gap, accuracy")


async def test_a_metric_that_the_run_has_not_recorded_is_said_in_its_chart(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        app.query_one(RunCharts).choose(["gpu", "loss"])
        await until_shown(pilot, "this run has not recorded it yet")
        assert "GPU %" in screen_text(app)


async def test_letters_are_explained_in_the_first_chart_where_no_list_of_events_is_shown(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        await until_shown(pilot, "L learning rate   smooth 0.9 · step")


def test_everything_that_a_run_records_can_be_charted(tmp_path: Path) -> None:
    reader = RunReader(written_run(tmp_path / "runs"))
    reader.poll()
    charted_metrics(reader)
    reader.poll()
    found = charted_metrics(reader)
    expected = {"loss", "accuracy", "macro_f1", "lr", "gradient_norm", "update_ratio", "throughput", "gap"}
    assert set(found) == expected | {"memory", "cpu"}
    last = {name: {line.legend: line.points(reader)[1][-1] for line in each.lines} for name, each in found.items()}
    assert last["loss"] == {"train": 0.01, "val.": 0.25}
    assert last["accuracy"] == {"train": pytest.approx(99), "val.": 90}
    assert last["gradient_norm"] == {"all": 5.0}
    assert last["throughput"] == {"train": pytest.approx(3200 / 60)}
    assert last["gap"] == {"train − val.": pytest.approx(9)}
    assert last["memory"] == {"run": 2.0}
    assert automatic_choice(reader, found, 4) == ["loss", "score", "gradient_norm", "throughput"]


@pytest.mark.parametrize(
    ("size", "count", "columns"), [((80, 13), 2, 2), ((118, 21), 4, 2), ((138, 46), 6, 3), ((50, 30), 4, 1)]
)
def test_the_grid_follows_the_size(size: tuple[int, int], count: int, columns: int) -> None:
    assert grid_columns(count, size[0]) == columns
    if columns > 1:
        assert charts_that_fit(*size) == count


async def test_a_run_that_takes_the_place_of_a_message_begins_with_its_own_figures(tmp_path: Path) -> None:
    run = written_run(tmp_path / "runs")
    another = RunWriter.create(tmp_path / "runs", load_config("digits", ["name=another"]), {})
    another.close("stopped")
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await shown(app, pilot, run)
        await until_shown(pilot, "90.00")
        app.watched_run.refuse(Refusal("reason", "advice"))
        app.run_changed()
        await until_shown(pilot, "not started")
        app.watched_run.watch(another.path)
        app.watched_run.poll()
        app.run_changed()
        await until_shown(pilot, another.path.name)
        await pilot.pause(0.2)
        text = screen_text(app)
        assert "90.00" not in text
        assert "Val. accuracy %" in text and "Train loss" in text
