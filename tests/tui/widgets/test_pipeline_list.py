"""Steps that are added, edited, moved and removed."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Input, OptionList

from torchdeck.tui.widgets.pipeline_list import PipelineList, PipelineStep, StepKind, parse_step

FLIP = PipelineStep("RandomHorizontalFlip")
CROP = PipelineStep("RandomCrop", {"size": 32, "padding": 4})
NORMALIZE = PipelineStep("Normalize", {"mean": [0.5, 0.4], "std": [0.1, 0.2]})


class PipelineApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.changes: list[list[PipelineStep]] = []

    def compose(self) -> ComposeResult:
        yield PipelineList(names=["RandomCrop", "RandomRotation", "Normalize"])

    def on_mount(self) -> None:
        self.pipeline.set_steps([FLIP, CROP, NORMALIZE])
        self.query_one(OptionList).focus()

    def on_pipeline_list_changed(self, message: PipelineList.Changed) -> None:
        assert message.control is self.pipeline
        self.changes.append(message.steps)

    @property
    def pipeline(self) -> PipelineList:
        return self.query_one(PipelineList)


@pytest.mark.parametrize(
    "step", [FLIP, CROP, NORMALIZE, PipelineStep("X", {"mode": "it's", "p": -0.5, "flag": True, "none": None})]
)
def test_what_is_shown_for_editing_reads_back(step: PipelineStep) -> None:
    assert parse_step(str(step)) == step


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (" RandomCrop ( size = 32 ) ", PipelineStep("RandomCrop", {"size": 32})),
        ("Pad()", PipelineStep("Pad")),
        ("Resize(size=(32, 48), antialias=true)", PipelineStep("Resize", {"size": [32, 48], "antialias": True})),
    ],
)
def test_reads(text: str, step: PipelineStep) -> None:
    assert parse_step(text) == step


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a step"),
        ("RandomCrop(", "is not a step"),
        ("RandomRotation(degrees=)", "degrees needs a value, e.g. degrees=15"),
        ("RandomCrop(size=, padding=4)", "size needs a value"),
        ("RandomCrop(32)", "arguments need names"),
        ("RandomCrop(**x)", "arguments need names"),
        ("RandomCrop(size=width)", "size must be a number"),
        ("RandomCrop(size=__import__('os').getcwd())", "size must be a number"),
        ("a.b", "is not a step"),
        ("(" * 5000, "is not a step"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_step(text)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 50)])
async def test_steps_are_shown_in_order(lines_of, size) -> None:
    app = PipelineApp()
    async with app.run_test(size=size) as pilot:
        app.pipeline.set_steps(
            [FLIP, CROP, NORMALIZE], notes={0: "on the device"}, errors={1: "[b]sise\x1b is unknown"}
        )
        await pilot.pause()
        lines = lines_of(app)
        assert lines[0].split()[:2] == ["1", "RandomHorizontalFlip"]
        assert "on the" in lines[0]
        assert lines[1].startswith(" 2 RandomCrop  size=32")
        assert lines[2].strip() == r"[b]sise\x1b is unknown"
        assert lines[3].startswith(" 3 Normalize")


async def test_moves_with_the_cursor() -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("K", "J", "J", "J")
        assert app.changes == [[CROP, FLIP, NORMALIZE], [CROP, NORMALIZE, FLIP]]
        await pilot.press("shift+up")
        assert app.changes[2:] == [[CROP, FLIP, NORMALIZE]]
        assert app.pipeline.steps == [CROP, FLIP, NORMALIZE]


async def test_removes_until_nothing_is_left(lines_of) -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("down", "d", "delete", "d", "d")
        await pilot.pause()
        assert app.changes == [[FLIP, NORMALIZE], [FLIP], []]
        assert "press a to add" in lines_of(app)[0]


async def test_adds_below_the_cursor() -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("a", *"Pad(padding=2)", "enter")
        assert app.changes == [[FLIP, PipelineStep("Pad", {"padding": 2}), CROP, NORMALIZE]]
        assert isinstance(app.focused, OptionList)
        app.pipeline.set_steps([])
        await pilot.press("a", *"Pad(padding=1)", "enter")
        assert app.changes[1:] == [[PipelineStep("Pad", {"padding": 1})]]


async def test_completes_names() -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("a", *"randomr")
        await pilot.pause(0.1)
        await pilot.press("right")
        assert app.query_one(Input).value == "RandomRotation"


async def test_edits_in_place() -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("down", "enter")
        assert app.query_one(Input).value == "RandomCrop(size=32, padding=4)"
        await pilot.press("backspace", "backspace", *"8)", "enter")
        assert app.changes == [[FLIP, PipelineStep("RandomCrop", {"size": 32, "padding": 8}), NORMALIZE]]


async def test_a_mistake_is_shown_and_escape_changes_nothing(lines_of) -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("a", *"Pad(2)", "enter")
        await pilot.pause()
        assert any("arguments need names" in line for line in lines_of(app))
        await pilot.press("escape")
        await pilot.pause()
        assert not any("arguments need names" in line for line in lines_of(app))
        assert app.changes == []
        assert app.pipeline.steps == [FLIP, CROP, NORMALIZE]


async def test_the_same_value_is_not_a_change() -> None:
    app = PipelineApp()
    async with app.run_test() as pilot:
        await pilot.press("enter", "enter")
        assert app.changes == []


class KindsApp(PipelineApp):
    """Knows the kinds of steps; counts how often it is asked to choose one."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = 0

    def on_mount(self) -> None:
        super().on_mount()
        crop = StepKind("CenterCrop", "Crop the middle", (("size", "int", ""), ("fill", "", "0")), "batched")
        self.pipeline.set_kinds([StepKind("RandomHorizontalFlip", "Flip", (("p", "float", "0.5"),)), crop])

    def on_pipeline_list_kind_wanted(self, message: PipelineList.KindWanted) -> None:
        assert message.control is self.pipeline
        self.wanted += 1


async def test_a_step_that_needs_nothing_is_added_at_once() -> None:
    app = KindsApp()
    async with app.run_test() as pilot:
        await pilot.press("a")
        assert app.wanted == 1
        app.pipeline.take_kind("RandomHorizontalFlip")
        await pilot.pause()
        assert app.changes == [[FLIP, PipelineStep("RandomHorizontalFlip"), CROP, NORMALIZE]]


async def test_what_a_step_needs_is_typed_with_its_signature_in_sight(lines_of) -> None:
    app = KindsApp()
    async with app.run_test() as pilot:
        app.pipeline.take_kind("CenterCrop")
        await pilot.pause()
        text = "\n".join(lines_of(app))
        assert "CenterCrop(size=)" in text
        assert "size: int (required), fill: any = 0" in text
        assert "Crop the middle" in text
        await pilot.press(*"24", "enter")
        assert app.changes == [[FLIP, PipelineStep("CenterCrop", {"size": 24}), CROP, NORMALIZE]]
