"""A run read from its directory: live, ended, died, resumed, damaged."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from run_cases import epoch_record, new_run, save, train_record

from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.on_disk import line_tail
from torchdeck.engine.runs.on_disk.series import SERIES
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter


def wait_for_change(reader: RunReader, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not reader.poll():
        assert time.monotonic() < end, "nothing changed"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> RunWriter:
    return new_run(tmp_path)


def test_curves_grow_as_the_run_writes(run: RunWriter) -> None:
    reader = RunReader(run.path)
    reader.poll()
    assert [len(reader.series(name)[0]) for name in SERIES] == [0] * len(SERIES)
    for number in range(1, 31):
        run.record(train_record(number * 100, 100))
    run.flush()
    assert reader.poll()
    x, y = reader.series("train/loss")
    np.testing.assert_array_equal(x, np.arange(1, 3001))
    np.testing.assert_array_equal(y, x)
    run.record(train_record(3050, 50, lr=[0.05] * 50))
    run.record(epoch_record(1, 3050, accuracy=0.75))
    run.flush()
    assert reader.poll()
    assert reader.series("lr")[1][-51:].tolist() == [0.1, *[0.05] * 50]
    steps, rates = reader.series("throughput")
    assert steps[-2:].tolist() == [3000, 3050]
    assert all(rates > 0)
    assert len(reader.series("time")[0]) == 31
    for name in ("loss", "accuracy", "macro_f1"):
        x, y = reader.series(f"validation/{name}")
        assert (x.tolist(), y.tolist()) == ([3050.0], [1.25 if name == "loss" else 0.75])
    assert reader.latest_metrics() == {"loss": 1.25, "accuracy": 0.75, "macro_f1": 0.75}
    assert reader.best() == {"metric": "accuracy", "value": 0.75, "epoch": 1, "step": 3050}
    run.close("finished")


def test_a_curve_can_not_be_written_to_and_stays_as_it_was(run: RunWriter) -> None:
    reader = RunReader(run.path)
    run.record(train_record(10, 10))
    run.flush()
    reader.poll()
    _, y = reader.series("train/loss")
    with pytest.raises(ValueError, match="read-only"):
        y[0] = 5
    run.record(train_record(5010, 5000))
    run.flush()
    reader.poll()
    assert y.tolist() == [float(step) for step in range(1, 11)]
    run.close("finished")


def test_an_unknown_curve_is_refused_with_those_there_are(run: RunWriter) -> None:
    with pytest.raises(KeyError, match="train/loss"):
        RunReader(run.path).series("loss")
    run.close("finished")


def test_not_a_number_and_infinity_come_back(run: RunWriter) -> None:
    reader = RunReader(run.path)
    run.record(train_record(3, 3, loss=[1.0, math.nan, math.inf]))
    record = epoch_record(1, 3, accuracy=math.nan)
    run.record(record)
    run.flush()
    reader.poll()
    np.testing.assert_array_equal(reader.series("train/loss")[1], [1.0, math.nan, math.inf])
    assert math.isnan(reader.latest_metrics()["accuracy"])
    assert math.isnan(reader.epoch_records()[0]["train"]["accuracy"])
    assert reader.skipped_lines == 0
    run.close("finished")


def test_a_long_run_can_be_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_tail, "_PIECE_BYTES", 4096)
    run = new_run(tmp_path)
    for step in range(10, 2001, 10):
        run.record(train_record(step, 10))
    run.close("finished")
    reader, seen = RunReader(run.path), []
    while reader.poll(max_bytes=4096):
        seen.append(len(reader.series("train/loss")[0]))
        assert reader.has_more == (seen[-1] < 2000)
    assert seen == sorted(set(seen))
    assert seen[-1] == 2000
    assert len(seen) > 3


def test_nothing_changed_is_told_apart_and_costs_a_few_stats(run: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    run.record(train_record(10, 10))
    run.close("finished")
    reader = RunReader(run.path)
    assert reader.poll()
    calls = []
    for name in ("stat", "open", "read", "listdir", "scandir"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _o=original, **k: (calls.append(_n), _o(*a, **k))[1])
    assert not reader.poll()
    assert calls == ["stat"] * 5


def test_status_follows_the_run_to_its_end(run: RunWriter) -> None:
    reader = RunReader(run.path)
    reader.poll()
    assert reader.status() == "preparing"
    assert reader.owner_pid() == os.getpid()
    for status in ("running", "paused", "running"):
        run.update_state(status=status)
        wait_for_change(reader)
        assert reader.status() == status
    run.close("failed", error="the loss is nan")
    assert reader.poll()
    assert reader.status() == "failed"
    assert not reader.is_alive()
    assert reader.state()["error"] == "the loss is nan"


def test_the_poll_that_tells_the_end_has_read_the_last_records(
    run: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.update_state(status="running")
    run.flush()
    reader = RunReader(run.path)
    reader.poll()
    look_at_state = RunReader._poll_state

    def ends_first(reader: RunReader) -> None:
        if not run._is_closed:
            run.record(train_record(50, 50))
            run.close("finished")
        look_at_state(reader)

    monkeypatch.setattr(RunReader, "_poll_state", ends_first)
    assert reader.poll()
    assert reader.status() == "finished"
    assert reader.progress().step == 50
    assert len(reader.series("train/loss")[0]) == 50


def test_a_change_of_the_state_counts_for_poll_even_when_it_was_read_in_between(run: RunWriter) -> None:
    reader = RunReader(run.path)
    reader.poll()
    run.update_state(phase="evaluating")
    run.flush()
    assert reader.state()["phase"] == "evaluating"
    assert reader.poll()
    assert not reader.poll()
    run.close("finished")


OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from run_cases import new_run, train_record
run = new_run(Path(sys.argv[1]))
run.update_state(status="running")
run.record(train_record(10, 10))
run.flush()
print(run.path, flush=True)
time.sleep(60)
"""


