"""The model pane around the tree: freezing, details of a module, gradients of a run, memory of a step."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_pilot import screen_text, studio, until, until_shown

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.panes.model import with_rule
from torchdeck.tui.panes.module_detail import ModuleDetail
from torchdeck.tui.panes.step_cost import StepCost
from torchdeck.tui.widgets.modules.module_tree import ModuleTree

SMALL = ("training.epochs=1", "schedule.warmup_epochs=0", "loader.batch_size=128")


@pytest.mark.parametrize(
    ("rules", "path", "is_frozen", "expected"),
    [
        ([], "layer1", True, ["layer1"]),
        (["layer1"], "layer1", False, []),
        (["*"], "fc", False, ["*", "!fc"]),
        (["*", "!fc"], "fc", True, ["*", "fc"]),
        (["*", "layer1", "!layer1.0"], "layer1", False, ["*", "!layer1"]),
        (["layer1", "!layer10"], "layer1", True, ["!layer10", "layer1"]),
        (["layer1", "!fc"], "*", True, ["*"]),
        (["*"], "*", False, []),
        ([], "layer1", False, ["!layer1"]),
    ],
)
def test_a_freeze_rule_takes_the_place_of_those_for_the_same_part(
    rules: list[str], path: str, is_frozen: bool, expected: list[str]
) -> None:
    assert with_rule(rules, path, is_frozen=is_frozen) == expected


async def test_a_subtree_is_frozen_by_a_key_and_a_module_shown_in_full(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL, size=(80, 24)) as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "288,170 parameters")
        await pilot.press("t", "down", "right", "down", "z")
        await until_shown(pilot, "9,632 frozen")
        assert app.draft.model.freeze == ["features.0"]
        tree = app.query_one(ModuleTree)
        assert tree.current_row is not None
        assert (tree.current_row.path, tree.current_row.trainable) == ("features.0", 0)
        await pilot.press("z")
        await until(pilot, lambda: "9,632 frozen" not in screen_text(app))
        assert app.draft.model.freeze == []
        await pilot.press("g")
        await until_shown(pilot, "× optimizer.lr")
        await until_shown(pilot, "features.0.")
        await pilot.press("escape", "end", "d")
        await until_shown(pilot, 'get_submodule("classifier")')
        await until_shown(pilot, "at the start of a run with seed 0")
        assert "Applies an affine linear transformation" in screen_text(app)
        assert not tree.is_on_screen
        await pilot.press("escape")
        await pilot.pause()
        assert app.focused is tree.rows


async def test_a_run_of_the_model_shows_its_gradients_and_its_weights(tmp_path: Path) -> None:
    run = launch(load_config("digits", [*SMALL, "training.probe_every=1"]), tmp_path / "runs")
    run.join(60)
    assert run.path is not None
    async with studio(tmp_path, *SMALL, size=(200, 50)) as (app, pilot):
        app.post_message(WatchRequested(run.path))
        await until_shown(pilot, "finished")
        await pilot.press("2")
        await until_shown(pilot, " gradient ")
        await pilot.press("t", "end")
        await until_shown(pilot, "weights in step-0000000")
        assert "gradients at step 12" in screen_text(app)
        await pilot.press("v", "v", "v")
        await until_shown(pilot, " heat ")
        # A run of another model has no gradients of this one.
        await pilot.press("v", "2", "up", "enter")
        await until(pilot, lambda: app.draft.model.name == "mlp")
        await until(pilot, lambda: "gradient" not in screen_text(app))


async def test_what_a_step_takes_is_estimated_and_measured(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL, "optimizer.name=AdamW") as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "288,170 parameters")
        await pilot.press("m")
        await until_shown(pilot, "a step of 128 in fp32: about")
        await until_shown(pilot, "estimated largest batch that fits: 1,438")
        await pilot.press("M")
        await until_shown(pilot, "per epoch of 12 steps")
        await pilot.press("m")
        await pilot.pause()
        assert not app.query_one(StepCost).is_shown
        assert app.query_one(ModuleDetail) is not None
