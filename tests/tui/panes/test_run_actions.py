"""Actions on runs and checkpoints in the studio, with real keys on real runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from studio_pilot import screen_text, studio, until, until_shown
from textual.pilot import Pilot
from textual.widgets import Input

from torchdeck.engine.build import check_start
from torchdeck.engine.config.file import load_config, replace_value
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.runs.on_disk.directory import given_name, list_runs
from torchdeck.engine.runs.saving.pins import pinned_checkpoints
from torchdeck.tui.app import Studio
from torchdeck.tui.look.preferences import preferences_path, read_preferences
from torchdeck.tui.panes.runs.checkpoints import CheckpointTable
from torchdeck.tui.panes.runs.pane import RunsPane
from torchdeck.tui.panes.runs.side import RunsChart
from torchdeck.tui.panes.runs.table import RunTable
from torchdeck.tui.screens.ask import ConfirmScreen, PromptScreen
from torchdeck.tui.screens.checkpoint import CheckpointScreen
from torchdeck.tui.screens.choose_columns import ChooseColumnsScreen
from torchdeck.tui.screens.compare import CompareScreen
from torchdeck.tui.screens.fork import ForkScreen
from torchdeck.tui.screens.run_labels import RunLabelsScreen
from torchdeck.tui.screens.scores import ScoresScreen


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs of the embedded digits."""
    root = tmp_path_factory.mktemp("trained")
    for name, rate in (("slow", 0.001), ("fast", 0.01)):
        overrides = (f"name={name}", f"optimizer.lr={rate}", "model.name=mlp", "model.hidden=[8]")
        config = load_config("fashion-mnist-mlp", ["data.dataset=digits", "data.validation=0.2", *DIGITS, *overrides])
        run = launch(config, root)
        run.join(120)
        assert run.status == "finished", run.error
    return root


DIGITS = (
    "training.epochs=2",
    "training.device=cpu",
    "loader.batch_size=256",
    "data.train_transforms=[]",
    "data.eval_transforms=[]",
)


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of them in the studio's folder."""
    import shutil

    return Path(shutil.copytree(trained, tmp_path / "runs", ignore=shutil.ignore_patterns("*.sock")))


def names(root: Path) -> set[str]:
    return {run.name.partition("-")[0] for run in list_runs(root)}


async def in_runs(app: Studio, pilot: Pilot[None], *keys: str, count: int = 2) -> None:
    """Go to the pane, wait for its lists, and press keys."""
    await pilot.press("5")
    await until(pilot, lambda: app.query_one(RunTable).count == count)
    await until(pilot, lambda: app.query_one(CheckpointTable).count > 0)
    await pilot.press(*keys)


def said(app: Studio) -> str:
    """The newest toast."""
    return app.told[-1].text if app.told else ""


def listed(app: Studio) -> list[str]:
    """Given names of the runs in the table, from the top."""
    return [given_name(run.name) for run in app.query_one(RunsPane)._choice.runs]


async def test_a_filter_shows_what_matches_while_it_is_typed_and_escape_ends_it(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "slash", *"lr<0.005")
        table = app.query_one(RunTable)
        await until(pilot, lambda: listed(app) == ["slow"])
        await until_shown(pilot, "1 of 2")
        await pilot.press(*" nonsense=1")
        await until_shown(pilot, "nonsense: no run has this")
        await pilot.press("escape")
        await until(pilot, lambda: table.count == 2)
        assert app.focused is table


async def test_a_filter_that_is_kept_is_cleared_by_escape(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "slash", *"slow", "enter")
        await until_shown(pilot, "/slow")
        await pilot.press("escape")
        await until(pilot, lambda: len(listed(app)) == 2)


async def test_a_filter_that_nothing_matches_says_which_keys_help(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "slash", *"zzz", "enter")
        await until_shown(pilot, "No run matches")
        assert "2 are hidden" in screen_text(app)


