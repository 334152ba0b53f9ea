"""A run is forked or resumed from the shell after it has trained all its epochs, and by two at once."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from warm_python import warm_python

from torchdeck.engine.build import check_start
from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.runs.reader import RunReader

ROOT = Path(__file__).parents[3]
SMALL = ("model.name=mlp", "loader.batch_size=512", "training.epochs=1", "training.device=cpu")


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*warm_python(), "-m", "torchdeck", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def ended(*arguments: str) -> tuple[int, str, str]:
    process = started(*arguments)
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch that has finished."""
    settings = [word for setting in SMALL for word in ("--set", setting)]
    runs = tmp_path_factory.mktemp("runs")
    status, output, errors = ended("train", "digits", *settings, "--runs", str(runs), "--json")
    assert status == 0, errors
    return Path(json.loads(output)["path"])


def test_a_fork_with_used_up_epochs_names_a_number_that_starts_it_in_form_dry_run_and_start(trained: Path) -> None:
    status, _, start = ended("fork", str(trained), "--runs", str(trained.parent))
    assert status == 2
    proposal = re.search(
        r"training\.epochs = 1: \S+ has trained 1 epoch, which leaves none; set more, such as (\d+)", start
    )
    assert proposal is not None, start
    overrides = [*SMALL, f"start_from={next((trained / 'checkpoints').glob('step-*.pt'))}"]
    with pytest.raises(ConfigError) as form:
        check_start(load_config("digits", overrides))
    settings = [word for setting in overrides for word in ("--set", setting)]
    _, _, dry_run = ended("train", "digits", *settings, "--dry-run")
    assert str(form.value) in start and str(form.value) in dry_run
    assert [path.name for path in trained.parent.iterdir()] == [trained.name]
    more = ("--set", f"training.epochs={proposal[1]}", "--json", "--runs", str(trained.parent))
    status, output, errors = ended("fork", str(trained), *more)
    assert status == 0, errors
    fork = json.loads(output)
    assert (fork["status"], fork["epoch"]) == ("finished", int(proposal[1]))


def test_of_two_resumes_at_once_one_trains_and_the_other_names_its_process(trained: Path) -> None:
    words = ("resume", str(trained), "--set", "training.epochs=1000000", "--runs", str(trained.parent))
    processes = [started(*words), started(*words)]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.1)
        loser, winner = sorted(processes, key=lambda process: process.poll() is None)
        _, errors = loser.communicate(timeout=300)
        assert loser.returncode in (1, 2)
        assert f"is being trained by process {RunReader(trained).owner_pid()}; stop it first" in errors
        assert winner.poll() is None
        winner.send_signal(signal.SIGTERM)
        winner.communicate(timeout=120)
        assert winner.returncode == 128 + signal.SIGTERM
        reader = RunReader(trained)
        reader.poll()
        assert reader.status() == "stopped" and reader.skipped_lines == 0
        steps = reader.series("train/loss")[0].tolist()
        assert steps == list(range(1, len(steps) + 1))
    finally:
        for process in processes:
            process.kill()
            process.wait()
