"""A profile of some steps of a live run, taken on request."""

import json
from pathlib import Path

import pytest
from kill_and_resume import differences, state_of
from training_cases import StepHook, case, events_of, finished, train

from torchdeck.engine.launching.launch import launch
from torchdeck.engine.runs.control import Control


def test_a_profile_of_some_steps_is_a_trace_and_a_table_and_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = train(tmp_path / "plain")
    hook = StepHook(monkeypatch)
    run = launch(case(), tmp_path / "profiled")
    hook.actions[2] = lambda: run.control.submit({"cmd": "profile", "steps": 3})
    path = finished(run)
    (event,) = events_of(path, "profiled")
    assert event["step"] == 6
    assert event["text"].startswith("profile of 3 steps: ")
    trace = json.loads((path / event["trace"]).read_text())
    assert any(entry.get("name") == "aten::addmm" for entry in trace["traceEvents"])
    assert "aten::addmm" in (path / event["table"]).read_text()
    assert differences(state_of(path), state_of(reference)) == []


def test_a_profile_of_more_steps_than_are_left_ends_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = StepHook(monkeypatch)
    run = launch(case("training.epochs=1"), tmp_path / "profiled")
    hook.actions[2] = lambda: run.control.submit({"cmd": "profile", "steps": 100})
    path = finished(run)
    (event,) = events_of(path, "profiled")
    assert (event["step"], event["text"][:25]) == (5, "profile of 2 of 100 steps")
    assert (path / event["trace"]).exists()


def test_a_profile_that_cannot_be_written_is_said_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = StepHook(monkeypatch)
    run = launch(case(), tmp_path / "profiled")

    def ask_where_a_file_is_in_the_way() -> None:
        assert run.path is not None
        (run.path / "profiles").write_text("no folder", encoding="utf-8")
        run.control.submit({"cmd": "profile", "steps": 1})

    hook.actions[2] = ask_where_a_file_is_in_the_way
    path = finished(run)
    (note,) = [event["text"] for event in events_of(path, "note") if "profile" in event["text"]]
    assert note.startswith("the profile could not be written, training continues: ")
    assert str(path / "profiles") in note
    assert events_of(path, "profiled") == []


@pytest.mark.parametrize("steps", [0, 1001, 2.5, "3", None, True])
def test_a_number_of_steps_that_is_none_is_refused(steps: object) -> None:
    answer = Control().submit({"cmd": "profile", "steps": steps})
    assert not answer["ok"]
    assert "a whole number of steps from 1 to 1000" in answer["error"]
