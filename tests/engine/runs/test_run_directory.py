"""Making, listing and finding runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_cases import epoch_record, new_run

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.on_disk.directory import create_run_directory, find_run, list_runs, split_run_id
from torchdeck.engine.runs.writer import RunWriter

# JSON has whole numbers that no float holds.
HUGE = 10**400


def finished_run(root: Path, name: str, made: float = 0.0) -> Path:
    run = new_run(root, name)
    run.update_state(epoch=2, epochs=3, step=100)
    run.record(epoch_record(2, 100, accuracy=0.9))
    run.close("finished")
    if made:
        info = json.loads((run.path / "run.json").read_text())
        (run.path / "run.json").write_text(json.dumps({**info, "created": made}))
    return run.path


def test_a_new_run_has_its_config_and_its_information_and_nothing_temporary(tmp_path: Path) -> None:
    config = RunConfig(name="mine", seed=7)
    run = RunWriter.create(tmp_path / "deep" / "runs", config, {"argv": ["x"]})
    assert re.fullmatch(r"mine-\d{8}-\d{6}-[0-9a-f]{4}", run.path.name)
    assert load_config(str(run.path / "run.toml")) == config
    info = json.loads((run.path / "run.json").read_text())
    assert (info["id"], info["name"], info["argv"]) == (run.path.name, "mine", ["x"])
    assert list(run.path.parent.iterdir()) == [run.path]
    run.close("stopped")


def test_a_new_run_is_owned_before_anybody_can_see_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    rename = os.rename

    def look_after(source: Path, target: Path) -> None:
        rename(source, target)
        seen.extend(summary.status for summary in list_runs(tmp_path))

    monkeypatch.setattr(os, "rename", look_after)
    new_run(tmp_path).close("stopped")
    assert seen == ["preparing"]


def test_a_root_that_can_not_hold_runs_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="can't create a run directory there: Not a directory"):
        RunWriter.create(tmp_path / "file" / "runs", RunConfig(), {})


def test_a_directory_that_could_not_be_finished_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="No space left"):
        create_run_directory(tmp_path, "", {}, "run", before_it_shows=fail)
    assert list(tmp_path.iterdir()) == []


def test_the_list_has_the_newest_first_with_what_they_reached(tmp_path: Path) -> None:
    old = finished_run(tmp_path, "old", made=1_000_000_000.0)
    new = finished_run(tmp_path, "new", made=1_700_000_000.0)
    first, second = list_runs(tmp_path)
    assert (first.name, second.name) == (new.name, old.name)
    assert (first.status, first.epoch, first.epochs, first.step) == ("finished", 2, 3, 100)
    assert first.metrics["accuracy"] == 0.9
    assert first.best == {"metric": "accuracy", "value": 0.9, "epoch": 2, "step": 100}
    assert (first.started, second.started) == (1_700_000_000.0, 1_000_000_000.0)
    assert abs(first.modified - time.time()) < 3600


def test_a_list_passes_over_what_is_no_run_and_survives_what_is_damaged(tmp_path: Path) -> None:
    good = finished_run(tmp_path, "good")
    damaged = finished_run(tmp_path, "damaged")
    (damaged / "state.json").write_bytes(b'{"status": "fini')
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(good)
    os.mkfifo(tmp_path / "fifo")
    assert {summary.name: summary.status for summary in list_runs(tmp_path)} == {
        good.name: "finished",
        damaged.name: "damaged",
    }
    assert list_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "state",
    [
        {"status": ["running"], "epoch": "3", "epochs": None, "step": 1.5, "metrics": [1], "best": 3},
        {"status": "exploded", "updated": "yesterday", "metrics": {"accuracy": "x"}},
        {"updated": 1e400},
        {"updated": HUGE, "epoch": HUGE, "step": -1, "metrics": {"accuracy": HUGE}, "best": {"value": HUGE}},
    ],
)
def test_a_state_of_wrong_types_is_as_good_as_none(tmp_path: Path, state: dict[str, object]) -> None:
    run = finished_run(tmp_path, "run")
    (run / "state.json").write_text(json.dumps(state))
    (summary,) = list_runs(tmp_path)
    assert (summary.status, summary.epoch, summary.epochs, summary.step, summary.best) == ("died", 0, 0, 0, None)
    assert summary.metrics == {}


def test_a_run_is_found_by_path_by_name_by_beginning_and_by_what_it_was_called(tmp_path: Path) -> None:
    other = finished_run(tmp_path, "resnet")
    older = finished_run(tmp_path, "mlp", made=1_000_000_000.0)
    newer = finished_run(tmp_path, "mlp", made=1_700_000_000.0)
    assert find_run(tmp_path, str(other)) == other
    assert find_run(tmp_path, older.name) == older
    assert find_run(tmp_path, "resn") == other
    assert find_run(tmp_path, "mlp") == newer
    assert find_run(tmp_path, "ml") == newer


def test_the_name_that_a_run_was_given_is_without_what_was_added_to_it() -> None:
    assert split_run_id("my-run-20260101-120000-0a1b") == ("my-run", "0a1b")
    # Named by hand, with as many hyphens.
    assert split_run_id("best-of-all-runs") == ("best-of-all-runs", "")


def test_a_beginning_that_fits_different_runs_is_refused_with_their_names(tmp_path: Path) -> None:
    runs = [finished_run(tmp_path, name) for name in ("resnet18", "resnet34")]
    with pytest.raises(RunError) as raised:
        find_run(tmp_path, "resnet")
    assert all(run.name in str(raised.value) for run in runs)


def test_an_unknown_run_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there are none yet"):
        find_run(tmp_path, "resnet")
    run = finished_run(tmp_path, "resnet")
    with pytest.raises(RunError, match=f"did you mean '{run.name}'"):
        find_run(tmp_path, run.name.replace("resnet", "resent"))


def test_reading_and_writing_runs_needs_no_torch() -> None:
    modules = (
        "runs.reader, runs.writer, runs.control, runs.on_disk.directory, runs.on_disk.journal, "
        "runs.saving.checkpoint, runs.saving.checkpoint_saver, tensor_files.checkpoint_file"
    )
    imports = ", ".join(f"torchdeck.engine.{module}" for module in modules.split(", "))
    script = f"import sys, {imports}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