def test_a_killed_run_has_died_and_poll_tells_it_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    reader = RunReader(Path(process.stdout.readline().strip()))
    reader.poll()
    assert (reader.status(), reader.owner_pid()) == ("running", process.pid)
    assert not reader.poll()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert reader.poll()
    assert reader.status() == "died"
    assert not reader.poll()
    assert len(reader.series("train/loss")[0]) == 10


def test_a_torn_last_line_is_read_once_it_is_whole_whatever_byte_it_was_cut_at(run: RunWriter) -> None:
    run.record(train_record(1, 1))
    run.record(train_record(2, 1))
    run.close("finished")
    path = run.path / "metrics.jsonl"
    content = path.read_bytes()
    first_line = content.index(b"\n") + 1
    for cut in range(first_line, len(content)):
        path.write_bytes(content[:cut])
        reader = RunReader(run.path)
        reader.poll()
        assert reader.series("train/loss")[0].tolist() == [1.0]
        with path.open("ab") as file:
            file.write(content[cut:])
        assert reader.poll()
        assert reader.series("train/loss")[0].tolist() == [1.0, 2.0]
        assert reader.skipped_lines == 0


GARBAGE = [
    b"",
    b"{",
    b"null",
    b"[1, 2]",
    b'"train"',
    b"\xff\xfe\x00",
    b'{"kind": "train"}',
    b'{"kind": "train", "step": "7"}',
    b'{"kind": ["train"], "step": 7}',
    b'{"kind":"train","epoch":1,"step":2,"t":0,"seconds":0,"images":0,"loss":["x"],"accuracy":[0],"lr":0}',
    b'{"kind":"train","epoch":1,"step":2,"t":0,"seconds":0,"images":0,"loss":[[1]],"accuracy":[[0]],"lr":0}',
    b'{"kind":"train","epoch":1,"step":2,"t":0,"seconds":0,"images":0,"loss":[1,2],"accuracy":[0],"lr":0}',
    b'{"kind":"train","epoch":1,"step":1,"t":0,"seconds":0,"images":0,"loss":[1,2],"accuracy":[0,0],"lr":0}',
    b'{"kind":"train","epoch":1,"step":2,"t":0,"seconds":0,"images":0,"loss":[1,2],"accuracy":[0,0],"lr":[1,2,3]}',
    b'{"kind":"train","epoch":1,"step":'
    + b"9" * 400
    + b',"t":0,"seconds":0,"images":0,"loss":[1],"accuracy":[0],"lr":0}',
    b'{"kind":"epoch","epoch":1,"step":5,"seconds":1,"lr":0,"train":{},"validation":{}}',
    b'{"kind":"epoch","epoch":1,"step":5,"seconds":1,"lr":0,"train":{"loss":1,"accuracy":1},"validation":[]}',
    b'{"kind":"epoch","epoch":true,"step":5,"seconds":1,"lr":0,"train":{"loss":1,"accuracy":1},"validation":{}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: garbage[:40].decode("latin-1"))
def test_a_line_that_is_garbage_is_counted_and_the_rest_is_read(run: RunWriter, garbage: bytes) -> None:
    run.record(train_record(1, 1))
    run.flush()
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(garbage + b"\n")
    run.record(train_record(2, 1))
    run.close("finished")
    reader = RunReader(run.path)
    reader.poll()
    assert reader.series("train/loss")[0].tolist() == [1.0, 2.0]
    assert reader.skipped_lines == 1


def test_random_garbage_never_raises(run: RunWriter) -> None:
    generator = random.Random(3)
    run.record(train_record(5, 5))
    run.record(epoch_record(1, 5))
    run.event("saved", file="step-000000005.pt", step=5)
    run.close("finished")
    good = {name: (run.path / name).read_bytes() for name in ("metrics.jsonl", "events.jsonl", "state.json")}
    for _ in range(300):
        for name, content in good.items():
            damaged = bytearray(content)
            for _ in range(generator.randrange(1, 6)):
                damaged[generator.randrange(len(damaged))] = generator.randrange(256)
            (run.path / name).write_bytes(damaged)
        reader = RunReader(run.path)
        reader.poll()
        reader.progress()
        reader.latest_metrics()
        reader.best()
        assert reader.status() in (
            "finished",
            "stopped",
            "failed",
            "died",
            "damaged",
            "preparing",
            "running",
            "paused",
        )


def test_metrics_that_are_replaced_by_shorter_ones_are_read_anew(run: RunWriter) -> None:
    reader = RunReader(run.path)
    for step in (10, 20, 30):
        run.record(train_record(step, 10))
    run.record(epoch_record(1, 30))
    run.event("saved", step=30)
    run.close("stopped")
    reader.poll()
    resumed = RunWriter.reopen(run.path, reader.config(), at_step=10)
    resumed.record(train_record(15, 5, loss=[0.0] * 5))
    resumed.flush()
    assert reader.poll()
    x, y = reader.series("train/loss")
    assert x.tolist() == list(range(1, 16))
    assert y[-5:].tolist() == [0.0] * 5
    assert reader.epoch_records() == []
    assert [event["kind"] for event in reader.events()] == ["ended"]
    resumed.close("finished")


def test_files_that_vanish_and_come_back_are_read_anew(run: RunWriter) -> None:
    run.record(train_record(10, 10))
    run.close("finished")
    reader = RunReader(run.path)
    reader.poll()
    content = (run.path / "metrics.jsonl").read_bytes()
    (run.path / "metrics.jsonl").unlink()
    (run.path / "state.json").unlink()
    assert reader.poll()
    assert len(reader.series("train/loss")[0]) == 0
    assert reader.status() == "died"
    (run.path / "metrics.jsonl").write_bytes(content)
    assert reader.poll()
    assert len(reader.series("train/loss")[0]) == 10


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl", "state.json", "run.json"])
def test_a_fifo_or_a_link_in_place_of_a_file_is_not_opened(run: RunWriter, name: str, tmp_path: Path) -> None:
    run.close("finished")
    (tmp_path / "secret").write_text(json.dumps({"status": "running", "kind": "train"}) + "\n")
    for make in (os.mkfifo, lambda path: os.symlink(tmp_path / "secret", path)):
        (run.path / name).unlink()
        make(run.path / name)
        reader = RunReader(run.path)
        reader.poll()
        assert "running" not in (reader.state().get("status"), reader.info().get("status"))
        assert reader.skipped_lines == 0


def test_progress_reckons_pace_and_time_left_with_evaluations(run: RunWriter) -> None:
    reader = RunReader(run.path)
    run.update_state(
        status="running", phase="training", epoch=2, epochs=4, step=110, total_steps=400,
        step_in_epoch=10, steps_per_epoch=100, learning_rate=0.05,
    )  # fmt: skip
    run.record(train_record(100, 100))
    run.record(epoch_record(1, 100))
    run.record(train_record(120, 20, epoch=2))
    run.flush()
    reader.poll()
    progress = reader.progress()
    assert (progress.epoch, progress.epochs, progress.step, progress.total_steps) == (2, 4, 120, 400)
    assert (progress.step_in_epoch, progress.steps_per_epoch, progress.lr) == (20, 100, 0.05)
    assert progress.samples_per_s == pytest.approx(6400)
    # 280 steps of 10 ms, and three epochs to go that each take 0.5 s besides their steps.
    assert progress.eta_seconds == pytest.approx(2.8 + 1.5)
    run.close("finished")
    reader.poll()
    assert math.isnan(reader.progress().eta_seconds)


def test_blocks_of_earlier_versions_call_their_samples_images(run: RunWriter) -> None:
    block = train_record(10, 10)
    block["images"] = block.pop("samples")
    run.record(block)
    run.flush()
    reader = RunReader(run.path)
    reader.poll()
    assert reader.progress().samples_per_s == pytest.approx(6400)


def test_progress_of_a_run_that_wrote_nothing_is_unknown(run: RunWriter) -> None:
    reader = RunReader(run.path)
    progress = reader.progress()
    assert (progress.step, progress.samples_per_s, progress.total_steps) == (0, 0.0, 0)
    assert math.isnan(progress.eta_seconds)
    assert math.isnan(progress.lr)
    run.close("stopped")


def test_config_and_information_are_those_the_run_was_made_with(run: RunWriter) -> None:
    reader = RunReader(run.path)
    assert reader.config().name == "run"
    info = reader.info()
    assert info["id"] == run.path.name
    assert info["argv"] == ["torchdeck", "train", "digits"]
    assert info["versions"]["torch"]
    run.close("finished")


def test_checkpoints_are_listed_anew_when_the_folder_changed(run: RunWriter) -> None:
    reader = RunReader(run.path)
    assert reader.checkpoints() == []
    save(run, 10, metrics={"accuracy": 0.5}, is_best=True)
    (first,) = reader.checkpoints()
    assert (first.step, first.epoch, first.metrics, first.is_best, first.is_last) == (
        10,
        1,
        {"accuracy": 0.5},
        True,
        True,
    )
    assert reader.checkpoints() is reader.checkpoints()
    save(run, 20)
    assert [checkpoint.step for checkpoint in reader.checkpoints()] == [20, 10]
    assert [checkpoint.is_last for checkpoint in reader.checkpoints()] == [True, False]
    run.close("finished")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not the directory of a run"):
        RunReader(tmp_path)
