"""What the panels beside the form say, at the sizes they have."""

from __future__ import annotations

import pytest
from plain_markup import plain
from textual.content import Content

from torchdeck.engine.config.file import load_config
from torchdeck.engine.preflight.measured_step import StepMeasurement
from torchdeck.engine.preflight.memory_estimate import MemoryEstimate
from torchdeck.engine.preflight.outline import RunOutline
from torchdeck.engine.preflight.planned_saves import PlannedSaves
from torchdeck.engine.runs.browsing.used_values import UsedValue
from torchdeck.tui.draft_form import draft_fields
from torchdeck.tui.widgets.form_field import FormField
from torchdeck.tui.words.setup.draft_plan import DraftPlan, plan_lines, schedule_lines
from torchdeck.tui.words.setup.setting_text import best_used, difference_lines, field_lines, shell_form

RATES = [0.003 * (1 - at / 100) for at in range(100)]
OUTLINE = RunOutline(1438, 15, 23, PlannedSaves(15, 4, True), [15 * at / 100 for at in range(100)], RATES, 0.003, "")
MEMORY = MemoryEstimate(64, "fp32", "cpu", 10**6, 0, 2 * 10**6, 0, 10**6, 4 * 10**6, 8 * 10**6, 0, 10**10)
MEASURED = StepMeasurement(64, "fp32", "cpu", 8 * 10**6, 0.01, 23, 15)
COMMAND = "torchdeck train digits --set training.epochs=7 --set 'name=a b'"
DRAFT = load_config("digits")


def shown(plan: DraftPlan, width: int = 40, height: int = 20, problem: str = "") -> list[str]:
    return [plain(line) for line in plan_lines(plan, problem, [], COMMAND, width, height)]


def test_the_plan_has_steps_batch_time_memory_disk_and_command() -> None:
    plan = DraftPlan(
        DRAFT, is_checked=True, outline=OUTLINE, memory=MEMORY, measured=MEASURED, is_built=True, free_disk=10**9
    )
    assert shown(plan) == [
        "✓ ready to start",
        "✓ data, model and loss fit together",
        "",
        "steps   345  23 per epoch × 15",
        "batch   64  of 1,438 samples",
        "time    about 3.5 s  10 ms per step",
        "memory  8.0 MB of 10.0 GB  fp32 on cpu",
        "saves   15 × 3.0 MB, 4 kept  1.0 GB free",
        "",
        "$ torchdeck train digits \\ ",
        "    --set training.epochs=7 \\ ",
        "    --set 'name=a b'",
    ]


def test_what_is_still_being_found_out_stands_in_its_place() -> None:
    counting = DraftPlan(DRAFT, is_checked=True, planning="listing files 4,200 …")
    assert shown(counting)[:3] == ["✓ ready to start", "", "steps   listing files 4,200 …"]
    estimating = DraftPlan(DRAFT, is_checked=True, outline=OUTLINE, planning="decoding 3 of 8 …")
    assert "memory  decoding 3 of 8 …" in shown(estimating)
    assert not any(line.startswith("steps   decoding") for line in shown(estimating))


def test_the_command_stays_in_view_and_what_is_wrong_comes_first() -> None:
    plan = DraftPlan(DRAFT, is_checked=True, outline=OUTLINE, memory=MEMORY)
    lines = shown(plan, height=5, problem="training.epochs = 0: must be at least 1")
    assert lines[0].startswith("▲ training.epochs = 0")
    assert lines[-1].startswith("$ torchdeck train digits")
    assert len(lines) == 5


@pytest.mark.parametrize("width", [40, 60, 100])
def test_no_line_is_wider_than_the_panel(width: int) -> None:
    plan = DraftPlan(
        DRAFT, is_checked=True, outline=OUTLINE, memory=MEMORY, notes=("a note " * 20,), work_error="x" * 200
    )
    lines = plan_lines(plan, "problem " * 30, [("training.compile_mode", "compile is off")], COMMAND, width, 40)
    lines += schedule_lines(OUTLINE, "", width, 8)
    for field in draft_fields(DRAFT):
        lines += field_lines(field, [UsedValue("v" * 50, "accuracy", 0.9, 3)] * 5, None, width, 20)
    assert max(Content.from_markup(line).cell_length for line in lines) <= width


