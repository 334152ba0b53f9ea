"""Saving in the background: acknowledged when durable, the newest and the best never lost, old ones retired."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from campaign import is_full_campaign
from failing_operations import KILLED, FailingOperations
from forked import status_of_fork
from run_cases import new_run, plain_state, save
from warm_python import warm_python

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.runs.on_disk.journal import Journal
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving import checkpoint_saver as saver_module
from torchdeck.engine.runs.saving import disk_room
from torchdeck.engine.runs.saving.checkpoint import (
    list_checkpoints,
    load_checkpoint,
    newest_valid_checkpoint,
    verify_checkpoint,
)
from torchdeck.engine.runs.saving.checkpoint_saver import CheckpointSaver, SaveRequest
from torchdeck.engine.runs.saving.pins import pin, unpin
from torchdeck.engine.runs.saving.retention import Retention
from torchdeck.engine.runs.writer import RunWriter

FULL = is_full_campaign()


def events(run: RunWriter, kind: str) -> list[dict[str, Any]]:
    reader = RunReader(run.path)
    reader.poll()
    return [event for event in reader.events() if event["kind"] == kind]


def steps(run: Path) -> list[int]:
    return [checkpoint.step for checkpoint in list_checkpoints(run)]


def same(run: RunWriter, first: str, second: str) -> bool:
    folder = run.path / "checkpoints"
    return os.path.samefile(folder / first, folder / second)


class Gate:
    """Holds `torch.save` back until it is opened, to let requests pile up behind one that is being written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        torch_save = torch.save

        def save_when_open(content: Any, file: Any) -> None:
            self.entered.set()
            assert self.opened.wait(30)
            torch_save(content, file)

        monkeypatch.setattr(torch, "save", save_when_open)


def ask(run: RunWriter, step: int, is_best: bool = False, **fields: Any) -> None:
    metrics = fields.pop("metrics", {"accuracy": step / 1000})
    run.save_checkpoint(
        plain_state(step, metrics=metrics, **fields), step=step, epoch=1, metrics=metrics, reason="t", is_best=is_best
    )


def test_a_saved_checkpoint_is_acknowledged_and_opens_with_plain_torch(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    save(run, 1234, epoch=3, metrics={"accuracy": 0.75}, is_best=True)
    (event,) = events(run, "saved")
    path = run.path / "checkpoints" / "step-000001234.pt"
    assert (event["file"], event["step"], event["epoch"], event["reason"]) == (path.name, 1234, 3, "epoch")
    assert event["bytes"] == path.stat().st_size
    content = torch.load(path, weights_only=True)
    assert content["epoch"] == 3
    assert torch.equal(content["model_state_dict"]["0.weight"], torch.full((16, 16), 1234.0))
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["model_state_dict"]["0.weight"], content["model_state_dict"]["0.weight"])
    assert RunReader(run.path).state()["saved"] == {"file": path.name, "step": 1234, "epoch": 3}
    run.close("finished")


