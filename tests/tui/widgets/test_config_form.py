"""A form posts what was typed, and selects a field before it is typed into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from torchdeck.tui.widgets.config_form import ConfigForm, FormSection
from torchdeck.tui.widgets.form_field import FormField, clauses, field_line

SECTIONS = (
    FormSection(
        "Data",
        "what is read",
        (
            FormField(
                "data.dataset", "dataset", "text", "CIFAR10", ("CIFAR10", "MNIST"), "a catalog name", origin="CIFAR10"
            ),
            FormField("loader.batch_size", "batch_size", "int", "128", help="images in a step", origin="128"),
        ),
    ),
    FormSection(
        "Optimizer",
        "",
        (
            FormField("optimizer.name", "name", "choice", "SGD", ("SGD", "Adam", "AdamW"), origin="SGD"),
            FormField("optimizer.lr", "lr", "float", "0.1", help="learning rate", origin="0.1"),
        ),
    ),
    FormSection("Training", "", (FormField("training.compile", "compile", "bool", "false", origin="false"),)),
)


class FormApp(App[None]):
    BINDINGS = [Binding("7", "seven", "seven")]

    def __init__(self, sections: Sequence[FormSection] = SECTIONS) -> None:
        super().__init__()
        self.sections = sections
        self.changes: list[tuple[str, str]] = []
        self.wanted: list[str] = []
        self.sevens = 0

    def compose(self) -> ComposeResult:
        yield ConfigForm(self.sections)

    def on_mount(self) -> None:
        self.form.focus()

    def on_config_form_changed(self, message: ConfigForm.Changed) -> None:
        assert message.control is self.form
        self.changes.append((message.key, message.value))

    def on_config_form_choice_wanted(self, message: ConfigForm.ChoiceWanted) -> None:
        self.wanted.append(message.field.key)

    def action_seven(self) -> None:
        self.sevens += 1

    @property
    def form(self) -> ConfigForm:
        return self.query_one(ConfigForm)


def changed(key: str, **values: object) -> list[FormSection]:
    """The sections with another value of one field."""
    return [
        replace(
            section,
            fields=tuple(
                replace(field, **values) if field.key == key else field  # type: ignore[arg-type]
                for field in section.fields
            ),
        )
        for section in SECTIONS
    ]


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (200, 50)])
async def test_every_field_is_one_line_under_its_section(lines_of, size) -> None:
    app = FormApp()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        words = [line.split()[:2] for line in lines_of(app) if line.strip()]
        assert [line[0] for line in words] == [
            "Data",
            "dataset",
            "batch_size",
            "Optimizer",
            "name",
            "lr",
            "Training",
            "compile",
        ]
        assert words[1:3] == [["dataset", "CIFAR10"], ["batch_size", "128"]]


async def test_digits_are_keys_until_enter_and_then_text_until_enter() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        assert app.form.go_to("loader.batch_size")
        await pilot.press("7")
        assert app.sevens == 1
        await pilot.press("enter", "7", "enter")
        assert app.sevens == 1
        assert app.changes == [("loader.batch_size", "7")]
        await pilot.press("7")
        assert app.sevens == 2


async def test_tab_and_the_arrows_apply_and_go_on() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        for key, field in (("tab", "optimizer.name"), ("down", "optimizer.name"), ("up", "data.dataset")):
            app.form.go_to("loader.batch_size")
            await pilot.press("enter", "6", "4", key)
            assert app.changes.pop() == ("loader.batch_size", "64")
            assert app.form.field is not None and app.form.field.key == field
            assert app.focused is app.form


async def test_escape_brings_the_old_value_back() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.go_to("optimizer.lr")
        await pilot.press("enter", "7")
        assert app.form.unapplied is not None and app.form.unapplied[1] == "7"
        await pilot.press("escape")
        await pilot.pause()
        assert (app.changes, app.form.unapplied, list(app.query(Input))) == ([], None, [])
        assert app.focused is app.form


async def test_the_same_text_is_no_change() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.go_to("optimizer.lr")
        await pilot.press("enter", "end", "enter")
        await pilot.pause()
        assert app.changes == []


async def test_a_choice_is_changed_both_ways_and_enter_asks_for_all_of_them() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.go_to("optimizer.name")
        await pilot.press("left", "right", "enter")
        assert app.changes == [("optimizer.name", "AdamW"), ("optimizer.name", "Adam")]
        assert app.wanted == ["optimizer.name"]


async def test_a_switch_is_switched_by_enter_arrows_and_a_second_click(lines_of) -> None:
    app = FormApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.form.go_to("training.compile")
        await pilot.press("enter", "right")
        (at,) = [at for at, line in enumerate(lines_of(app)) if "compile" in line]
        await pilot.click(app.form, offset=(4, at), times=2)
        assert app.changes == [("training.compile", "true")] * 3
        app.form.set_sections(changed("training.compile", value="true"))
        await pilot.pause()
        assert any("━━● on" in line for line in lines_of(app))


async def test_new_values_keep_the_cursor_and_what_is_being_typed() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        app.form.go_to("loader.batch_size")
        await pilot.press("enter", "2", "5")
        app.form.set_sections(changed("data.dataset", value="MNIST"))
        await pilot.press("6", "enter")
        assert app.changes == [("loader.batch_size", "256")]
        # Another section above moves it down.
        first = FormSection("First", "", (FormField("name", "name", "text", "run"),))
        app.form.set_sections([first, *SECTIONS])
        assert app.form.field is not None and app.form.field.key == "loader.batch_size"


async def test_what_is_typed_lies_over_its_value_after_a_resize(lines_of) -> None:
    app = FormApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.form.go_to("optimizer.lr")
        await pilot.press("enter", "7", "7")
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert any(line.split() == ["lr", "77"] for line in lines_of(app))


async def test_every_field_can_be_reached_on_a_small_screen(lines_of) -> None:
    many = tuple(FormField(f"key{index}", f"key{index}", "int", str(index)) for index in range(60))
    app = FormApp([FormSection("Many", "", many)])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("end")
        await pilot.pause()
        assert any("key59" in line for line in lines_of(app))
        await pilot.press("enter", "9", "enter")
        assert app.changes == [("key59", "9")]


async def test_the_cursor_does_not_blink() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.press("enter")
        assert [editor.cursor_blink for editor in app.query(Input)] == [False]


def test_a_line_says_what_differs_what_is_wrong_and_what_has_no_effect() -> None:
    field = SECTIONS[1].fields[1]
    assert "●" not in field_line(field, 80, is_here=False)
    assert field_line(replace(field, value="0.2"), 80, is_here=False).startswith("[$primary]●[/]")
    wrong = field_line(replace(field, error="must be above 0", typed="-1"), 80, is_here=False)
    assert wrong.startswith("[$error]▲[/]") and "-1" in wrong and "must be above 0" in wrong
    idle = field_line(replace(field, off="the optimizer has none"), 80, is_here=False)
    assert "the optimizer has none" in idle and "learning rate" not in idle


def test_a_note_is_cut_between_clauses_or_left_out() -> None:
    help_text = "auto: shuffled or not; balanced: every class equally often"
    assert clauses(help_text, 60) == help_text
    assert clauses(help_text, 40) == "auto: shuffled or not"
    assert clauses(help_text, 10) == "auto"
    assert clauses("one long clause without an end", 10) == ""


def test_half_a_note_is_not_shown() -> None:
    field = SECTIONS[0].fields[1]
    assert "images in a step" in field_line(field, 80, is_here=False)
    assert "images" not in field_line(field, 60, is_here=False)


def test_a_library_argument_that_is_not_set_is_told_from_one_that_is() -> None:
    field = FormField("optimizer.eps", "eps", "text", "1e-8", default="1e-8", is_set=False)
    assert not field.is_changed
    assert replace(field, origin="1e-6").is_changed
    assert replace(field, is_set=True).is_changed
