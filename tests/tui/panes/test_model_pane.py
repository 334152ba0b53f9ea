"""The model pane around the tree: freezing, details of a module, gradients of a run, memory of a step."""

from __future__ import annotations

from pathlib import Path

from studio_pilot import SMALL, screen_text, studio, until, until_shown

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.widgets.modules.module_tree import ModuleTree


async def test_a_subtree_is_frozen_by_a_key_and_a_module_inspected_in_full(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL, size=(80, 24)) as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "features")
        tree = app.query_one(ModuleTree)
        assert app.focused is tree
        await pilot.press("down", "right", "down", "e")
        await until_shown(pilot, "model.freeze = ['features.0']")
        assert app.draft.model.freeze == ["features.0"]
        assert tree.current_row is not None
        assert (tree.current_row.path, tree.current_row.trainable) == ("features.0", 0)
        assert "9,632 frozen" in str(tree.border_subtitle)
        await pilot.press("e")
        await until(pilot, lambda: "model.freeze" not in screen_text(app))
        assert app.draft.model.freeze == []
        await pilot.press("u")
        await until(pilot, lambda: app.draft.model.freeze == ["features.0"])
        await pilot.press("end", "i")
        await until_shown(pilot, "model.get_submodule('classifier')")
        assert "Docstring of Linear" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.focused is tree


async def test_at_80_columns_v_shows_other_columns_then_the_other_panels(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL, size=(80, 24)) as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "features")
        seen = []
        for _ in range(7):
            seen.append((app.query_one(ModuleTree).columns_view, app.pane.view))
            assert app.focused is not None and app.focused.display and app.focused.is_on_screen
            await pilot.press("v")
            await pilot.pause(0.2)
        assert seen[:4] == [("overview", "tree"), ("parameters", "tree"), ("compute", "tree"), ("overview", "models")]
        assert [view for _, view in seen[4:]] == ["module", "memory", "tree"]


async def test_a_model_is_chosen_from_the_list(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "features")
        await pilot.press("shift+tab", "home", "enter")
        await until(pilot, lambda: app.draft.model.name == "mlp")
        await until(pilot, lambda: str(app.query_one(ModuleTree).border_title).startswith("mlp"))


async def test_a_model_that_can_not_be_built_says_why_and_what_helps(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL, "model.name=nothing_like_it", size=(80, 24)) as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "The model can't be built")
        assert "nothing_like_it" in screen_text(app)
        await until_shown(pilot, "choose another model")


async def test_a_run_of_the_model_shows_its_gradients_and_its_weights(tmp_path: Path) -> None:
    run = launch(load_config("digits", [*SMALL, "training.probe_every=1"]), tmp_path / "runs")
    run.join(60)
    assert run.path is not None
    async with studio(tmp_path, *SMALL, size=(200, 60)) as (app, pilot):
        app.post_message(WatchRequested(run.path))
        await until_shown(pilot, "finished")
        await pilot.press("2")
        await until_shown(pilot, "gradient")
        await until_shown(pilot, "Optimizer groups")
        await until_shown(pilot, "tensors")
        assert "step 12" in screen_text(app)
        await pilot.press("end")
        await until_shown(pilot, "weights in step-0000000")
        await until_shown(pilot, "gradients at step 12")
        await pilot.press("v", "v", "v")
        await until_shown(pilot, "heat")
        # A run of another model has no gradients of this one.
        await pilot.press("shift+tab", "home", "enter")
        await until(pilot, lambda: app.draft.model.name == "mlp")
        await until_shown(pilot, "No gradients yet")


async def test_what_a_step_takes_is_estimated_and_measured(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL, "optimizer.name=AdamW") as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "activations")
        assert "a step of 128 in fp32" in screen_text(app)
        await until_shown(pilot, "largest batch that fits, estimated 1,438")
        await pilot.press("m")
        await until_shown(pilot, "per epoch of 12 steps")