def test_last_and_best_are_further_names_of_the_same_files(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    save(run, 1, is_best=True)
    save(run, 2)
    assert same(run, "last.pt", "step-000000002.pt")
    assert same(run, "best.pt", "step-000000001.pt")
    save(run, 3, is_best=True)
    assert same(run, "last.pt", "step-000000003.pt")
    assert same(run, "best.pt", "step-000000003.pt")
    run.close("finished")


@pytest.mark.parametrize(
    ("keep_last", "best", "kept"),
    [
        (1, None, [6]),
        (3, None, [6, 5, 4]),
        (1, 2, [6, 2]),
        (2, 5, [6, 5]),
        (3, 1, [6, 5, 4, 1]),
        (9, 1, [6, 5, 4, 3, 2, 1]),
    ],
)
def test_the_newest_and_the_best_are_kept(tmp_path: Path, keep_last: int, best: int | None, kept: list[int]) -> None:
    run = new_run(tmp_path, keep_last=keep_last)
    for step in range(1, 7):
        save(run, step, is_best=step == best)
    assert steps(run.path) == kept
    run.close("finished")
    assert sorted(path.name for path in (run.path / "checkpoints").glob("step-*")) == [
        f"step-{step:09d}.pt" for step in sorted(kept)
    ]


def test_of_every_so_many_epochs_the_checkpoint_at_their_end_is_kept(tmp_path: Path) -> None:
    run = new_run(tmp_path, keep_last=1, keep_every=2)
    for step in range(1, 13):
        # An epoch ends with every second step; the other saves are in its middle.
        save(run, step, epoch=step // 2)
    assert steps(run.path) == [12, 8, 4]
    run.close("finished")


def test_a_pinned_checkpoint_is_kept_until_it_is_unpinned(tmp_path: Path) -> None:
    run = new_run(tmp_path, keep_last=1)
    folder = run.path / "checkpoints"
    save(run, 1)
    pin(folder, "step-000000001.pt")
    save(run, 2)
    save(run, 3)
    assert steps(run.path) == [3, 1]
    unpin(folder, "step-000000001.pt")
    save(run, 4)
    assert steps(run.path) == [4]
    run.close("finished")


def test_the_last_save_may_take_the_room_that_is_kept_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = disk_room.DiskRoom(tmp_path)
    monkeypatch.setattr(room, "_free_bytes", lambda: 18_000_000)
    with pytest.raises(OSError, match=r"18 MB free, the checkpoint needs 4 MB, and 17 MB are kept free for the run"):
        room.require(4_000_000)
    room.require(4_000_000, is_last=True)
    with pytest.raises(OSError, match=r"18 MB free, the checkpoint needs 19 MB; free some"):
        room.require(19_000_000, is_last=True)


def test_a_disk_that_fills_up_is_announced_while_there_is_room_for_a_few_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path)
    for free_megabytes in (1000, 17, 17, 1000):
        blocks = free_megabytes * 1_000_000 // 4096
        disk = os.statvfs_result((4096, 4096, 10**6, blocks, blocks, 10, 10, 10, 0, 255))
        with monkeypatch.context() as small:
            small.setattr(disk_room, "_FEW", 10**3)
            small.setattr(os, "statvfs", lambda path, disk=disk: disk)
            save(run, free_megabytes)
        warning = RunReader(run.path).state().get("disk_warning")
        assert (warning is None) == (free_megabytes == 1000)
    # Said once, not with every save.
    (event,) = events(run, "disk_filling")
    assert "17 MB free, room for" in event["text"]
    run.close("finished")


def test_what_a_state_was_copied_into_is_given_back_once_whatever_becomes_of_the_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path)
    gate = Gate(monkeypatch)
    given_back: list[int] = []
    for step in (1, 2, 3):
        run.save_checkpoint(
            plain_state(step, rng=object() if step == 3 else {}),
            step=step,
            epoch=1,
            metrics={},
            reason="t",
            when_done=lambda step=step: given_back.append(step),
        )
        if step == 1:
            assert gate.entered.wait(30)
    # The second gave way to the third, which can't be saved; the first is still being read.
    assert given_back == [2]
    gate.opened.set()
    run.flush()
    assert given_back == [2, 1, 3]
    run.close("finished")


def test_files_of_the_user_are_never_deleted(tmp_path: Path) -> None:
    run = new_run(tmp_path, keep_last=1)
    folder = run.path / "checkpoints"
    (folder / "mine.pt").write_bytes(b"1")
    (folder / "step-000000000.pt").write_bytes(b"1")
    (tmp_path / "outside").write_bytes(b"1")
    (folder / "step-000000001.pt.bak").symlink_to(tmp_path / "outside")
    for step in (5, 6, 7):
        save(run, step)
    names = {path.name for path in folder.iterdir()}
    assert {"mine.pt", "step-000000000.pt", "step-000000001.pt.bak", "step-000000007.pt"} <= names
    assert "step-000000005.pt" not in names
    run.close("finished")


def test_nothing_is_deleted_while_the_newest_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path, keep_last=1)
    save(run, 1)

    def refuse(path: Path) -> None:
        raise CheckpointError(f"{path}: is damaged")

    monkeypatch.setattr(saver_module, "inspect_checkpoint", refuse)
    save(run, 2)
    assert steps(run.path) == [2, 1]
    assert "damaged" in events(run, "old_checkpoints_kept")[0]["error"]
    run.close("finished")


