"""What a live run writes: whole lines, in order, none lost to a full disk or a killed process."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign import is_full_campaign

from torchdeck.engine.files.durable import FileOperations
from torchdeck.engine.runs.on_disk import journal as journal_module
from torchdeck.engine.runs.on_disk.journal import Journal, LineFile

FULL = is_full_campaign()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_until(holds: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class NoEvaluation(FileOperations):
    """Puts every file but `evaluation.json` in its place."""

    def rename(self, source: Path, target: Path) -> None:
        if target.name == "evaluation.json":
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        super().rename(source, target)


def test_an_evaluation_that_can_not_be_written_is_named_and_tried_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"status": "running"}, NoEvaluation())
    journal.write_evaluation({"step": 1})
    journal.flush()
    journal.update_state(step=2)
    journal.flush()
    assert journal.error == "evaluation.json: Disk quota exceeded"
    journal._operations = FileOperations()
    journal.flush()
    assert journal.error == ""
    assert json.loads((tmp_path / "evaluation.json").read_text()) == {"step": 1}
    journal.close()


def test_an_evaluation_that_is_no_json_is_told_and_the_writer_lives_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"status": "running"})
    journal.write_evaluation({"step": object()})
    wait_until(lambda: any(event["kind"] == "evaluation_not_written" for event in lines(tmp_path / "events.jsonl")))
    journal.record({"kind": "train", "step": 1})
    wait_until(lambda: lines(tmp_path / "metrics.jsonl") == [{"kind": "train", "step": 1}])
    journal.close()


class FullDisk(FileOperations):
    """Takes no write while `is_full`; then writes as many bytes as there is room for."""

    def __init__(self) -> None:
        self.is_full = False
        self.room = 0
        self.refused = 0

    def write(self, descriptor: int, data: memoryview) -> int:
        if not self.is_full:
            return super().write(descriptor, data)
        if self.room:
            count = super().write(descriptor, data[: self.room])
            self.room -= count
            return count
        self.refused += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_records_and_events_reach_their_files_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"status": "preparing"})
    for step in range(1, 101):
        journal.record({"kind": "train", "step": step})
    journal.event("saved", step=100)
    journal.flush()
    assert [record["step"] for record in lines(tmp_path / "metrics.jsonl")] == list(range(1, 101))
    (event,) = lines(tmp_path / "events.jsonl")
    assert (event["kind"], event["step"]) == ("saved", 100)
    assert abs(event["time"] - time.time()) < 3600
    journal.close()


def test_records_are_written_without_flush(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {})
    journal.record({"kind": "train", "step": 1})
    wait_until(lambda: (tmp_path / "metrics.jsonl").read_text().endswith("\n"))
    journal.close()


def test_many_records_in_a_short_time_are_one_write(tmp_path: Path) -> None:
    class Counting(FileOperations):
        writes = 0

        def write(self, descriptor: int, data: memoryview) -> int:
            Counting.writes += 1
            return super().write(descriptor, data)

    file = LineFile(tmp_path / "metrics.jsonl", Counting())
    for step in range(1000):
        file.add({"step": step})
    file.write()
    assert Counting.writes == 1
    assert len(lines(tmp_path / "metrics.jsonl")) == 1000
    file.close()


def test_numbers_that_json_lacks_are_strings(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "metrics.jsonl")
    file.add({"loss": [math.nan, math.inf, -math.inf, 0.5], "epoch": {"loss": math.nan}})
    file.write()
    assert lines(tmp_path / "metrics.jsonl") == [
        {"loss": ["NaN", "Infinity", "-Infinity", 0.5], "epoch": {"loss": "NaN"}}
    ]
    file.close()


def test_a_record_that_is_no_json_is_replaced_by_a_line_that_says_so(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "metrics.jsonl")
    file.add({"kind": "train", "loss": object()})
    file.add({"kind": "train", "step": 2})
    file.write()
    first, second = lines(tmp_path / "metrics.jsonl")
    assert first["kind"] == "not_written"
    assert "object" in first["error"]
    assert second["step"] == 2
    file.close()


@pytest.mark.parametrize("room", [0, 1, 7, 30])
def test_a_full_disk_loses_nothing_and_breaks_no_line(tmp_path: Path, room: int) -> None:
    disk = FullDisk()
    file = LineFile(tmp_path / "metrics.jsonl", disk)
    file.add({"step": 1})
    file.write()
    disk.is_full, disk.room = True, room
    for step in (2, 3, 4):
        file.add({"step": step})
        file.write()
    assert file.error is not None
    assert file.error.errno == errno.ENOSPC
    assert file.waiting >= 1
    disk.is_full = False
    file.add({"step": 5})
    file.write()
    assert file.error is None
    assert [record["step"] for record in lines(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4, 5]
    file.close()


def test_a_live_journal_outlasts_a_full_disk_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.05)
    disk = FullDisk()
    journal = Journal(tmp_path, {"status": "running"}, disk)
    disk.is_full = True
    journal.record({"kind": "train", "step": 1})
    wait_until(lambda: disk.refused > 2)
    assert "No space left" in journal.error
    journal.record({"kind": "train", "step": 2})
    disk.is_full = False
    wait_until(lambda: not journal.error)
    journal.close()
    assert [record["step"] for record in lines(tmp_path / "metrics.jsonl")] == [1, 2]
    assert capfd.readouterr().err.count("can't be written, training continues") == 1


def test_memory_is_bounded_while_the_disk_stays_full(tmp_path: Path) -> None:
    disk = FullDisk()
    file = LineFile(tmp_path / "metrics.jsonl", disk, max_waiting=100)
    disk.is_full = True
    for step in range(1, 1001):
        file.add({"kind": "train", "step": step})
        if step % 50 == 0:
            file.add({"kind": "epoch", "step": step})
        file.write()
    assert file.waiting < 250
    disk.is_full = False
    file.write()
    written = lines(tmp_path / "metrics.jsonl")
    dropped = sum(record["records"] for record in written if record["kind"] == "gap")
    assert sum(record["kind"] == "train" for record in written) + dropped == 1000
    assert sum(record["kind"] == "epoch" for record in written) == 20
    file.close()


def test_the_state_is_replaced_and_a_new_status_is_there_after_flush(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"status": "preparing", "step": 0})
    assert json.loads((tmp_path / "state.json").read_text())["status"] == "preparing"
    journal.update_state(status="running", step=5, loss=math.nan)
    journal.flush()
    state = json.loads((tmp_path / "state.json").read_text())
    assert (state["status"], state["step"], state["loss"]) == ("running", 5, "NaN")
    journal.update_state(step=6)
    wait_until(lambda: json.loads((tmp_path / "state.json").read_text())["step"] == 6)
    journal.close()


def test_a_state_field_that_is_no_json_is_left_out_and_the_rest_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"status": "running"})
    journal.update_state(step=7, device=object())
    journal.flush()
    journal.close()
    assert json.loads((tmp_path / "state.json").read_text())["step"] == 7
    assert lines(tmp_path / "events.jsonl")[0]["kind"] == "state_not_written"


def test_an_idle_journal_does_not_touch_its_files(tmp_path: Path) -> None:
    class Counting(FileOperations):
        calls = 0

        def open(self, path: Path, flags: int, mode: int = 0o644) -> int:
            Counting.calls += 1
            return super().open(path, flags, mode)

        def fdatasync(self, descriptor: int) -> None:
            Counting.calls += 1
            super().fdatasync(descriptor)

    journal = Journal(tmp_path, {"status": "running"}, Counting())
    journal.record({"kind": "train", "step": 1})
    journal.flush()
    seen = [-1]

    def is_quiet() -> bool:
        seen.append(Counting.calls)
        time.sleep(1.2)
        return Counting.calls == seen[-1]

    wait_until(is_quiet)
    journal.close()


WRITER = """
import sys
from pathlib import Path
from torchdeck.engine.runs.on_disk.journal import Journal
journal = Journal(Path(sys.argv[1]), {"status": "running"})
padding = "x" * int(sys.argv[2])
number = 0
while True:
    for _ in range(20):
        number += 1
        journal.record({"kind": "train", "step": number, "padding": padding})
    journal.flush()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.campaign
@pytest.mark.parametrize("padding", [60, 9000])
def test_a_killed_process_loses_no_acknowledged_record(tmp_path: Path, padding: int) -> None:
    generator = random.Random(padding)
    for trial in range(100 if FULL else 3):
        run = tmp_path / str(trial)
        run.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(run), str(padding)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        output = process.stdout.readline()
        time.sleep(generator.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        output += process.stdout.read()
        acknowledged = int(output[: output.rindex("\n")].splitlines()[-1])
        process.wait()
        process.stdout.close()
        content = (run / "metrics.jsonl").read_bytes()
        whole = content[: content.rfind(b"\n") + 1].splitlines()
        assert [json.loads(line)["step"] for line in whole] == list(range(1, len(whole) + 1))
        assert len(whole) >= acknowledged
