"""The setup pane as a user sees it: fields, what they mean, what is wrong, and what the run will be."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from studio_pilot import FAST, choose_in_palette, go_to_field, screen_text, set_field, studio, told, until, until_shown
from textual.widgets import ContentSwitcher, Input

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.app import Studio
from torchdeck.tui.panes.setup.pane import SetupPane
from torchdeck.tui.process.worker_process import WorkerProcess
from torchdeck.tui.screens.lr_find import LearningRateScreen
from torchdeck.tui.screens.pick import PickScreen
from torchdeck.tui.screens.plan import PlanScreen
from torchdeck.tui.widgets.config_form import ConfigForm


def form_of(app: Studio) -> ConfigForm:
    return app.query_one("SetupPane ConfigForm", ConfigForm)


async def test_a_message_goes_when_the_value_that_holds_is_typed_again(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        await until_shown(pilot, "✓ ready to start")
        await set_field(pilot, "training.epochs", "0")
        await until(pilot, lambda: "must be at least 1" in form_of(app).field_of("training.epochs").error)
        assert "▲ training.epochs = 0: must be at least" in screen_text(app)
        await set_field(pilot, "training.epochs", "15")
        await until(pilot, lambda: "must be at least" not in screen_text(app))
        await until_shown(pilot, "✓ ready to start")


async def test_another_edit_brings_back_the_value_in_place_of_one_that_was_ignored(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        for key, text, kept in (("training.epochs", "0", "15"), ("optimizer.lr", "x", "0.003")):
            await set_field(pilot, key, text)
            await until(pilot, lambda: form_of(app).field_of(key).typed == text)  # noqa: B023
            assert form_of(app).field_of(key).error.endswith(f"ignored; still {kept}")
        assert form_of(app).field_of("training.epochs").shown == "15"
        await set_field(pilot, "optimizer.lr", "0.003")
        await until(pilot, lambda: "ignored" not in screen_text(app))
        assert form_of(app).field_of("optimizer.lr").shown == "0.003"


async def test_the_same_mistake_again_is_shown_as_it_was_typed(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        for text in ("0", "-0"):
            await set_field(pilot, "training.epochs", text)
            await until(pilot, lambda: form_of(app).field_of("training.epochs").shown == text)  # noqa: B023


async def test_escape_and_d_take_back_what_was_rejected(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        for key in ("escape", "d"):
            await set_field(pilot, "training.epochs", "0")
            await until(pilot, lambda: bool(form_of(app).field_of("training.epochs").error))
            await pilot.press(key)
            await until(pilot, lambda: form_of(app).field_of("training.epochs").error == "")
            assert form_of(app).field_of("training.epochs").shown == "15"


async def test_d_sets_back_to_the_preset_then_to_the_default_and_u_undoes(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await set_field(pilot, "training.epochs", "3")
        await until(pilot, lambda: app.draft.training.epochs == 3)
        for expected in (15, 10):
            await pilot.press("d")
            await until(pilot, lambda: app.draft.training.epochs == expected)  # noqa: B023
        await pilot.press("u")
        await until(pilot, lambda: app.draft.training.epochs == 15)


async def test_an_argument_is_added_and_removed(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "optimizer.lr")
        await pilot.press("a")
        await until_shown(pilot, "Add an argument of AdamW")
        await pilot.press(*"amsgrad", "enter")
        await until_shown(pilot, "write name=value, such as momentum=0.9")
        await pilot.press(*"=true", "enter")
        await until(pilot, lambda: app.draft.optimizer.arguments.get("amsgrad") is True)
        await go_to_field(pilot, "optimizer.amsgrad")
        await pilot.press("d")
        await until(pilot, lambda: "amsgrad" not in app.draft.optimizer.arguments)


async def test_choices_are_changed_with_arrows_or_picked_from_a_list(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "training.precision")
        await pilot.press("right")
        await until(pilot, lambda: app.draft.training.precision == "fp32")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"bf16", "enter")
        await until(pilot, lambda: app.draft.training.precision == "bf16")


async def test_a_setting_is_found_by_typing_and_escape_shows_all_again(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3", "slash", *"early patience")
        await until(pilot, lambda: [field.key for field in form_of(app).fields] == ["early_stopping.patience"])
        await pilot.press("enter", "enter", "5", "enter")
        await until(pilot, lambda: app.draft.early_stopping.patience == 5)
        await pilot.press("escape")
        await until(pilot, lambda: len(form_of(app).fields) > 70)
        assert form_of(app).field is not None and form_of(app).field.key == "early_stopping.patience"


async def test_sections_lead_to_their_fields_and_follow_them(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3", "shift+tab", *["down"] * 4)
        await until(pilot, lambda: form_of(app).section == "Optimizer")
        await pilot.press("enter")
        assert app.focused is form_of(app)
        await go_to_field(pilot, "seed")
        assert form_of(app).section == "Run"
        await until(pilot, lambda: app.query_one("#sections").cursor == 1)  # type: ignore[attr-defined]


async def test_a_field_is_explained_in_full_at_every_size(tmp_path: Path) -> None:
    words = "checkpoint of another run to start from with its whole state"
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "start_from")
        await until(pilot, lambda: words in " ".join(screen_text(app).split()))
        await pilot.resize_terminal(120, 40)
        await go_to_field(pilot, "optimizer.lr")
        await until_shown(pilot, "--set optimizer.lr=0.003")
        text = " ".join(screen_text(app).split())
        assert "default 0.01 above 0" in text
        assert "as the preset has it" in text


async def test_the_command_and_the_differences_follow_an_edit(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(200, 60)) as (app, pilot):
        await pilot.press("3")
        await set_field(pilot, "training.epochs", "7")
        await until_shown(pilot, "--set training.epochs=7")
        text = screen_text(app)
        assert "1 of " in text and "Differs from the preset" in text
        assert any("training.epochs" in line and "15 → 7" in line for line in text.splitlines())


async def test_y_copies_the_setting_and_from_the_plan_the_command(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await set_field(pilot, "training.epochs", "7")
        await until(pilot, lambda: app.draft.training.epochs == 7)
        await pilot.press("y")
        assert app.clipboard == "--set training.epochs=7"
        await pilot.press("tab", "y")
        assert app.clipboard == "torchdeck train digits --set training.epochs=7"


async def test_v_shows_the_plan_where_there_is_room_for_one_view(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await pilot.press("3", "v")
        await until_shown(pilot, "steps   345  23 per epoch × 15")
        await until_shown(pilot, "memory")
        for words in ("Schedule", "0.003", "torchdeck train digits"):
            await until_shown(pilot, words)
        assert "batch_size" not in screen_text(app)
        await pilot.press("v")
        await until_shown(pilot, "batch_size")


async def test_m_does_a_dry_run_and_times_a_real_step(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST) as (_, pilot):
        await pilot.press("3")
        await until_shown(pilot, "m measures a step")
        await pilot.press("m")
        await until_shown(pilot, "✓ data, model and loss fit together")
        await until_shown(pilot, "ms per step")
        assert not (tmp_path / "runs").exists()


async def test_m_on_the_learning_rate_looks_for_it_and_w_takes_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LearningRateScreen, "_test", lambda screen: None)
    monkeypatch.setattr(LearningRateScreen, "suggested", 0.0007)
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "optimizer.lr")
        await pilot.press("w")
        assert "No suggestion" in told(app)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, LearningRateScreen))
        await pilot.press("escape")
        await until_shown(pilot, "lr-find suggests 0.0007")
        await pilot.press("w")
        await until(pilot, lambda: app.draft.optimizer.lr == 0.0007)


async def test_what_former_runs_used_is_shown_with_their_results(tmp_path: Path) -> None:
    for rate, accuracy in ((0.01, 0.9), (0.001, 0.95)):
        config = load_config("digits", [f"optimizer.lr={rate}"])
        writer = RunWriter.create(tmp_path / "runs", config, {"argv": ["torchdeck"]})
        best = {"metric": "accuracy", "value": accuracy, "epoch": 1, "step": 20}
        writer.update_state(epochs=15, epoch=1, step=20, best=best)
        writer.close("finished")
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "optimizer.lr")
        await until_shown(pilot, "0.001 95.00%")
        assert "0.01 90.00%" in screen_text(app)
        await until_shown(pilot, "best of 2 runs: 0.001")
        await pilot.press("w")
        await until(pilot, lambda: app.draft.optimizer.lr == 0.001)


async def test_what_the_libraries_refuse_is_said_at_its_field_and_a_start_goes_there(tmp_path: Path) -> None:
    async with studio(tmp_path, "optimizer.momentun=0.9") as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: "unknown argument 'momentun'" in form_of(app).field_of("optimizer.momentun").error)
        await pilot.press("1", "S")
        await until(pilot, lambda: app.query_one(ContentSwitcher).current == "setup")
        assert app.launched is None and "Not started" in told(app)
        await until(pilot, lambda: form_of(app).field is not None and form_of(app).field.key == "optimizer.momentun")


async def test_i_shows_the_plan_in_full(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST, "optimizer.layer_decay=0.5", size=(100, 40)) as (app, pilot):
        await pilot.press("3", "i")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))
        await until_shown(pilot, "2 epochs of ")
        text = screen_text(app)
        assert "lr 0." in text
        assert " parameters (" in text
        await pilot.press("escape")
        assert not isinstance(app.screen, PlanScreen)


async def test_the_palette_goes_to_a_field_even_at_the_first_visit(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await choose_in_palette(pilot, "checkpoint.keep_last")
        await until(pilot, lambda: bool(app.query(SetupPane)))
        await until(pilot, lambda: form_of(app).field is not None and form_of(app).field.key == "checkpoint.keep_last")


async def test_a_click_selects_a_field_and_a_second_one_types_into_it(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: form_of(app).has_focus)
        lines = screen_text(app).splitlines()
        row = next(at for at, line in enumerate(lines) if "epochs" in line)
        await pilot.click(offset=(lines[row].index("epochs"), row), times=2)
        await until(pilot, lambda: isinstance(app.focused, Input))
        assert app.focused.value == "15"


class SlowFolder(WorkerProcess):
    """Lists a folder for as long as it is told to."""

    is_listed = asyncio.Event()

    async def follow(
        self, function: str, *arguments: Any, on_progress: Callable[[str, int, int], None], **keywords: Any
    ) -> Any:
        if function.endswith((":outline_run", ":inspect_draft")):
            on_progress("listing files", 4200, 0)
            await self.is_listed.wait()
        return await super().follow(function, *arguments, on_progress=on_progress, **keywords)


async def test_a_plan_and_a_model_that_take_long_say_how_far_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchdeck.tui.app.WorkerProcess", SlowFolder)
    monkeypatch.setattr(SlowFolder, "is_listed", asyncio.Event())
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        await until_shown(pilot, "steps   listing files 4,200 …")
        await pilot.press("2")
        await until_shown(pilot, "cnn  listing files 4,200 …")
        SlowFolder.is_listed.set()
        await until_shown(pilot, "input 1×8×8")
        await pilot.press("3")
        await until_shown(pilot, "23 per epoch")
        await until_shown(pilot, "memory  ")
        assert "listing files" not in screen_text(app)
