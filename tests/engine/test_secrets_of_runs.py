"""A secret setting is in no file that a run leaves, and the run uses it all the same."""

import io
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from notice_server import Server
from warm_python import warm_python

from torchdeck.engine.config.file import find_config

SETTINGS = (
    "training.device=cpu",
    "training.num_threads=1",
    "schedule.warmup_epochs=0",
    "notify.after_minutes=0",
    "notify.on=['finished','stopped','failed']",
    "mirror.tensorboard=true",
)
TOKEN = "T0KEN-of-the-user"


class Bench:
    """A user whose webhook and command hold a token, and what was printed and sent."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.runs, self.told, self.server = folder / "runs", folder / "told", server
        self.webhook = f"{server.address}/{TOKEN}"
        # As a broken one would, it prints itself.
        self.command = f'echo {TOKEN}; printf "%s {TOKEN}\\n" "$TORCHDECK_STATUS" >>{self.told}'
        self.printed = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return "--set", f"notify.webhook={self.webhook}", "--set", f"notify.command={self.command}"

    def torchdeck(self, *words: str, settings: tuple[str, ...] = SETTINGS) -> int:
        changes = [part for setting in settings for part in ("--set", setting)]
        return self.run(*words, *changes, "--runs", str(self.runs))

    def run(self, *words: str) -> int:
        command = [*warm_python(), "-m", "torchdeck", *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.printed += result.stdout + result.stderr
        return result.returncode

    @property
    def newest(self) -> Path:
        return max(self.runs.iterdir(), key=lambda run: run.stat().st_mtime)

    def notified(self) -> list[str]:
        """The ends of which the command and the webhook were told alike."""
        statuses = [notice["status"] for notice in self.server.received]
        assert self.told.read_text() == "".join(f"{status} {TOKEN}\n" for status in statuses)
        return statuses


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Server.running() as server:
        yield Bench(tmp_path, server)


def files_with_token(folder: Path) -> list[str]:
    """Files below a folder that hold the token, and members of the archives among them."""
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        content = file.read_bytes()
        members = {"": content}
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members |= {name: archive.read(name) for name in archive.namelist()}
        found += [f"{file.relative_to(folder)} {name}" for name, part in members.items() if TOKEN.encode() in part]
    return found


def test_after_runs_resumes_forks_and_failures_only_the_users_private_file_holds_it(bench: Bench) -> None:
    one, two = "training.epochs=1", "training.epochs=2"
    assert bench.torchdeck("train", "digits", "--name", "first", *bench.secrets, settings=(*SETTINGS, one)) == 0
    first = bench.newest
    # Nothing is set again: the reference is enough.
    assert bench.torchdeck("resume", str(first), settings=(two,)) == 0
    assert bench.torchdeck("fork", str(first), settings=("training.epochs=3",)) == 0
    assert bench.torchdeck("fork", str(first / "checkpoints" / "last.pt"), "--weights", settings=(one,)) == 0
    assert bench.torchdeck("train", "digits", *bench.secrets, settings=(*SETTINGS, "optimizer.lr=1e30")) == 1
    assert bench.notified() == ["finished"] * 4 + ["failed"]
    assert len(list(first.glob("tensorboard/*"))) == 1
    assert files_with_token(bench.runs) == []
    out = bench.runs.parent / "out.safetensors"
    assert bench.run("show", str(first), "--json") == 0
    assert bench.run("runs", "--runs", str(bench.runs), "--json") == 0
    assert bench.run("checkpoint", str(first / "checkpoints" / "last.pt"), "--json") == 0
    assert bench.run("export", str(first), str(out)) == 0
    assert files_with_token(out.parent) == ["state/torchdeck/secrets.json ", "told "]
    assert TOKEN not in bench.printed and "secret:" in bench.printed
    argv = json.loads((first / "run.json").read_text())["argv"]
    assert sum(word.startswith(("notify.webhook=secret:", "notify.command=secret:")) for word in argv) == 2


def test_a_detached_run_that_is_stopped_shows_it_neither_in_its_process_nor_in_its_files(bench: Bench) -> None:
    slow = (*SETTINGS, "training.epochs=500")
    assert bench.torchdeck("train", "digits", "--detach", *bench.secrets, settings=slow) == 0
    state = json.loads((bench.newest / "state.json").read_text())
    words = Path(f"/proc/{state['pid']}/cmdline").read_bytes()
    assert TOKEN.encode() not in words and b"notify.webhook=secret:" in words
    ended(state["pid"], signal.SIGTERM)
    assert bench.notified() == ["stopped"]
    assert files_with_token(bench.runs) == []
    assert TOKEN not in bench.printed


def test_the_watcher_of_a_killed_run_was_told_by_the_run_and_not_by_its_folder(bench: Bench) -> None:
    slow = (*SETTINGS, "training.epochs=500")
    assert bench.torchdeck("train", "digits", "--detach", *bench.secrets, settings=slow) == 0
    run = bench.newest
    planted = run.parent.parent / "planted"
    (run / "run.toml").write_text(f'[notify]\nafter_minutes = 0\ncommand = "touch {planted}"\n')
    ended(json.loads((run / "state.json").read_text())["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not bench.server.received or not bench.told.exists():
        assert time.monotonic() < deadline, "nobody was told"
        time.sleep(0.05)
    assert bench.notified() == ["died"]
    assert not planted.exists()
    assert files_with_token(bench.runs) == []


def test_a_config_file_of_the_user_with_a_secret_leaves_it_there(bench: Bench, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    digits = find_config("digits").read_text()
    own.write_text(f"{digits}\n[notify]\nwebhook = '{bench.webhook}'\ncommand = '''{bench.command}'''\n")
    assert bench.torchdeck("train", str(own), settings=(*SETTINGS, "training.epochs=1")) == 0
    assert bench.notified() == ["finished"]
    assert files_with_token(bench.runs) == []


def test_a_secret_that_an_editor_put_into_a_runs_config_is_taken_out_when_it_resumes(bench: Bench) -> None:
    assert bench.torchdeck("train", "digits", settings=(*SETTINGS, "training.epochs=1")) == 0
    run = bench.newest
    toml = (run / "run.toml").read_text()
    (run / "run.toml").write_text(toml.replace('webhook = ""', f'webhook = "{bench.webhook}"'))
    assert bench.torchdeck("resume", str(run), settings=("training.epochs=2",)) == 2
    assert "--trust-code" in bench.printed and TOKEN not in bench.printed
    assert bench.torchdeck("resume", str(run), "--trust-code", settings=("training.epochs=2",)) == 0
    assert [notice["status"] for notice in bench.server.received] == ["finished"]
    assert files_with_token(bench.runs) == []


def test_a_run_carried_to_another_machine_says_that_its_secrets_are_not_there_and_trains(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = (*SETTINGS, "training.epochs=1")
    assert bench.torchdeck("train", "digits", *bench.secrets, settings=one) == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other-home"))
    copy = bench.runs / "copy-20260101-000000-abcd"
    shutil.copytree(bench.newest, copy)
    bench.server.received.clear()
    bench.printed = ""
    assert bench.torchdeck("resume", str(copy), settings=("training.epochs=2",)) == 0
    log = (copy / "engine.log").read_text()
    events = [json.loads(line) for line in (copy / "events.jsonl").read_text().splitlines()]
    notes = [event["text"] for event in events if event["kind"] == "note"]
    for setting in ("notify.webhook", "notify.command"):
        assert f"{setting} = 'secret:" in bench.printed
        assert any(text.startswith(setting) and "not on this machine" in text for text in notes)
        assert f"{setting}: {setting} = 'secret:" in log
    assert bench.server.received == []
    again = ("--set", f"notify.webhook={bench.webhook}", "--set", "notify.command=")
    assert bench.torchdeck("resume", str(copy), *again, settings=("training.epochs=3",)) == 0
    assert [notice["status"] for notice in bench.server.received] == ["finished"]
    assert files_with_token(bench.runs) == []


def ended(pid: int, by: signal.Signals) -> None:
    """Send a process a signal, and wait for its end."""
    os.kill(pid, by)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.05)
