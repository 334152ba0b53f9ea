"""A run that is asked to end while torch compiles ends without waiting for the compiler, and goes on later."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_python import warm_python

from torchdeck.engine.runs.control import send
from torchdeck.engine.runs.reader import RunReader

SETTINGS = ("training.device=cpu", "training.epochs=1", "loader.batch_size=256", "model={name='mlp',hidden=[8]}")


def command(verb: str, what: str, *settings: str, runs: Path) -> list[str]:
    words = [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]
    return [*warm_python(), "-m", "torchdeck", verb, what, *words, "--runs", str(runs)]


@pytest.fixture
def compiling(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], RunReader]]:
    """A run whose compiler takes minutes, once that has been called."""
    called, compiler = tmp_path / "called", tmp_path / "programs" / "g++"
    compiler.parent.mkdir()
    answers = 'case "$1" in --version|-dump*) exec g++ "$@";; esac'
    compiler.write_text(f"#!/bin/sh\nPATH=/usr/bin:/usr/local/bin; {answers}\ntouch {called}\nexec sleep 40\n")
    compiler.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{compiler.parent}:{os.environ['PATH']}",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "compiled"),
    }
    process = subprocess.Popen(
        command("train", "digits", "training.compile=true", runs=tmp_path / "runs"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    try:
        deadline = time.monotonic() + 120
        while not called.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield process, RunReader(next(path for path in (tmp_path / "runs").iterdir() if path.name[0] != "."))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("asked_by", ["signal", "send"])
def test_it_ends_with_the_state_before_its_first_step(
    asked_by: str, compiling: tuple[subprocess.Popen[str], RunReader], tmp_path: Path
) -> None:
    process, run = compiling
    assert run.state()["phase"] == "compiling"
    if asked_by == "signal":
        process.send_signal(signal.SIGTERM)
    else:
        assert send(run.path, {"cmd": "stop"})["ok"]
    # The compiler would take longer.
    printed, _ = process.communicate(timeout=25)
    assert process.returncode == (128 + signal.SIGTERM if asked_by == "signal" else 0)
    assert "torch.compile did not end after the stop request: saved as before the first step" in printed
    assert "to resume: " in printed
    run.poll()
    assert run.status() == "stopped"
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [0]
    resumed = subprocess.run(
        command("resume", str(run.path), "training.compile=false", runs=run.path.parent),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert resumed.returncode == 0, resumed.stderr
    run.poll()
    assert run.series("train/loss")[0].tolist() == list(range(1, run.progress().total_steps + 1))
