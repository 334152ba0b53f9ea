"""The form of a transform: typed fields with defaults, and mistakes as sentences."""

from __future__ import annotations

import pytest
from asking import Asking
from studio_pilot import screen_text
from textual.widgets import Input

from torchdeck.engine.data.exploration.transform_catalog import list_transforms
from torchdeck.tui.screens.transform import TransformScreen
from torchdeck.tui.widgets.pipeline_list import PipelineStep, StepKind
from torchdeck.tui.words.data.transform_text import parameter_words

ROTATION = StepKind(
    "RandomRotation",
    "Rotate the image by angle",
    parameter_words(
        [
            ("expand", "False", "bool"),
            ("degrees", "required", "Union[numbers.Number, Sequence]"),
            ("interpolation", "InterpolationMode.NEAREST", "Union[InterpolationMode, int]"),
        ]
    ),
)


def form(step: PipelineStep | None = None) -> Asking:
    """The form of a library that accepts angles up to 360."""

    async def check(step: PipelineStep) -> str:
        return "degrees must be at most 360" if step.arguments.get("degrees") == 720 else ""

    return Asking(TransformScreen(ROTATION, check, step))


async def test_what_is_needed_comes_first_and_what_is_missing_is_a_sentence_with_an_example() -> None:
    app = form()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert [field.placeholder for field in app.dialog.query(Input)] == ["needed", "false", "nearest"]
        assert "Rotate the image by angle" in screen_text(app)
        assert "number or list" in screen_text(app) and "numbers.Number" not in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert "✗ degrees needs a value, e.g. degrees=15" in screen_text(app)
        await pilot.press(*"720", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "✗ degrees must be at most 360" in screen_text(app)
        assert app.answers == []
        await pilot.press("backspace", "backspace", "backspace", *"30", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.answers == [PipelineStep("RandomRotation", {"degrees": 30})]


async def test_an_edit_begins_with_what_is_set_and_keeps_what_the_catalog_does_not_know() -> None:
    app = form(PipelineStep("RandomRotation", {"degrees": [0, 90], "expand": True, "mine": 3}))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert [field.value for field in app.dialog.query(Input)] == ["[0, 90]", "true", "", "3"]
        await pilot.press("down", "end", *["backspace"] * 4, "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.answers == [PipelineStep("RandomRotation", {"degrees": [0, 90], "mine": 3})]


async def test_escape_and_its_button_change_nothing() -> None:
    for press in (lambda pilot: pilot.press("escape"), lambda pilot: pilot.click("#cancel")):
        app = form()
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await press(pilot)
            assert app.answers == [None]


def test_no_parameter_of_any_transform_shows_an_annotation() -> None:
    entries = list_transforms()
    parameters = [parameter for entry in entries for parameter in parameter_words(entry.parameters)]
    assert len(parameters) > 100
    marks = ("[int", "Union", "torch", "<")
    raw = [each for each in parameters if any(mark in each.kind + each.default for mark in marks)]
    assert raw == []
    assert [entry.name for entry in entries if not entry.summary or "`" in entry.summary] == []


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("int", "whole number"),
        ("Union[int, Sequence[int]]", "whole number or list of whole numbers"),
        ("Optional[Sequence[float]]", "list of numbers"),
        ("tuple[float, float]", "list of numbers"),
        ("Union[numbers.Number, Sequence]", "number or list of numbers"),
        ("bool", "true or false"),
        ("Literal['constant', 'edge']", "constant or edge"),
        ("", ""),
    ],
)
def test_types_are_named_in_words(annotation: str, kind: str) -> None:
    ((parameter),) = parameter_words([("x", "required", annotation)])
    assert parameter.kind == kind
