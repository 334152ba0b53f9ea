"""Commands to a live run, from within and over its socket."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from forked import status_of_fork

from torchdeck.engine.errors import RunError
from torchdeck.engine.runs import control as control_module
from torchdeck.engine.runs.control import SOCKET_FILE, Control, ControlServer, send
from torchdeck.engine.runs.on_disk.lock import acquire

OUTCOMES = ("answered", "refused", "unanswered")


@contextmanager
def served(run: Path) -> Iterator[Control]:
    control = Control()
    lock = acquire(run)
    server = ControlServer(run, lock.held, control)
    server.start()
    try:
        yield control
    finally:
        server.stop()
        lock.release()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder in which a socket's path is short enough, wherever pytest's own folders are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def exchange(run: Path, *lines: bytes) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(run / SOCKET_FILE))
        connection.sendall(b"".join(lines))
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return [json.loads(line) for line in answer.splitlines()]


def test_commands_are_taken_once_and_in_order() -> None:
    control = Control()
    assert not control.pending
    assert control.take() == []
    assert control.submit({"cmd": "pause"}) == {"ok": True}
    assert control.submit({"cmd": "stop", "after": "epoch", "reason": "SIGTERM"}) == {"ok": True}
    assert control.pending
    assert control.take() == [{"cmd": "pause"}, {"cmd": "stop", "after": "epoch", "reason": "SIGTERM"}]
    assert not control.pending
    assert not control.wait(timeout=0)


def test_waiting_ends_with_a_command_from_another_thread() -> None:
    control = Control()
    thread = threading.Timer(0.05, lambda: control.submit({"cmd": "resume"}))
    thread.start()
    assert control.wait(timeout=90)
    assert control.take() == [{"cmd": "resume"}]
    thread.join()


def test_no_command_is_lost_between_threads() -> None:
    control = Control()
    threads = [
        threading.Thread(target=lambda: [control.submit({"cmd": "save", "n": n}) for n in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    taken = 0
    while any(thread.is_alive() for thread in threads) or control.pending:
        taken += len(control.take())
    assert taken == 2000


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ({}, "None is not a command"),
        ({"cmd": "puase"}, "did you mean 'pause'"),
        ({"cmd": ["stop"]}, "is not a command"),
        ({"cmd": "stop", "after": "never"}, "must be one of step, epoch"),
        ({"cmd": "set", "key": "optimizer.lrr", "value": 1}, "did you mean 'optimizer.lr'"),
        ({"cmd": "set", "key": "model.name", "value": 1}, "can't be changed in a live run"),
        ({"cmd": "set", "key": "optimizer.lr", "value": 0}, "must be a number above 0"),
        ({"cmd": "set", "key": "optimizer.lr", "value": "0.1"}, "must be a number above 0"),
        ({"cmd": "set", "key": "optimizer.lr", "value": True}, "must be a number above 0"),
        ({"cmd": "set", "key": "optimizer.lr", "value": float("nan")}, "must be a number above 0"),
        ({"cmd": "set", "key": "optimizer.lr"}, "must be a number above 0"),
        ({"cmd": "set", "key": "optimizer.lr", "value": 10**400}, "must be a number above 0"),
        ({"cmd": "set", "key": ["optimizer.lr"], "value": 1}, "can't be changed in a live run"),
        ({"cmd": "set", "key": "training.clip_norm", "value": -1}, "must be a number of at least 0"),
    ],
)
def test_a_command_that_is_not_allowed_is_answered_with_what_is_and_dropped(
    command: dict[str, Any], error: str
) -> None:
    control = Control()
    reply = control.submit(command)
    assert not reply["ok"]
    assert error in reply["error"]
    assert not control.pending


def test_a_command_sent_to_a_run_reaches_its_engine(tmp_path: Path) -> None:
    with served(tmp_path) as control:
        assert send(tmp_path, {"cmd": "set", "key": "optimizer.lr", "value": 0.01})["ok"]
        assert control.take() == [{"cmd": "set", "key": "optimizer.lr", "value": 0.01}]
        reply = send(tmp_path, {"cmd": "hello"})
        assert (reply["ok"], reply["pid"], reply["protocol"], reply["run"]) == (True, os.getpid(), 1, tmp_path.name)
        assert not send(tmp_path, {"cmd": "explode"})["ok"]
        assert not control.pending


def test_the_socket_is_private_and_gone_after_the_run(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with served(tmp_path):
            status = (tmp_path / SOCKET_FILE).stat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600
    finally:
        os.umask(before)
    assert not (tmp_path / SOCKET_FILE).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("mode", "outcome"), [(0o600, "refused"), (0o777, "unanswered")])
def test_another_user_is_kept_out_by_the_files_mode_and_else_by_the_server(mode: int, outcome: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with served(Path(folder)) as control:
            os.chmod(Path(folder) / SOCKET_FILE, mode)
            assert OUTCOMES[status_of_fork(lambda: stop_as_another_user(Path(folder)))] == outcome
            assert not control.pending


def stop_as_another_user(run: Path) -> int:
    os.setuid(65534)
    return OUTCOMES.index(outcome_of_stop(run))


def outcome_of_stop(run: Path) -> str:
    try:
        return "answered" if exchange(run, b'{"cmd": "stop"}\n') else "unanswered"
    except PermissionError:
        return "refused"
    except ConnectionError:
        return "unanswered"


def test_a_repeated_command_with_the_same_number_is_done_once(tmp_path: Path) -> None:
    line = b'{"cmd": "save", "id": "a1"}\n'
    with served(tmp_path) as control:
        assert exchange(tmp_path, line, line) == [{"ok": True}] * 2
        assert exchange(tmp_path, line) == [{"ok": True}]
        assert control.take() == [{"cmd": "save"}]


@pytest.mark.parametrize("line", [b"\n", b"x\n", b"[]\n", b"\xff\n", b"[" * 60_000 + b"\n", b"null\n"])
def test_garbage_is_answered_with_an_error_and_the_connection_goes_on(tmp_path: Path, line: bytes) -> None:
    with served(tmp_path) as control:
        first, second = exchange(tmp_path, line, b'{"cmd": "pause"}\n')
        assert (first["ok"], second["ok"]) == (False, True)
        assert control.take() == [{"cmd": "pause"}]


def test_an_endless_line_ends_the_connection_and_not_the_server(tmp_path: Path) -> None:
    with served(tmp_path) as control:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(tmp_path / SOCKET_FILE))
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                for _ in range(100):
                    connection.sendall(b"x" * 65536)
        assert send(tmp_path, {"cmd": "pause"})["ok"]
        assert control.pending


def test_silent_clients_do_not_keep_others_out(tmp_path: Path) -> None:
    with served(tmp_path):
        silent = [socket.socket(socket.AF_UNIX) for _ in range(100)]
        for connection in silent:
            connection.connect(str(tmp_path / SOCKET_FILE))
        assert send(tmp_path, {"cmd": "hello"})["ok"]
        for connection in silent:
            connection.close()


def test_a_socket_that_a_dead_run_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET_FILE))
    with served(tmp_path):
        assert send(tmp_path, {"cmd": "hello"})["ok"]


def test_a_socket_that_was_deleted_is_offered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "_LOOK_SECONDS", 0.05)
    with served(tmp_path):
        (tmp_path / SOCKET_FILE).unlink()
        end = time.monotonic() + 90
        while not (tmp_path / SOCKET_FILE).exists():
            assert time.monotonic() < end, "not offered again"
            time.sleep(0.02)
        assert send(tmp_path, {"cmd": "hello"})["ok"]


def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    run = tmp_path / ("long" * 30)
    run.mkdir()
    with served(run) as control:
        assert not (run / SOCKET_FILE).exists()
        assert send(run, {"cmd": "pause"})["ok"]
        assert control.take() == [{"cmd": "pause"}]


def test_a_shared_folder_of_somebody_else_is_no_hindrance(
    tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / ("long" * 30)
    run.mkdir()
    foreign, private = short_path / "foreign", short_path / "private"
    foreign.mkdir(mode=0o777)
    foreign.chmod(0o777)
    monkeypatch.setattr(control_module, "_private_folders", lambda: [foreign, private])
    with served(run) as control:
        assert list(foreign.iterdir()) == []
        assert send(run, {"cmd": "pause"})["ok"]
        assert control.take() == [{"cmd": "pause"}]


def test_that_every_path_is_too_long_for_a_socket_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, private = tmp_path / ("long" * 30), tmp_path / ("deep" * 30)
    run.mkdir()
    monkeypatch.setattr(control_module, "_private_folders", lambda: [private])
    server = ControlServer(run, run, Control())
    limit = "a socket's path has at most 100 bytes"
    assert server.start() == f"{run}: {limit}; {private}: {limit}"
    server.stop()


def test_a_run_without_any_socket_trains_and_gets_one_later(
    tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / ("long" * 30)
    run.mkdir()
    foreign = short_path / "foreign"
    foreign.mkdir()
    foreign.chmod(0o777)
    monkeypatch.setattr(control_module, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(control_module, "_private_folders", lambda: [foreign])
    control = Control()
    lock = acquire(run)
    server = ControlServer(run, lock.held, control)
    problem = server.start()
    assert problem.endswith(f"; {foreign}: not a private folder of yours")
    assert problem.startswith(f"{run}: a socket's path has at most ")
    with pytest.raises(RunError, match="did not answer"):
        send(run, {"cmd": "pause"})
    foreign.chmod(0o700)
    end = time.monotonic() + 90
    while not list(foreign.iterdir()):
        assert time.monotonic() < end, "not offered later"
        time.sleep(0.02)
    assert send(run, {"cmd": "pause"})["ok"]
    server.stop()
    lock.release()


def test_a_run_that_nobody_trains_takes_no_command(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not training"):
        send(tmp_path, {"cmd": "stop"})


def test_an_owner_that_does_not_answer_is_named(tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    with pytest.raises(RunError, match=f"process {os.getpid()} did not answer"):
        send(tmp_path, {"cmd": "stop"})
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / SOCKET_FILE))
        mute.listen()
        with pytest.raises(RunError, match=f"process {os.getpid()} did not answer"):
            send(tmp_path, {"cmd": "stop"}, timeout=0.1)
    lock.release()