def test_a_full_disk_and_a_step_that_does_not_fit_are_said() -> None:
    plan = DraftPlan(DRAFT, outline=OUTLINE, memory=MEMORY, free_disk=10**6)
    lines = plan_lines(plan, "", [], COMMAND, 60, 20)
    assert any("$error" in line and "saves" in line for line in lines)
    tight = DraftPlan(DRAFT, outline=OUTLINE, memory=MemoryEstimate(*[*MEMORY.__dict__.values()][:-1], 10**6))
    assert any("does not fit" in line for line in shown(tight, width=60))


def test_the_schedule_has_its_range_and_the_epochs() -> None:
    lines = [plain(line) for line in schedule_lines(OUTLINE, "", 50, 7)]
    assert len(lines) == 7
    assert lines[0].split()[0] == "0.003" and lines[5].split()[0] == "3e-5"
    assert lines[-1].split() == ["0", "5", "10", "15"]
    constant = RunOutline(1438, 3, 23, PlannedSaves(3, 3, True), [0.0, 1.0], [0.1, 0.1], 0.1, "")
    labels = [plain(line).split()[0] for line in schedule_lines(constant, "", 50, 7)]
    assert labels == ["│", "│", "│", "0.1", "│", "│", "0"]
    assert schedule_lines(None, "CIFAR10 is not here", 50, 7) == ["CIFAR10 is not here"]


FIELD = FormField("optimizer.lr", "lr", "float", "0.001", help="learning rate", origin="0.003", default="0.01")


def test_a_field_says_its_value_the_presets_and_the_default_whatever_the_height() -> None:
    text = "\n".join(plain(line) for line in field_lines(FIELD, [], None, 60, 20))
    for words in ("optimizer.lr", "learning rate", "0.001  preset 0.003", "default  0.01", "--set optimizer.lr=0.001"):
        assert words in text
    assert [plain(line) for line in field_lines(FIELD, [], None, 60, 4)] == [
        "optimizer.lr   0.001  preset 0.003",
        "learning rate",
    ]


def test_a_value_with_the_best_result_is_suggested_if_there_is_another_to_compare() -> None:
    used = [UsedValue(0.0005, "accuracy", 0.95, 2), UsedValue(0.001, "accuracy", 0.9, 1)]
    suggestion = best_used(FIELD, used)
    assert suggestion is not None and (suggestion.text, suggestion.source) == ("0.0005", "best of 3 runs:")
    text = "\n".join(plain(line) for line in field_lines(FIELD, used, suggestion, 60, 20))
    assert "0.0005 95.00% ×2   0.001 90.00%" in text
    assert "w takes it" in text
    assert best_used(FIELD, used[:1]) is None
    assert best_used(FIELD, [UsedValue(0.001, "accuracy", 0.99, 1), *used]) is None


def test_no_choice_is_broken_at_a_hyphen() -> None:
    field = FormField("preset", "preset", "choice", "digits", ("digits", "fashion-mnist-cnn", "fashion-mnist-mlp"))
    lines = [plain(line) for line in field_lines(field, [], None, 38, 20)]
    assert "one of   digits, fashion-mnist-cnn," in lines
    assert "         fashion-mnist-mlp" in lines


def test_the_shell_form_survives_a_shell() -> None:
    assert shell_form(FormField("name", "name", "text", "run")) == "--set name=run"
    assert shell_form(FormField("optimizer.betas", "betas", "list", "[0.9, 0.95]")) == (
        "--set 'optimizer.betas=[0.9, 0.95]'"
    )


def test_differences_name_both_values() -> None:
    assert [plain(line) for line in difference_lines([FIELD], 56)] == [f"{'optimizer.lr':25}{'0.003':>14} → 0.001"]