async def test_s_sorts_by_the_column_under_the_cursor_and_again_reverses(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot)
        table = app.query_one(RunTable)
        while table.column != "run":
            await pilot.press("right")
        await pilot.press("s")
        await until(pilot, lambda: listed(app) == ["fast", "slow"])
        await until_shown(pilot, "run ↓")
        await pilot.press("s")
        await until(pilot, lambda: listed(app) == ["slow", "fast"])
        await until_shown(pilot, "run ↑")


async def test_a_click_on_a_heading_sorts_by_it(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=2", size=(200, 60)) as (app, pilot):
        app.remember(pane="runs", columns=["run", "lr"])
        app.preferences = read_preferences(preferences_path())
        await in_runs(app, pilot)
        at = next(line for line in screen_text(app).splitlines() if " lr" in line).index(" lr")
        for order in (["fast", "slow"], ["slow", "fast"]):
            await pilot.click(RunTable, offset=(at + 1, 1))
            await until(pilot, lambda: listed(app) == order)  # noqa: B023


async def test_marked_runs_have_curves_and_what_differs_in_their_colors(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(200, 60)) as (app, pilot):
        await in_runs(app, pilot)
        await until_shown(pilot, "from the draft")
        await pilot.press("asterisk")
        await until_shown(pilot, "2 marked")
        chart = app.query_one(RunsChart)
        await until(pilot, lambda: set(chart._series) == {"fast", "slow"})
        assert {series.color for series in chart._series.values()} == {"$series-1", "$series-2"}
        await until_shown(pilot, "━━ slow")
        await until_shown(pilot, "optimizer.lr")
        await pilot.press("escape")
        await until(pilot, lambda: "2 marked" not in screen_text(app))
        await until(pilot, lambda: len(chart._series) == 1)


async def test_the_curves_are_drawn_over_steps_epochs_or_time_of_any_metric(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(200, 60)) as (app, pilot):
        await in_runs(app, pilot, "asterisk", "tab", "tab")
        chart = app.query_one(RunsChart)
        assert app.focused is chart
        await until(pilot, lambda: len(chart._series) == 2)
        for label in ("epoch", "s", "step"):
            await pilot.press("t")
            await until(pilot, lambda: chart.x_label == label and len(chart._series) == 2)  # noqa: B023
        await pilot.press("e")
        await until_shown(pilot, "validation/macro_f1")
        await pilot.press(*"lr", "enter")
        await until(pilot, lambda: chart.title == "Learning rate")
        assert len(chart._series) == 2


async def test_columns_are_chosen_and_remembered(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await in_runs(app, pilot)
        await app.query_one(RunTable).action_ask("columns")
        await until(pilot, lambda: isinstance(app.screen, ChooseColumnsScreen))
        await pilot.press("space")
        assert said(app) == "run is always shown"
        await pilot.press("down", "space", "enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert "status" not in app.query_one(RunTable).shown_columns
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await in_runs(app, pilot)
        assert "status" not in app.query_one(RunTable).shown_columns


async def test_a_checkpoint_is_pinned_and_unpinned_with_one_key(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "tab", "p")
        folder = app.query_one(RunsPane).chosen.path / "checkpoints"
        await until_shown(pilot, "⚑ pinned")
        assert len(pinned_checkpoints(folder)) == 1
        await pilot.press("p")
        await until(pilot, lambda: "⚑" not in screen_text(app))
        assert pinned_checkpoints(folder) == set()


async def test_name_tags_and_note_of_a_run_are_edited_and_shown(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await in_runs(app, pilot, "e")
        await until(pilot, lambda: isinstance(app.screen, RunLabelsScreen))
        app.screen.query_one("#run-tags", Input).value = "base [x]"
        await pilot.press("enter")
        await until_shown(pilot, "must be 1 to 40 letters")
        app.screen.query_one("#run-tags", Input).value = "#base, v2"
        app.screen.query_one("#run-note", Input).value = "one ⏎ two [b]"
        app.screen.query_one("#run-name", Input).value = "renamed"
        await pilot.press("enter")
        await until(pilot, lambda: "renamed" in listed(app))
        (run,) = [run for run in list_runs(runs) if run.name.startswith("renamed")]
        assert (run.tags, run.note) == (("base", "v2"), "one\ntwo [b]")
        await until_shown(pilot, "#base #v2  one two [b]")
        await pilot.press("slash", *"tag=base", "enter")
        await until(pilot, lambda: listed(app) == ["renamed"])


async def test_a_run_is_deleted_after_a_question_that_keeps_it_unless_told_otherwise(
    runs: Path, tmp_path: Path
) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot)
        for answer in ("n", "enter", "y"):
            await until(pilot, lambda: len(app.screen_stack) == 1)
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await until_shown(pilot, "can't be undone")
            assert names(runs) == {"slow", "fast"}
            await pilot.press(answer)
        await until(pilot, lambda: len(names(runs)) == 1)
        await until(pilot, lambda: app.query_one(RunTable).count == 1)


async def test_the_path_is_copied_and_shown(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(200, 60)) as (app, pilot):
        await in_runs(app, pilot, "tab", "y")
        newest = max((app.query_one(RunsPane).chosen.path / "checkpoints").glob("step-*.pt"))
        assert app.clipboard == said(app) == str(newest)


async def test_a_checkpoint_is_looked_into_measured_compared_and_exported(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await in_runs(app, pilot, "i")
        await until(pilot, lambda: isinstance(app.screen, CheckpointScreen))
        await until_shown(pilot, "can resume bit-exactly")
        assert "differ from your draft" in screen_text(app)
        await pilot.press("m")
        await until(pilot, lambda: bool(app.screen._norms))
        await pilot.press("escape", "m")
        await until(pilot, lambda: isinstance(app.screen, ScoresScreen))
        await until_shown(pilot, "no test split")
        assert "precision" in screen_text(app)
        await until_shown(pilot, "→")
        await pilot.press("escape", "space", "down")
        await until(pilot, lambda: app.query_one(RunsPane).chosen.name.startswith("slow"))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until_shown(pilot, "optimizer.lr: 0.01 → 0.001")
        await until_shown(pilot, "distance between the weights")
        (tmp_path / "metrics.csv").write_text("step,val_loss\n1,0.5\n2,0.25\n")
        await pilot.press("o")
        await until_shown(pilot, "Overlay curves from")
        app.screen.query_one(Input).value = str(tmp_path / "missing.csv")
        await pilot.press("enter")
        await until_shown(pilot, "No such file")
        app.screen.query_one(Input).value = str(tmp_path / "metrics.csv")
        await pilot.press("enter")
        await until_shown(pilot, "metrics.csv val_loss")
        await pilot.press("escape", "x")
        await until_shown(pilot, "Export the weights")
        app.screen.query_one(Input).value = str(tmp_path / "out.foo")
        await pilot.press("enter")
        await until_shown(pilot, "must end in")
        app.screen.query_one(Input).value = str(tmp_path / "out.safetensors")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "out.safetensors").exists())


async def test_two_checkpoints_of_a_run_are_marked_and_compared(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await in_runs(app, pilot, "c")
        await until(pilot, lambda: said(app).startswith("Space marks a run or a checkpoint"))
        await pilot.press("tab", "space", "down", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until_shown(pilot, "distance between the weights")


async def test_a_fork_becomes_the_draft(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "f")
        await until(pilot, lambda: isinstance(app.screen, ForkScreen))
        await pilot.press("enter")
        # Its best checkpoint may be that of the first epoch.
        await until(pilot, lambda: isinstance(app.screen, PromptScreen) or app.draft.name == "fast-fork")
        if isinstance(app.screen, PromptScreen):
            await until_shown(pilot, "has trained 2 epochs")
            await pilot.press("enter")
        await until(pilot, lambda: app.draft.name == "fast-fork")
        check_start(app.draft)
        with pytest.raises(ConfigError, match=r"training.epochs = 1: .*leaves none; set more, such as"):
            check_start(replace_value(app.draft, "training.epochs", "1"))
        assert Path(app.draft.start_from).parent == app.query_one(RunsPane).chosen.path / "checkpoints"
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, ForkScreen))
        await pilot.press("w")
        await until(pilot, lambda: app.draft.model.weights != "")
        assert app.draft.start_from == ""


async def test_weights_are_written_into_the_draft_and_the_rest_of_it_stays(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, "model.name=resnet18", "model.pretrained=true", size=(80, 24)) as (app, pilot):
        before = app.draft
        await in_runs(app, pilot, "tab", "w")
        await until(pilot, lambda: app.draft.model.weights != "")
        newest = max((app.query_one(RunsPane).chosen.path / "checkpoints").glob("step-*.pt"))
        assert app.draft.model.weights == str(newest.absolute())
        assert app.draft.model_copy(update={"model": before.model}) == before
        # A start from both is refused.
        assert not app.draft.model.pretrained


async def test_resuming_a_finished_run_asks_how_many_epochs_in_all(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "r")
        await until_shown(pilot, "How many epochs in all?")
        assert app.screen.query_one(Input).value == "4"
        app.screen.query_one(Input).value = "2"
        await pilot.press("enter")
        await until_shown(pilot, "must be a whole number above 2")
        app.screen.query_one(Input).value = "3"
        await pilot.press("enter")
        await until(pilot, lambda: app.launched is not None and not app.launched.is_alive)
        assert app.launched.status == "finished", app.launched.error


async def test_another_folder_of_runs_is_opened_by_its_path(runs: Path, tmp_path: Path) -> None:
    elsewhere = runs.rename(tmp_path / "elsewhere")
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await pilot.press("5")
        await until_shown(pilot, "No runs in")
        await until_shown(pilot, "starts digits")
        await pilot.press("o")
        await until_shown(pilot, "a folder of runs")
        app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await until(pilot, lambda: "contains no runs" in " ".join(screen_text(app).split()))
        app.screen.query_one(Input).value = str(elsewhere)
        await pilot.press("enter")
        await until(pilot, lambda: sorted(listed(app)) == ["fast", "slow"])


async def test_at_80_columns_v_shows_checkpoints_curves_or_what_differs(runs: Path, tmp_path: Path) -> None:
    def shown(app: Studio) -> list[str]:
        panels = ("#checkpoints", "#run_curves", "#differences")
        return [panel for panel in panels if app.query_one(panel) in app.screen._compositor.visible_widgets]

    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot)
        for panel in ("#run_curves", "#differences", "#checkpoints"):
            await pilot.press("v")
            await until(pilot, lambda: shown(app) == [panel])  # noqa: B023


HOSTILE = "\x1b[31m[@click=app.exit]x[/]\n\u202e"


async def test_names_in_files_are_shown_as_text(runs: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.pt"
    torch.save({HOSTILE: torch.zeros(2), "metrics": {HOSTILE: 1.0}, "keys": HOSTILE}, hostile)
    run = list_runs(runs)[0].path
    os.rename(run, run.with_name("[red]\x1b[2J[bold]evil"))
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await in_runs(app, pilot)
        await until_shown(pilot, "[red]\\x1b[2J[bold]evil")
        await pilot.press("o")
        await until_shown(pilot, "A checkpoint of any program")
        app.screen.query_one(Input).value = str(hostile)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CheckpointScreen))
        await until_shown(pilot, "\\x1b[31m[@click=app.exit]x[/]\\n\\u202e")
        await pilot.click("#tensors", offset=(4, 1))
        assert app.is_running
        assert isinstance(app.screen, CheckpointScreen)


async def test_a_file_that_is_no_checkpoint_is_said_to_be_none(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no checkpoint at all")
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "o")
        await until_shown(pilot, "A checkpoint of any program")
        app.screen.query_one(Input).value = str(tmp_path / "notes.txt")
        await pilot.press("enter")
        # The line breaks somewhere, as the path before it is long.
        await until(pilot, lambda: "is not a checkpoint" in " ".join(screen_text(app).split()))
