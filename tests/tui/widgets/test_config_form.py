"""A form that posts the entered values and shows their errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from torchdeck.tui.widgets.config_form import ConfigForm, FormField

FIELDS = [
    FormField("data.dataset", "dataset", "text", "CIFAR10", ("CIFAR10", "MNIST"), "a catalog name", section="data"),
    FormField("loader.batch_size", "batch_size", "int", "128", help="images in a step", section="data"),
    FormField("optimizer.name", "name", "choice", "SGD", ("SGD", "Adam", "AdamW"), section="optimizer"),
    FormField("optimizer.lr", "lr", "float", "0.1", help="learning rate", section="optimizer"),
    FormField("training.compile", "compile", "bool", "false", section="training"),
]


class FormApp(App[None]):
    BINDINGS = [Binding("s", "start", "start")]

    def __init__(self, fields: list[FormField] = FIELDS) -> None:
        super().__init__()
        self.fields = fields
        self.changes: list[tuple[str, str]] = []
        self.starts = 0

    def compose(self) -> ComposeResult:
        yield ConfigForm(self.fields)

    def on_config_form_changed(self, message: ConfigForm.Changed) -> None:
        assert message.control is self.form
        self.changes.append((message.key, message.value))

    def action_start(self) -> None:
        self.starts += 1

    @property
    def form(self) -> ConfigForm:
        return self.query_one(ConfigForm)


async def type_over(pilot, text: str) -> None:
    await pilot.press("end", "ctrl+u", *text)


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (200, 50)])
async def test_every_field_is_one_line_under_its_section(lines_of, size) -> None:
    app = FormApp()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        lines = lines_of(app)
        assert [line for line in lines if line and not line.startswith(" ")] == [line for line in lines if line]
        words = [line.split()[:2] for line in lines if line]
        assert words == [
            ["data"],
            ["dataset", "CIFAR10"],
            ["batch_size", "128"],
            ["optimizer"],
            ["name", "‹"],
            ["lr", "0.1"],
            ["training"],
            ["compile", "["],
        ]


async def test_enter_takes_a_value_and_goes_on(lines_of) -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("loader.batch_size")
        await type_over(pilot, "64")
        assert app.changes == []
        await pilot.press("enter")
        assert app.changes == [("loader.batch_size", "64")]
        await pilot.press("right")
        assert app.changes[1:] == [("optimizer.name", "Adam")]


async def test_leaving_a_field_takes_its_value_once() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("optimizer.lr")
        await type_over(pilot, "0.3")
        await pilot.press("up")
        await pilot.pause()
        await pilot.press("down", "down")
        await pilot.pause()
        assert app.changes == [("optimizer.lr", "0.3")]


async def test_escape_brings_the_old_value_back() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("optimizer.lr")
        await type_over(pilot, "7")
        await pilot.press("escape", "enter")
        await pilot.pause()
        assert app.changes == []


async def test_a_choice_is_cycled_both_ways_and_by_letter() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("optimizer.name")
        await pilot.press("left", "right", "space", "a", "s")
        assert [value for _, value in app.changes] == ["AdamW", "SGD", "Adam", "AdamW", "SGD"]
        assert app.starts == 0


async def test_keys_that_a_field_does_not_use_are_left_to_the_app() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("training.compile")
        await pilot.press("s")
        assert app.starts == 1
        app.form.focus_field("data.dataset")
        await pilot.press("s")
        assert app.starts == 1


async def test_a_bool_is_toggled_by_space_and_by_click(lines_of) -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("training.compile")
        await pilot.press("space")
        assert app.changes == [("training.compile", "true")]
        assert any("[x] on" in line for line in lines_of(app))
        await pilot.click(app.form.query("_Choice").last())
        assert app.changes[-1] == ("training.compile", "false")


async def test_an_error_is_shown_below_its_field_and_goes(lines_of) -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.set_error("optimizer.lr", "[red]it must be\nabove 0")
        await pilot.pause()
        lines = lines_of(app)
        (at,) = [index for index, line in enumerate(lines) if line.startswith("lr")]
        assert lines[at + 1].strip() == r"[red]it must be\nabove 0"
        app.form.set_error("optimizer.lr", "")
        await pilot.pause()
        assert not any("above 0" in line for line in lines_of(app))
        with pytest.raises(KeyError):
            app.form.set_error("optimizer.momentun", "x")


async def test_new_values_keep_the_cursor_and_what_is_being_typed() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("loader.batch_size")
        await type_over(pilot, "25")
        focused = app.focused
        fields = [replace(field, value="MNIST") if field.key == "data.dataset" else field for field in FIELDS]
        await app.form.set_fields(fields)
        assert app.focused is focused
        assert [editor.value for editor in app.form.query(Input)] == ["MNIST", "25", "0.1"]
        await pilot.press("6", "enter")
        assert app.changes == [("loader.batch_size", "256")]


async def test_other_choices_keep_what_is_being_typed_and_can_be_chosen_at_once() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("data.dataset")
        await type_over(pilot, "USP")
        focused = app.focused
        choices = {"data.dataset": ("MNIST", "USPS"), "optimizer.name": ("SGD", "Muon")}
        await app.form.set_fields([replace(field, choices=choices.get(field.key, ())) for field in FIELDS])
        assert app.focused is focused
        await pilot.press("x", "backspace")
        await pilot.pause()
        await pilot.press("right", "enter", "down", "right")
        assert app.changes == [("data.dataset", "USPS"), ("optimizer.name", "Muon")]


async def test_other_fields_replace_the_rows_and_keep_the_focused_field(lines_of) -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.focus_field("optimizer.lr")
        await pilot.pause()
        await app.form.set_fields([*FIELDS[2:4], FormField("optimizer.betas", "betas", "text", "[0.9, 0.999]")])
        await pilot.pause()
        assert [line.split()[0] for line in lines_of(app) if line] == ["optimizer", "name", "lr", "betas"]
        await type_over(pilot, "1")
        await pilot.press("enter")
        assert app.changes == [("optimizer.lr", "1")]


async def test_every_field_can_be_reached_on_a_small_screen(lines_of) -> None:
    fields = [FormField(f"key{index}", f"key{index}", "int", str(index)) for index in range(60)]
    app = FormApp(fields)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*["down"] * 59)
        await pilot.pause()
        assert any(line.startswith("key59") for line in lines_of(app))
        await pilot.press("down")
        await pilot.press("9", "enter")
        assert app.changes == [("key59", "599")]


async def test_the_cursor_does_not_blink() -> None:
    app = FormApp()
    async with app.run_test():
        assert not any(editor.cursor_blink for editor in app.query(Input))


async def test_a_field_without_effect_says_why_and_is_dimmed_until_it_has_one(lines_of) -> None:
    app = FormApp()
    async with app.run_test(size=(100, 24)) as pilot:
        app.form.set_off({"loader.batch_size": "the samples are kept"})
        await pilot.pause()
        line = next(line for line in lines_of(app) if "batch_size" in line)
        assert "the samples are kept" in line and "images in a step" not in line
        assert [row.has_class("-off") for row in app.form.query("_Row")] == [False, True, False, False, False]
        await app.form.set_fields(app.form.fields)
        assert app.form.fields[1].off == "the samples are kept"
        app.form.set_off({})
        await pilot.pause()
        assert "images in a step" in next(line for line in lines_of(app) if "batch_size" in line)


async def test_a_wrong_text_stays_with_its_error_until_the_error_goes_or_the_value_changes() -> None:
    app = FormApp()
    async with app.run_test(size=(80, 24)) as pilot:
        form = app.query_one(ConfigForm)
        fields = form.fields
        typed = next(field for field in fields if field.kind == "float")
        form.focus_field(typed.key)
        await type_over(pilot, "x")
        await pilot.press("enter")
        form.set_error(typed.key, "must be a number")
        form.set_off({})
        await form.set_fields(fields)
        row = form._row(typed.key)
        assert (row.editor.value, row.field.error) == ("x", "must be a number")
        form.set_error(typed.key, "")
        await form.set_fields(fields)
        assert (row.editor.value, row.field.error) == (typed.value, "")
