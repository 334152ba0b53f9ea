"""Telling how a run ended, from the process that trains it."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notice_server import Server

from torchdeck.engine.config import NotifyConfig, RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.launching.notify import Notice, RunNotifier, send
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter

AT_ONCE = ["notify.after_minutes=0", "training.epochs=1", "schedule.warmup_epochs=0", "training.device=cpu"]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server.running() as server:
        yield server


def wait_for_notices() -> None:
    for thread in threading.enumerate():
        if thread.name == "notify":
            thread.join(30)


def run_to_its_end(root: Path, *overrides: str) -> Path:
    run = launch(load_config("digits", [*AT_ONCE, *overrides]), root)
    run.join(120)
    wait_for_notices()
    assert run.path is not None
    return run.path


def new_run(root: Path, **settings: Any) -> tuple[RunWriter, NotifyConfig]:
    notify = NotifyConfig(**{"after_minutes": 0.0, **settings})
    return RunWriter.create(root, RunConfig(notify=notify), {}), notify


def test_a_finished_run_calls_the_webhook_and_runs_the_command(tmp_path: Path, server: Server) -> None:
    told = tmp_path / "told"
    command = f'printf "%s|%s" "$TORCHDECK_STATUS" "$TORCHDECK_TEXT" > {told}'
    path = run_to_its_end(tmp_path / "runs", f"notify.webhook={server.address}", f"notify.command={command}")
    (notice,) = server.received
    assert (notice["run"], notice["status"], notice["epoch"]) == (path.name, "finished", 1)
    assert 0 < notice["metrics"]["accuracy"] <= 1
    # The names under which chat services look for what to show.
    assert notice["text"] == notice["content"]
    assert path.name in notice["text"]
    assert told.read_text() == f"finished|{notice['text']}"


def test_a_run_that_fails_tells_why(tmp_path: Path, server: Server) -> None:
    run_to_its_end(tmp_path, f"notify.webhook={server.address}", "optimizer.lr=1e30")
    (notice,) = server.received
    assert notice["status"] == "failed"
    assert "training stopped" in notice["text"]


def test_what_is_not_asked_for_and_what_was_short_is_not_told(tmp_path: Path, server: Server) -> None:
    for number, settings in enumerate(({"on": ["failed"]}, {"after_minutes": 5.0})):
        run, notify = new_run(tmp_path / str(number), webhook=server.address, **settings)
        with RunNotifier(notify, run) as notifier:
            run.close("finished")
            notifier.tell_end("finished")
        wait_for_notices()
    assert server.received == []


def test_who_can_not_be_told_is_named_in_the_log_and_the_run_is_none_the_worse(
    tmp_path: Path, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answer = 500
    path = run_to_its_end(tmp_path, f"notify.webhook={server.address}", "notify.command=exit 3")
    assert RunReader(path).status() == "finished"
    printed = capfd.readouterr().err
    assert "no notification that" in printed
    assert "notify.command: exit status 3" in printed
    assert "notify.webhook: the server answered 500" in printed


def test_an_address_in_an_environment_variable_stands_in_no_file_of_the_run(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_HOOK", server.address)
    path = run_to_its_end(tmp_path, "notify.webhook=$MY_HOOK")
    assert [notice["status"] for notice in server.received] == ["finished"]
    files = [file for file in path.rglob("*") if file.is_file()]
    assert any(b"$MY_HOOK" in file.read_bytes() for file in files)
    assert not any(server.address.encode() in file.read_bytes() for file in files)
    monkeypatch.delenv("MY_HOOK")
    run_to_its_end(tmp_path, "notify.webhook=$MY_HOOK")
    assert "notify.webhook: the environment variable MY_HOOK is not set" in capfd.readouterr().err


@pytest.mark.parametrize(
    "setting",
    [
        "webhook=http://127.0.0.1:1/TOKEN",
        "webhook=http://[TOKEN",
        "command=exit 3 # TOKEN",
        "webhook=http://TOKEN.invalid/x",
    ],
)
def test_what_can_not_be_sent_tells_no_token(tmp_path: Path, capfd: pytest.CaptureFixture[str], setting: str) -> None:
    config = load_config("digits", [f"notify.{setting}"]).notify
    send(config, Notice("run", str(tmp_path), "failed", "failed", "host", 0, 0))
    said = capfd.readouterr().err
    assert f"notify.{setting.partition('=')[0]}: " in said
    assert "TOKEN" not in said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.7", "[::1]"])
def test_a_redirect_to_a_local_address_is_not_followed_and_is_said(
    server: Server, capfd: pytest.CaptureFixture[str], host: str
) -> None:
    with Server.running() as target:
        server.answer, server.headers = 302, {"Location": f"http://{host}:{target.server_port}/admin?token=TOKEN"}
        send(NotifyConfig(webhook=server.address), Notice("run", "/runs/run", "failed", "failed", "host", 0, 0))
        assert target.requests == []
    assert server.requests == ["POST /hook"]
    said = capfd.readouterr().err
    assert f"notify.webhook: the server answered 302 and redirects to {host.strip('[]')}" in said
    assert "TOKEN" not in said


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_as_it_would_lose_the_notice(
    server: Server, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    server.answer, server.headers = status, {"Location": "http://hooks.example.org/TOKEN"}
    send(NotifyConfig(webhook=server.address), Notice("run", "/runs/run", "failed", "failed", "host", 0, 0))
    said = capfd.readouterr().err
    assert f"answered {status} and redirects to hooks.example.org, which is not followed" in said
    assert "TOKEN" not in said


def test_what_a_command_prints_is_in_the_log_without_the_words_of_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_HOOK", "https://example.org/OTHER-SECRET")
    command = "ls /nowhere/SECRET-1; echo told; echo $MY_HOOK; echo 'SECRET-2"
    send(NotifyConfig(command=command), Notice("run", str(tmp_path), "failed", "failed", "host", 0, 0))
    send(NotifyConfig(command=command + "'"), Notice("run", str(tmp_path), "failed", "failed", "host", 0, 0))
    said = capfd.readouterr().err
    assert "exit status 2" in said and "told\n" in said and "[redacted]" in said
    assert "SECRET" not in said


def test_a_command_that_leaves_a_program_in_the_background_is_not_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = f"sleep 60 & echo $! >{tmp_path / 'pid'}"
    send(NotifyConfig(command=command), Notice("run", str(tmp_path), "failed", "failed", "host", 0, 0))
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert capfd.readouterr().err == ""


def test_a_run_that_stands_still_is_told_once_until_it_moves_again(tmp_path: Path, server: Server) -> None:
    run, notify = new_run(tmp_path, webhook=server.address, stalled_minutes=0.002)

    def events(kind: str) -> list[dict[str, Any]]:
        run.flush()
        reader = RunReader(run.path)
        reader.poll()
        return [event for event in reader.events() if event["kind"] == kind]

    def wait_until(kind: str, count: int) -> None:
        for _ in range(300):
            if len(events(kind)) >= count:
                return
            time.sleep(0.05)
        pytest.fail(f"no event {kind}")

    with RunNotifier(notify, run):
        # Before its first step and while it is paused a run is expected to stand still.
        time.sleep(0.3)
        run.update_state(status="paused")
        time.sleep(0.3)
        assert events("stalled") == []
        run.update_state(status="running", phase="training", step=7)
        wait_until("stalled", 1)
        time.sleep(0.5)
        run.update_state(step=8)
        wait_until("note", 1)
        wait_until("stalled", 2)
    wait_for_notices()
    run.close("finished")
    assert [event["step"] for event in events("stalled")] == [7, 8]
    assert [notice["step"] for notice in server.received] == [7, 8]
    assert "no step for 0.002 minutes while training" in server.received[0]["text"]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be the address of a web server"):
        load_config("digits", ["notify.webhook=file:///etc/passwd"])
