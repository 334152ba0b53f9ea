"""What a launched run gives back when it has ended, and how one is saved that can't end by itself."""

import errno
import os
import signal
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from training_cases import StepHook, case, ended, events_of, finished

from torchdeck.engine.launching.launch import launch
from torchdeck.engine.launching.launched_run import STALL_SECONDS, LaunchedRun


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_that_has_ended_holds_neither_its_model_nor_its_data(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, held = StepHook(monkeypatch), []
    run = launch(case("training.epochs=1"), tmp_path)

    def look() -> None:
        assert run.trainer is not None
        held.extend([weakref.ref(run.trainer.model), weakref.ref(run.trainer.data.train)])
        if fails:
            raise RuntimeError("on purpose")

    hook.actions[3] = look
    assert ended(run).status == ("failed" if fails else "finished")
    assert len(held) == 2
    assert [reference() for reference in held] == [None, None]


def test_ctrl_c_while_a_run_is_waited_for_does_not_make_it_look_ended() -> None:
    may_end = threading.Event()

    class Waiting(LaunchedRun):
        def _train(self) -> Any:
            may_end.wait()
            return "finished"

    run = Waiting(lambda path: None)
    assert not run.is_alive
    run._start()
    # A job in the background of a shell ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            run.join(60)
        assert run.is_alive
    finally:
        signal.signal(signal.SIGINT, before)
        may_end.set()
    run.join()
    assert not run.is_alive and run.status == "finished"


def test_a_mirror_that_can_not_be_started_is_told_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(run: Path) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("torchdeck.engine.launching.launched_run.start_mirror", refuse)
    path = finished(launch(case("training.epochs=1", "mirror.tensorboard=true"), tmp_path))
    texts = [event["text"] for event in events_of(path, "note")]
    assert any(text.startswith("the curves are not mirrored to TensorBoard, training continues: ") for text in texts)


@pytest.mark.parametrize("has_directory", [False, True])
@pytest.mark.parametrize(("status", "is_ended"), [("preparing", True), ("running", True), ("finished", False)])
def test_a_stop_ends_a_preparation_that_does_not_look_at_it(
    has_directory: bool, status: Any, is_ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Any = LaunchedRun(lambda path: None)
    done: list[str] = []
    run.status = status
    if has_directory:
        run._run = SimpleNamespace(event=lambda *_, **fields: done.append(fields["text"]), close=done.append)
    monkeypatch.setattr(LaunchedRun, "is_alive", True)
    clock = iter([100.0, 100.0 + STALL_SECONDS - 1, 100.0 + STALL_SECONDS])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    run.stop()
    assert not run.save_if_stalled()
    assert run.save_if_stalled() is is_ended
    assert [text.partition(":")[0] for text in done] == (
        ["stopped while preparing", "stopped"] if is_ended and has_directory else []
    )


@pytest.mark.parametrize(("after", "is_saved"), [("step", True), ("epoch", False)])
def test_a_stop_saves_a_run_to_which_no_batch_comes_whoever_asked_for_it(
    after: str, is_saved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Any = LaunchedRun(lambda path: None)
    done: list[str] = []
    run.trainer = SimpleNamespace(save_from_outside=lambda: "saved")
    run._run = SimpleNamespace(event=lambda *_, **__: None, close=done.append)
    monkeypatch.setattr(LaunchedRun, "is_alive", True)
    clock = iter([100.0, 100.0 + STALL_SECONDS - 1, 100.0 + STALL_SECONDS]) if is_saved else iter([])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    # As the socket, a key of the studio or a callback gives it.
    run.control.submit({"cmd": "stop", "after": after})
    assert not run.save_if_stalled()
    assert run.save_if_stalled() is is_saved
    assert done == (["stopped"] if is_saved else [])
