"""A disk that is really full: training continues, nothing is lost once there is room again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCRIPT = """
import json, sys, time
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from torchdeck.engine.runs.on_disk import journal
from torchdeck.engine.runs.saving import disk_room
from torchdeck.engine.runs.saving.checkpoint import list_checkpoints, verify_checkpoint
from torchdeck.engine.runs.reader import RunReader
from run_cases import new_run, save, train_record
journal.RETRY_SECONDS = 0.05
# Let the writes themselves run into the end of the disk.
disk_room._SPARE_BYTES = -(1 << 40)

run = new_run(root)
save(run, 1, is_best=True)
run.record(train_record(10, 10))
run.flush()
filler = (root / "filler").open("wb", buffering=0)
try:
    while True:
        filler.write(bytes(4096))
except OSError:
    pass
save(run, 2)
for step in range(20, 2020, 10):
    run.record(train_record(step, 10))
run.flush()
trouble = run._journal.error
left = [path.name for path in (run.path / "checkpoints").iterdir() if path.name.endswith(".tmp")]
kept = [verify_checkpoint(run.path / "checkpoints" / info.file).step for info in list_checkpoints(run.path)]
(root / "filler").unlink()
filler.close()
save(run, 3)
run.close("finished")
reader = RunReader(run.path)
reader.poll()
failed = [event["errno"] for event in reader.events() if event["kind"] == "save_failed"]
print(json.dumps({
    "trouble": trouble, "left": left, "kept": kept, "failed": failed, "skipped": reader.skipped_lines,
    "steps": reader.series("train/loss")[0].tolist(), "status": reader.status(),
    "checkpoints": [info.step for info in reader.checkpoints()],
}))
"""


def test_a_run_outlasts_a_full_disk(
    on_small_disk: Callable[[str, str], dict[str, Any]],
) -> None:
    outcome = on_small_disk(SCRIPT, "4m")
    assert "No space left on device" in outcome["trouble"]
    assert outcome["failed"] == ["ENOSPC"]
    assert outcome["left"] == []
    assert outcome["kept"] == [1]
    assert outcome["steps"] == [float(step) for step in range(1, 2011)]
    assert outcome["skipped"] == 0
    assert outcome["checkpoints"] == [3, 1]
    assert outcome["status"] == "finished"


RECORDED = """
import json, sys, time
from pathlib import Path
import torchdeck
from torchdeck.engine.runs.on_disk import journal
journal.RETRY_SECONDS = 0.05
root = Path(sys.argv[1])
run = torchdeck.record("full", runs=root)
run.log(loss=1)
run.flush()
filler = (root / "filler").open("wb", buffering=0)
try:
    while True:
        filler.write(bytes(4096))
except OSError:
    pass
for step in range(2, 20002):
    run.log(loss=step, note=step)
run.flush()
trouble = run._owner._journal.error
(root / "filler").unlink()
filler.close()
run.finish()
reader = torchdeck.open_run(run.path)
print(json.dumps({"trouble": trouble, "steps": len(reader.series("train/loss")[0]), "status": reader.status()}))
"""


def test_a_recorded_run_outlasts_a_full_disk(on_small_disk: Callable[[str, str], dict[str, Any]]) -> None:
    outcome = on_small_disk(RECORDED, "2m")
    assert "No space left on device" in outcome["trouble"]
    assert (outcome["steps"], outcome["status"]) == (20001, "finished")
