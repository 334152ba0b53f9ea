"""A folder that becomes read-only or vanishes under a live run: training continues, with a message."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run_cases import new_run, plain_state, train_record

from torchdeck.engine.runs.reader import RunReader

SCRIPT = """
import json, subprocess, sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from torchdeck.engine.runs.on_disk import journal
from torchdeck.engine.runs.reader import RunReader
from run_cases import new_run, save, train_record
journal.RETRY_SECONDS = 0.05

run = new_run(root / "runs")
save(run, 1, is_best=True)
run.record(train_record(10, 10))
run.flush()
# Only the checkpoints' folder: a whole disk can't be made read-only while the journal is open on it.
folder = str(run.path / "checkpoints")
subprocess.run(["mount", "--bind", folder, folder], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
save(run, 2)
error = run.save_error
run.record(train_record(20, 10))
run.flush()
subprocess.run(["mount", "-o", "remount,rw,bind", folder], check=True)
save(run, 3)
run.close("finished")
reader = RunReader(run.path)
reader.poll()
print(json.dumps({
    "error": error,
    "failed": [event["errno"] for event in reader.events() if event["kind"] == "save_failed"],
    "steps": len(reader.series("train/loss")[0]),
    "checkpoints": [info.step for info in reader.checkpoints()],
    "status": reader.status(),
}))
"""


def test_a_folder_that_turns_read_only_costs_the_saves_of_that_time_and_nothing_else(
    on_small_disk: Callable[[str, str], dict[str, Any]],
) -> None:
    outcome = on_small_disk(SCRIPT, "64m")
    assert outcome["failed"] == ["EROFS"]
    assert "Read-only file system" in outcome["error"]
    assert outcome["steps"] == 20
    assert outcome["checkpoints"] == [3, 1]
    assert outcome["status"] == "finished"


def test_a_run_whose_directory_is_removed_is_saved_beside_it_with_its_records(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    deleted = run.path
    run.record(train_record(10, 10))
    run.flush()
    shutil.rmtree(deleted)
    run.record(train_record(20, 10))
    run.save_checkpoint(plain_state(1), step=1, epoch=1, metrics={}, reason="t")
    run.flush()
    assert run.save_error == ""
    assert run.path == deleted.with_name(f"{deleted.name}-rescued")
    assert str(run.path) in run.relocation
    run.close("finished")
    assert not deleted.exists()
    reader = RunReader(run.path)
    reader.poll()
    assert len(reader.series("train/loss")[0]) == 20
    assert [info.step for info in reader.checkpoints()] == [1]
    assert reader.owner_pid() is None


RESCUED = """
import json, os, subprocess, sys, tempfile
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
home = tempfile.mkdtemp(dir="/dev/shm")
os.environ["XDG_STATE_HOME"] = home
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.checkpoint import list_checkpoints, verify_checkpoint
from run_cases import new_run, save, train_record

run = new_run(root / "runs")
save(run, 1)
run.record(train_record(10, 10))
run.flush()
with (root / "filler").open("wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
run.record(train_record(20, 10))
save(run, 20, is_last=True)
run.rescue()
loss, path = run.relocation, run.path
run.close("failed", loss)
reader = RunReader(path)
reader.poll()
print(json.dumps({
    "is_elsewhere": path.is_relative_to(home),
    "loss": loss.replace(str(path), "PLACE"),
    "steps": len(reader.series("train/loss")[0]),
    "checkpoints": [verify_checkpoint(path / "checkpoints" / info.file).step for info in list_checkpoints(path)],
    "status": reader.status(),
}))
subprocess.run(["rm", "-rf", home])
"""


def test_what_can_not_be_saved_at_the_end_is_saved_elsewhere_with_all_records(
    on_small_disk: Callable[[str, str], dict[str, Any]],
) -> None:
    outcome = on_small_disk(RESCUED, "24m")
    assert outcome["is_elsewhere"]
    assert "No space left" in outcome["loss"] or "the disk has 0 MB free" in outcome["loss"]
    assert outcome["loss"].endswith("torchdeck resume PLACE")
    assert outcome["steps"] == 20
    assert outcome["checkpoints"] == [20]
    assert outcome["status"] == "failed"


OUT_OF_REACH = """
import json, subprocess, sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from torchdeck.engine.runs.on_disk import journal
from torchdeck.engine.runs.reader import RunReader
from run_cases import new_run, save, train_record
journal.RETRY_SECONDS = 0.05
disk, other = root / "disk", root / "other"
for folder in (disk, other):
    folder.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
subprocess.run(["mount", "--bind", str(disk), str(other)], check=True)
run = new_run(disk / "runs")
run.record(train_record(10, 10))
save(run, 10)
subprocess.run(["umount", "--lazy", str(disk)], check=True)
run.follow_directory()
run.record(train_record(20, 10))
save(run, 20)
error, loss = run.save_error, run.relocation
subprocess.run(["mount", "--bind", str(other), str(disk)], check=True)
run.follow_directory()
run.record(train_record(30, 10))
save(run, 30)
run.close("finished")
reader = RunReader(run.path)
reader.poll()
print(json.dumps({
    "error": error, "loss": loss, "path": str(run.path.relative_to(disk)), "status": reader.status(),
    "steps": len(reader.series("train/loss")[0]), "checkpoints": [info.step for info in reader.checkpoints()],
    "notes": [event["text"] for event in reader.events() if event["kind"] == "note"],
}))
"""


def test_a_disk_that_is_unmounted_and_comes_back_costs_nothing(
    on_small_disk: Callable[[str, str], dict[str, Any]],
) -> None:
    """The run holds its directory open, so that the disk takes what is saved before it is back at its place."""
    outcome = on_small_disk(OUT_OF_REACH, "64m")
    assert not outcome["error"] and not outcome["loss"]
    assert (outcome["steps"], outcome["checkpoints"], outcome["status"]) == (30, [30, 20, 10], "finished")
    assert ["is out of reach" in outcome["notes"][0], "can be reached again" in outcome["notes"][1]] == [True, True]
