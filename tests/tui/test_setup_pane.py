"""A message of the setup pane about an edit stays as long as it is true."""

from pathlib import Path

from studio_pilot import screen_text, studio, until, until_shown

from torchdeck.tui.widgets.config_form import ConfigForm


async def test_a_message_goes_when_the_value_that_holds_is_typed_again(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        await until_shown(pilot, "✓ ready to start")
        app.query_one("SetupPane ConfigForm", ConfigForm).focus_field("training.epochs")
        await pilot.press("end", *["backspace"] * 4, "0", "enter")
        await until_shown(pilot, "must be at least 1")
        await pilot.press("up", "end", "backspace", "1", "5", "enter")
        await until_shown(pilot, "✓ ready to start")
        assert "must be at least" not in screen_text(app)


async def test_another_edit_brings_back_the_value_in_place_of_one_that_was_not_taken(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        await until_shown(pilot, "✓ ready to start")
        form = app.query_one("SetupPane ConfigForm", ConfigForm)
        for key, value, kept in (("training.epochs", "0", "15"), ("optimizer.lr", "x", "0.003")):
            form.focus_field(key)
            await pilot.press("end", *["backspace"] * 6, value, "enter")
            await until_shown(pilot, f"{key} = {value!r}" if value == "x" else f"{key} = {value}")
            await until_shown(pilot, f"ignored; still {kept}")
        form.focus_field("optimizer.lr")
        await pilot.press("end", "backspace", *"0.003", "enter")
        await until_shown(pilot, "✓ ready to start")
        assert "ignored" not in screen_text(app)
        values = {row.field.key: row.editor.value for row in form.query("_Row")}
        assert (values["training.epochs"], values["optimizer.lr"]) == ("15", "0.003")


async def test_an_argument_without_a_value_is_said_until_it_is_taken_out(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        form = app.query_one("SetupPane ConfigForm", ConfigForm)
        form.focus_field("optimizer.add")
        await pilot.press(*"amsgrad", "enter")
        await until_shown(pilot, "write name=value")
        form.focus_field("optimizer.add")
        await pilot.press("end", *["backspace"] * 7, "enter")
        await until(pilot, lambda: "write name=value" not in screen_text(app))


async def test_a_help_that_is_cut_off_stands_in_full_below_the_form(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: bool(app.query_one(ConfigForm).fields))
        await pilot.press("down", "down", "down")
        await until_shown(pilot, "start_from: checkpoint of another run to start from with its whole state, as a")
        await pilot.press("up")
        await until_shown(pilot, "F5 starts")