def test_requests_behind_a_slow_save_are_reduced_to_the_newest_and_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, keep_last=9)
    gate = Gate(monkeypatch)
    ask(run, 1)
    assert gate.entered.wait(30)
    for step in range(2, 9):
        ask(run, step, is_best=step in (3, 5))
    gate.opened.set()
    run.flush()
    assert steps(run.path) == [8, 5, 1]
    assert same(run, "best.pt", "step-000000005.pt")
    assert same(run, "last.pt", "step-000000008.pt")
    assert sum(event["coalesced"] for event in events(run, "saved")) == 5
    run.close("finished")


def test_asking_for_a_save_does_not_wait_for_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    gate = Gate(monkeypatch)
    ask(run, 1)
    assert gate.entered.wait(30)
    ask(run, 2)
    run.record({"kind": "train", "step": 2})
    assert not gate.opened.is_set()
    gate.opened.set()
    run.close("finished")
    assert steps(run.path) == [2, 1]


def test_a_second_save_at_the_same_place_keeps_metrics_and_rank(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    save(run, 10, metrics={"accuracy": 0.5}, is_best=True)
    save(run, 10, reason="stop")
    (checkpoint,) = list_checkpoints(run.path)
    assert (checkpoint.metrics, checkpoint.is_best, checkpoint.is_last) == ({"accuracy": 0.5}, True, True)
    assert load_checkpoint(run.path / "checkpoints" / "best.pt")["metrics"] == {"accuracy": 0.5}
    run.close("finished")


def test_a_save_at_the_same_step_of_another_place_is_another_checkpoint_and_leaves_the_best(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    save(run, 10, epoch=1, metrics={"accuracy": 0.5}, is_best=True)
    save(run, 10, epoch=2)
    newest, best = list_checkpoints(run.path)
    assert (newest.file, newest.epoch, newest.metrics, newest.is_last) == ("step-000000010.pt", 2, {}, True)
    assert (best.file, best.epoch, best.metrics, best.is_best) == ("best.pt", 1, {"accuracy": 0.5}, True)
    run.close("finished")


def test_closing_finishes_the_save_that_is_under_way(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    ask(run, 5)
    run.close("stopped")
    assert steps(run.path) == [5]
    assert [event["kind"] for event in RunReaderEvents(run.path)] == ["saved", "ended"]


def RunReaderEvents(path: Path) -> list[dict[str, Any]]:
    reader = RunReader(path)
    reader.poll()
    return reader.events()


SAVE_ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EINTR]


@pytest.mark.campaign
@pytest.mark.parametrize("first", range(len(SAVE_ERRORS)) if FULL else [0])
def test_whichever_operation_of_a_save_fails_the_old_checkpoint_stays_and_the_next_save_works(
    tmp_path: Path, first: int
) -> None:
    """The errors take turns from one operation to the next; the full campaign begins with each of them."""
    failed = []
    for at in range(1, 500):
        error = SAVE_ERRORS[(first + at) % len(SAVE_ERRORS)]
        folder = tmp_path / str(at) / "checkpoints"
        folder.mkdir(parents=True)
        journal = Journal(folder.parent, {})
        operations = FailingOperations(0, error)
        saver = CheckpointSaver(folder, Retention(1), journal, operations)
        for step in (1, 2, 3):
            if step == 2:
                operations.at = operations.calls + at
            saver.submit(SaveRequest(plain_state(step), step, 1, {}, "t", is_best=True))
            saver.flush()
            operations.at = 0
            assert not list(folder.glob(".*.tmp"))
            for path in folder.glob("*.pt"):
                assert load_checkpoint(path)["position"]["step"] <= step
            newest, skipped = newest_valid_checkpoint(folder.parent)
            assert skipped == []
            assert int(newest.stem[5:]) >= step - (operations.failed != "" and step == 2)
        saver.close()
        journal.close()
        assert os.path.samefile(folder / "best.pt", folder / "step-000000003.pt")
        kinds = [event["kind"] for event in map_events(folder.parent)]
        if not operations.failed:
            assert kinds == ["saved"] * 3
            break
        failed.append(operations.failed)
        assert kinds.count("save_failed") + kinds.count("old_checkpoints_kept") == 1
        for event in map_events(folder.parent):
            if event["kind"] == "save_failed":
                assert event["errno"] == errno.errorcode[error]
                assert os.strerror(error) in event["error"]
    assert {"open", "write", "fsync", "rename", "link", "unlink"} <= set(failed)
    assert len(failed) > 15


def map_events(run: Path) -> list[dict[str, Any]]:
    import json

    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def save_two_and_die(folder: Path, at: int) -> None:
    """Save twice, and die at operation number `at` of the second, if it has that many."""
    operations = FailingOperations(0, None)
    saver = CheckpointSaver(folder, Retention(1), Journal(folder.parent, {}), operations)
    for step in (1, 2):
        if step == 2:
            operations.at = operations.calls + at
        saver.submit(SaveRequest(plain_state(step), step, 1, {}, "t", is_best=True))
        saver.flush()


def test_killed_at_every_operation_of_a_save_a_valid_checkpoint_is_there(tmp_path: Path) -> None:
    for at in range(1, 500):
        folder = tmp_path / str(at) / "checkpoints"
        folder.mkdir(parents=True)
        status = status_of_fork(partial(save_two_and_die, folder, at))
        assert status in (0, KILLED)
        newest, skipped = newest_valid_checkpoint(folder.parent)
        assert skipped == []
        assert load_checkpoint(newest)["position"]["step"] in (1, 2)
        for path in folder.glob("*.pt"):
            verify_checkpoint(path)
        if status != KILLED:
            break
    assert at > 15
    assert newest.name == "step-000000002.pt"


def test_a_best_that_could_not_be_saved_is_saved_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, keep_last=9)
    save(run, 1, is_best=True)
    with monkeypatch.context() as broken:

        def fail(content: Any, file: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        broken.setattr(torch, "save", fail)
        save(run, 2, is_best=True)
        assert RunReader(run.path).state()["save_error"] == "step-000000002.pt: No space left on device"
    save(run, 3)
    assert steps(run.path) == [3, 2, 1]
    assert same(run, "best.pt", "step-000000002.pt")
    assert same(run, "last.pt", "step-000000003.pt")
    assert RunReader(run.path).state()["save_error"] is None
    run.close("finished")


def test_a_disk_without_room_is_told_before_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    full = os.statvfs_result((4096, 4096, 100, 10, 10, 10, 10, 10, 0, 255))
    with monkeypatch.context() as small:
        small.setattr(os, "statvfs", lambda path: full)
        save(run, 1)
    (event,) = events(run, "save_failed")
    assert event["errno"] == "ENOSPC"
    assert "0 MB free" in event["error"]
    assert steps(run.path) == []
    run.close("finished")


SAVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from run_cases import new_run, save
run = new_run(Path(sys.argv[1]), keep_last=2)
step = 0
while True:
    step += 1
    save(run, step, is_best=step % 3 == 0)
    sys.stdout.write(f"{run.path} {step}\\n")
    sys.stdout.flush()
"""


@pytest.mark.campaign
def test_a_killed_process_loses_no_acknowledged_checkpoint(tmp_path: Path) -> None:
    generator = random.Random(11)
    for trial in range(60 if FULL else 3):
        process = subprocess.Popen(
            [*warm_python(), "-c", SAVER, str(tmp_path / str(trial)), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        output = process.stdout.readline()
        time.sleep(generator.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        output += process.stdout.read()
        process.wait()
        process.stdout.close()
        name, acknowledged = output[: output.rindex("\n")].splitlines()[-1].split()
        newest, skipped = newest_valid_checkpoint(Path(name))
        assert skipped == []
        assert load_checkpoint(newest)["position"]["step"] >= int(acknowledged)
        for path in (Path(name) / "checkpoints").glob("*.pt"):
            verify_checkpoint(path)
