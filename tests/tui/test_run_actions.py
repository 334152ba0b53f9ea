"""Actions on runs and checkpoints in the studio, with real keys on real runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from studio_pilot import screen_text, studio, until, until_shown
from textual.pilot import Pilot
from textual.widgets import DataTable, Input

from torchdeck.engine.build import check_start
from torchdeck.engine.config.file import load_config, replace_value
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.saving.pins import pinned_checkpoints
from torchdeck.tui.app import Studio
from torchdeck.tui.panes.runs import RunsPane
from torchdeck.tui.screens.ask import ConfirmScreen, PromptScreen
from torchdeck.tui.screens.checkpoint import CheckpointScreen
from torchdeck.tui.screens.compare import CompareScreen
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
    await until(pilot, lambda: app.query_one("#all_runs", DataTable).row_count == count)
    await until(pilot, lambda: app.query_one("#checkpoints", DataTable).row_count > 0)
    await pilot.press(*keys)


async def test_a_filter_shows_what_matches_while_it_is_typed_and_escape_ends_it(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "slash", *"lr<0.005")
        table = app.query_one("#all_runs", DataTable)
        await until(pilot, lambda: table.row_count == 1)
        assert "1 of the 2 runs" in screen_text(app)
        assert app.query_one(RunsPane).chosen.name.startswith("slow")
        await pilot.press(*" nonsense=1")
        await until_shown(pilot, "nonsense: no run has this")
        await pilot.press("escape")
        await until(pilot, lambda: table.row_count == 2)
        assert app.focused is table


async def test_runs_are_sorted_by_the_next_column_and_the_other_way_round(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot)
        pane = app.query_one(RunsPane)
        for keys, first in ((("t",), "fast"), (("T",), "slow")):
            await pilot.press(*keys)
            await until(pilot, lambda: pane._choice.runs[0].name.startswith(first))  # noqa: B023
        await until_shown(pilot, "by accuracy, reversed")


async def test_a_checkpoint_is_pinned_and_unpinned_with_one_key(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "tab", "k")
        folder = app.query_one(RunsPane).chosen.path / "checkpoints"
        await until_shown(pilot, " pin")
        assert len(pinned_checkpoints(folder)) == 1
        await pilot.press("k")
        await until(pilot, lambda: " pin" not in screen_text(app))
        assert pinned_checkpoints(folder) == set()


async def test_a_run_is_renamed_and_deleted_after_a_question(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "n")
        await until_shown(pilot, "New name")
        app.screen.query_one(Input).value = "renamed"
        await pilot.press("enter")
        await until_shown(pilot, "renamed-")
        assert names(runs) == {"slow", "renamed"}
        for answer in ("n", "y"):
            await until(pilot, lambda: len(app.screen_stack) == 1)
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await until_shown(pilot, "This deletes")
            assert names(runs) == {"slow", "renamed"}
            await pilot.press(answer)
        await until(pilot, lambda: len(names(runs)) == 1)
        await until(pilot, lambda: app.query_one("#all_runs", DataTable).row_count == 1)


async def test_the_path_is_copied_and_shown(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(200, 60)) as (app, pilot):
        await in_runs(app, pilot, "tab", "y")
        path = app.query_one(RunsPane)._chosen_path()
        assert app.clipboard == str(path)
        await until_shown(pilot, path.name)


async def test_a_checkpoint_is_looked_into_measured_compared_and_exported(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await in_runs(app, pilot, "i")
        await until(pilot, lambda: isinstance(app.screen, CheckpointScreen))
        await until_shown(pilot, "can resume bit-exactly")
        assert "differ from your draft" in screen_text(app)
        await pilot.press("n")
        await until(pilot, lambda: bool(app.screen._norms))
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.screen, ScoresScreen))
        await until_shown(pilot, "no test split")
        assert "precision" in screen_text(app)
        await until_shown(pilot, "→")
        await pilot.press("escape", "v", "down")
        await until(pilot, lambda: app.query_one(RunsPane).chosen.name.startswith("slow"))
        await pilot.press("v")
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
        await pilot.press("escape", "w")
        await until_shown(pilot, "Export the weights")
        app.screen.query_one(Input).value = str(tmp_path / "out.foo")
        await pilot.press("enter")
        await until_shown(pilot, "must end in")
        app.screen.query_one(Input).value = str(tmp_path / "out.safetensors")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "out.safetensors").exists())


async def test_a_fork_becomes_the_draft(runs: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await in_runs(app, pilot, "f")
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
        await pilot.press("F")
        await until(pilot, lambda: app.draft.model.weights != "")
        assert app.draft.start_from == ""


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
        await until_shown(pilot, "epoch 3/3")


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
        await until_shown(pilot, "Which file?")
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
        await until_shown(pilot, "Which file?")
        app.screen.query_one(Input).value = str(tmp_path / "notes.txt")
        await pilot.press("enter")
        # The line breaks somewhere, as the path before it is long.
        await until(pilot, lambda: "is not a checkpoint" in " ".join(screen_text(app).split()))
