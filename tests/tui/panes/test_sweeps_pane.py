"""The sweeps pane: what it shows of a study, and its keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_pilot import screen_text, studio, told, until, until_shown

from torchdeck.engine.queue.folder import Queue
from torchdeck.engine.sweeps.definition import read_definition
from torchdeck.engine.sweeps.folder import SweepFolder, create_sweep
from torchdeck.engine.sweeps.study import Study
from torchdeck.tui.panes.sweeps.pane import SweepsPane, TrialTable

FILE = """
name = "search"
[data]
dataset = "digits"
validation = 0.2
[training]
epochs = 30
[sweep]
trials = 8
metric = {metric}
[sweep.space]
"optimizer.lr" = {{ low = 1e-3, high = 1.0, log = true }}
"loader.batch_size" = [32, 64]
"""


def sweep(tmp_path: Path, metric: str = '"accuracy"') -> tuple[SweepFolder, Study]:
    (tmp_path / "search.toml").write_text(FILE.format(metric=metric))
    folder = create_sweep(tmp_path / "runs", read_definition(str(tmp_path / "search.toml")))
    return folder, Study(folder, folder.definition())


def told_trials(study: Study, values: list[list[float]]) -> None:
    for each in values:
        number = study.ask()
        study.choose(number)
        study.complete(number, each, {})


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """Five results, a failure and a running trial."""
    found, study = sweep(tmp_path)
    told_trials(study, [[0.5], [0.9], [0.7], [0.8], [0.6]])
    study.fail(study.ask(), "out of memory: no room")
    running = study.ask()
    study.choose(running)
    study.report(running, 1, 0.25)
    return found


def pane_of(app: object) -> SweepsPane:
    return app.screen_stack[0].query_one(SweepsPane)  # type: ignore[attr-defined, no-any-return]


async def test_without_a_sweep_the_pane_says_how_one_begins(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (_, pilot):
        await pilot.press("6")
        await until_shown(pilot, "No sweep yet")
        await until_shown(pilot, "begins one from a file")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_study_its_trials_and_what_it_found_are_shown_live(
    folder: SweepFolder, tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, size=size) as (app, pilot):
        await pilot.press("6")
        await until_shown(pilot, "best 90.00% trial 1")
        text = screen_text(app)
        assert "trial 6 of 8" in text and "maximize accuracy" in text and "no worker" in text
        rows = [row.trial.number for row in pane_of(app)._rows]
        assert rows == [6, 1, 3, 2, 4, 0, 5]
        study = Study(folder, folder.definition())
        told_trials(study, [[0.95]])
        await until_shown(pilot, "best 95.00% trial 7")
        if size != (80, 24):
            await until_shown(pilot, "Parallel coordinates")
            await until_shown(pilot, "best so far 95")
            await until_shown(pilot, "PED-ANOVA")
            await until(pilot, lambda: bool(pane_of(app)._shares), seconds=120)
            assert "%" in screen_text(app)


async def test_keys_act_on_the_trial_under_the_cursor(folder: SweepFolder, tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("6")
        table = app.query_one(TrialTable)
        await until(pilot, lambda: table.count == 7)
        await pilot.press("d")
        await until_shown(pilot, "Stop trial 6?")
        await pilot.press("y")
        await until(pilot, lambda: folder.trial_file(6, "prune").exists())
        await pilot.press("down", "w")
        best = pane_of(app)._rows[1].trial
        await until(pilot, lambda: app.draft.optimizer.lr == best.settings["optimizer.lr"])
        assert app.draft.loader.batch_size == best.settings["loader.batch_size"]
        assert app.draft.name == "digits"
        await pilot.press("d")
        assert "it is complete" in told(app)
        await pilot.press("enter")
        assert "it has no run yet" in told(app)
        await pilot.press("end", "i")
        await until_shown(pilot, "out of memory: no room")
        await pilot.press("escape", "s")
        await until(pilot, lambda: [row.trial.number for row in pane_of(app)._rows] == [6, 5, 4, 3, 2, 1, 0])


async def test_a_trial_is_trained_at_full_length_after_a_question(folder: SweepFolder, tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: app.query_one(TrialTable).count == 7)
        await pilot.press("down", "r")
        await until_shown(pilot, "Train trial 1 at full length?")
        await until_shown(pilot, "30 epochs")
        await pilot.press("escape")
        assert app.launched is None and app.draft.name == "digits"


async def test_the_sweep_is_paused_stopped_and_given_more_trials(folder: SweepFolder, tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: app.query_one(TrialTable).count == 7)
        for key, wish in (("p", "pause"), ("x", "stop")):
            await pilot.press("e")
            await until_shown(pilot, "Start workers")
            await pilot.press(key)
            await until(pilot, lambda: folder.wish() == wish)  # noqa: B023
        await pilot.press("a")
        await until_shown(pilot, "How many trials in all?")
        await pilot.press("enter")
        await until(pilot, lambda: folder.definition().sweep.trials == 16)
        await until_shown(pilot, "of 16")


async def test_two_metrics_have_a_front(tmp_path: Path) -> None:
    _, study = sweep(tmp_path, '["accuracy", "-loss"]')
    told_trials(study, [[0.9, 0.5], [0.8, 0.4], [0.7, 0.6]])
    async with studio(tmp_path, size=(160, 48)) as (app, pilot):
        await pilot.press("6")
        await until_shown(pilot, "Pareto front")
        await until_shown(pilot, "accuracy →  loss ↑")
        assert {row.trial.number for row in pane_of(app)._rows if row.is_best} == {0, 1}


async def test_a_damaged_sweep_is_said_in_the_pane(folder: SweepFolder, tmp_path: Path) -> None:
    (folder.path / "sweep.toml").write_text("[sweep\n")
    async with studio(tmp_path) as (_, pilot):
        await pilot.press("6")
        await until_shown(pilot, "✗ The sweep can't be read")


async def test_a_in_runs_queues_the_draft(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=7") as (app, pilot):
        await pilot.press("5")
        await until_shown(pilot, "No runs in")
        await pilot.press("a")
        await until(pilot, lambda: "Job 1: digits" in told(app))
        queue = Queue(tmp_path / "runs")
        assert [(job.name, job.state) for job in queue.jobs()] == [("digits", "waiting")]
        assert "epochs = 7" in queue.files(queue.named(1)).config.read_text()
