"""Steps that are added, edited, moved and deleted."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from torchdeck.tui.widgets.pipeline_list import (
    Parameter,
    PipelineList,
    PipelineStep,
    StepNote,
    parse_value,
    shown_value,
)

FLIP = PipelineStep("RandomHorizontalFlip")
CROP = PipelineStep("RandomCrop", {"size": 32, "padding": 4})
NORMALIZE = PipelineStep("Normalize", {"mean": [0.5, 0.4], "std": [0.1, 0.2]})
SECTIONS = {"train": ("Train", ""), "eval": ("Eval", "w takes it from train")}


class PipelineApp(App[None]):
    """Two pipelines, and what was asked of the receiver of their messages."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[str, list[PipelineStep]]] = []
        self.wanted: list[tuple[str, int | None]] = []

    def compose(self) -> ComposeResult:
        yield PipelineList("Transforms", SECTIONS, count_words="{} steps".format, empty="none: a adds one")

    def on_mount(self) -> None:
        self.pipelines.set_steps("train", [FLIP, CROP, NORMALIZE])
        self.pipelines.focus()

    def on_pipeline_list_changed(self, message: PipelineList.Changed) -> None:
        self.changes.append((message.section, message.steps))

    def on_pipeline_list_kind_wanted(self, message: PipelineList.KindWanted) -> None:
        self.wanted.append((message.section, None))

    def on_pipeline_list_edit_wanted(self, message: PipelineList.EditWanted) -> None:
        self.wanted.append((message.section, message.index))

    @property
    def pipelines(self) -> PipelineList:
        return self.query_one(PipelineList)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("15", 15),
        (" -0.5 ", -0.5),
        ("true", True),
        ("False", False),
        ("(32, 48)", [32, 48]),
        ("[0.1, 0.2]", [0.1, 0.2]),
        ("reflect", "reflect"),
        ("'it is'", "it is"),
        ("[{'name': 'Pad', 'padding': 1}]", [{"name": "Pad", "padding": 1}]),
    ],
)
def test_a_value_is_read_and_shown_so_that_it_reads_back(text: str, value: object) -> None:
    read = parse_value(Parameter("x"), text)
    assert (read, type(read)) == (value, type(value))
    assert parse_value(Parameter("x"), shown_value(read)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "degrees needs a value, e.g. degrees=15"),
        ("  ", "degrees needs a value, e.g. degrees=15"),
        ("1 +", "degrees must be a number, a word, true, false, or a list of these, e.g. degrees=15"),
        ("__import__('os').getcwd()", "degrees must be a number"),
        ("(" * 5000, "degrees must be a number"),
    ],
)
def test_a_mistake_is_a_sentence_with_an_example_and_nothing_is_executed(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_value(Parameter("degrees", example="15"), text)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 50)])
async def test_steps_are_shown_in_order_with_what_is_wrong_below_its_step(lines_of, size) -> None:
    app = PipelineApp()
    async with app.run_test(size=size) as pilot:
        notes = [
            StepNote("batched", True, "", 12.0),
            StepNote(error="[b]sise\x1b is unknown"),
            StepNote("per sample: it"),
        ]
        app.pipelines.set_steps("train", [FLIP, CROP, NORMALIZE], notes)
        await pilot.pause()
        lines = [line.strip("│╭╮ ") for line in lines_of(app)]
        at = next(number for number, line in enumerate(lines) if line.startswith("Train 3 steps"))
        assert lines[at + 1].startswith("1  RandomHorizontalFlip")
        assert lines[at + 1].endswith("≡" if size[0] == 40 else "12.0 µs batched")
        assert lines[at + 2].startswith("2  RandomCrop size 32, padding 4")
        assert r"✗ [b]sise\x1b is unknown" in lines[at + 3]
        assert lines[at + 4].startswith("3  Normalize mean [0.5")
        assert lines[at + 4].endswith("▲" if size[0] == 40 else "per sample")
        assert lines[at + 6] == "none: a adds one"


async def test_moves_a_step_with_the_cursor_up_to_the_end() -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("K", "J", "J", "J")
        assert app.changes == [("train", [CROP, FLIP, NORMALIZE]), ("train", [CROP, NORMALIZE, FLIP])]
        await pilot.press("shift+up")
        assert app.changes[2:] == [("train", [CROP, FLIP, NORMALIZE])]
        assert app.pipelines.steps("train") == [CROP, FLIP, NORMALIZE]
        assert app.pipelines.place == ("train", 1)


async def test_deletes_until_nothing_is_left() -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("down", "d", "delete", "d", "d")
        await pilot.pause()
        assert [steps for _, steps in app.changes] == [[FLIP, NORMALIZE], [FLIP], []]
        assert app.pipelines.place == ("train", None)


async def test_a_step_is_added_below_the_cursor_and_to_the_pipeline_of_the_cursor() -> None:
    app = PipelineApp()
    pad = PipelineStep("Pad", {"padding": 2})
    async with app.run_test() as pilot:
        await pilot.press("a")
        assert app.wanted == [("train", None)]
        app.pipelines.insert("train", pad)
        assert app.pipelines.place == ("train", 1)
        await pilot.press("end", "a")
        assert app.wanted[1:] == [("eval", None)]
        app.pipelines.insert("eval", pad)
        await pilot.pause()
        assert app.changes == [("train", [FLIP, pad, CROP, NORMALIZE]), ("eval", [pad])]
        assert app.pipelines.place == ("eval", 0)


@pytest.mark.parametrize("keys", [("down", "enter"), ("down", "e"), ("down", "down", "up", "e")])
async def test_the_step_under_the_cursor_is_edited(keys: tuple[str, ...]) -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press(*keys)
        assert app.wanted == [("train", 1)]
        app.pipelines.replace("train", 1, CROP)
        await pilot.pause()
        assert app.changes == []
        app.pipelines.replace("train", 1, FLIP)
        await pilot.pause()
        assert app.changes == [("train", [FLIP, FLIP, NORMALIZE])]


async def test_a_second_click_edits_a_step() -> None:
    app = PipelineApp()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.click(PipelineList, offset=(5, 2), times=2)
        assert app.wanted == [("train", 1)]
