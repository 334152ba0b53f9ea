"""Where torch can't be imported, what reads runs works, and what needs torch says so in one line."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_terminal import StudioTerminal, studio_in_terminal
from warm_python import warm_python
from without_torch import CAUSE, broken_cuda, half_installed

from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.verbs.table import VERBS

ROOT = Path(__file__).parents[2]
COLD = (sys.executable,)
TRAIN = (*warm_python(), "-m", "torchdeck", "train", "digits", "--set", "loader.batch_size=256")

NEEDING = {
    "train": "train digits",
    "train --dry-run": "train digits --dry-run",
    "resume": "resume first --set training.epochs=9",
    "fork": "fork first",
    "evaluate": "evaluate first",
    "export": "export first out.safetensors",
    "model": "model cnn",
    "batch": "batch digits",
    "download": "download USPS --root data",
    "lr-find": "lr-find digits",
    "batch-find": "batch-find digits",
    "bench": "bench mlp",
    "list transforms": "list transforms",
    "list optimizers": "list optimizers",
    "list schedules": "list schedules",
    "checkpoint --norms": "checkpoint runs/first/checkpoints/last.pt --norms",
}
WORKING = {
    "runs": "first",
    "show first": "step-000000012.pt",
    "metrics first --epochs": "validation/accuracy",
    "checkpoint runs/first/checkpoints/last.pt": "optimizer_state_dict",
    "compare first second": "weights not compared: torch can't be imported",
    "pin first": "is pinned",
    "unpin first": "is no longer pinned",
    "tag first baseline": "baseline",
    "note first good": "note written",
    "rename second third": "third",
    "delete second --yes": "freed",
    "list presets": "finetune-resnet18",
    "list datasets": "FashionMNIST",
    "list models": "resnet18",
    "queue list": "no jobs in runs/queue",
    "slurm digits --nodes 2": "srun torchdeck train digits",
    "run -- echo loss=0.5": "loss=0.5",
    "completion bash": "complete -o",
    "--help": "attach",
    "train --help": "PRESET|FILE.toml",
}
# The studio; what is sent to a live run; whose status is what it finds; whose trials need torch.
TESTED_BY_THEMSELVES = {"attach", "send", "doctor", "sweep"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs, "first" and "second"."""
    folder = tmp_path_factory.mktemp("trained")
    for name, rate in (("first", "0.003"), ("second", "0.01")):
        settings = ("--set", "training.epochs=2", "--set", f"optimizer.lr={rate}", "--name", name)
        subprocess.run([*TRAIN, *settings], cwd=folder, env=environment(), check=True, capture_output=True)
        (made,) = (folder / "runs").glob(f"{name}-*")
        made.rename(made.with_name(name))
    return folder


def environment(*path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))), "TORCHDECK_RUNS": "runs"}


def run(command: str, folder: Path, blocked: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "torchdeck", *command.split()],
        cwd=folder,
        env=environment(blocked),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    (tmp_path / "blocked").mkdir()
    return broken_cuda(tmp_path / "blocked")


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the runs that a test may change."""
    return shutil.copytree(trained, tmp_path / "work", symlinks=True)


def test_every_verb_is_said_to_need_torch_or_not_to() -> None:
    words = {command.split()[0] for command in (*NEEDING, *WORKING)} | TESTED_BY_THEMSELVES
    assert set(VERBS) <= words


def test_torch_is_blocked_in_these_tests(blocked: Path, tmp_path: Path) -> None:
    importing = [sys.executable, "-c", "import torch"]
    result = subprocess.run(importing, env=environment(blocked), capture_output=True, text=True)
    assert CAUSE in result.stderr


@pytest.mark.parametrize("command", WORKING)
def test_what_reads_runs_works(command: str, folder: Path, blocked: Path) -> None:
    result = run(command, folder, blocked)
    assert result.returncode == 0, result.stderr
    assert WORKING[command] in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("verb", NEEDING)
def test_what_needs_torch_says_so_in_one_line(verb: str, folder: Path, blocked: Path) -> None:
    before = sorted((folder / "runs").iterdir())
    result = run(NEEDING[verb], folder, blocked)
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("measuring")]
    assert (
        line == f"torchdeck: {verb} needs torch, which can't be imported: OSError: {CAUSE}: No such file or directory"
    )
    assert result.returncode in (1, 2)
    assert sorted((folder / "runs").iterdir()) == before
    assert not (folder / "out.safetensors").exists()


@pytest.mark.parametrize("command", ["train digits", "evaluate first", "batch-find digits"])
def test_the_cause_is_one_line_where_torch_is_half_there(command: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    result = run(command, folder, half_installed(tmp_path / "half"))
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f"torchdeck: {command.split()[0]} needs torch, which can't be imported: ImportError: Failed"
    )
    assert line.endswith(CAUSE)


def test_a_comparison_has_settings_and_metrics(folder: Path, blocked: Path) -> None:
    result = run("compare first second --json", folder, blocked)
    compared: dict[str, Any] = json.loads(result.stdout)
    assert compared["settings"]["optimizer.lr"] == [0.003, 0.01]
    assert None not in compared["metrics"]["accuracy"]
    assert compared["modules"] == []
    assert CAUSE in compared["weights_note"]


def test_a_sweep_without_a_trial_that_can_train_has_failed(folder: Path, blocked: Path) -> None:
    (folder / "search.toml").write_text(
        'data.dataset = "digits"\ndata.validation = 0.2\n[sweep]\ntrials = 1\nmetric = "accuracy"\n'
        '[sweep.space]\n"optimizer.lr" = [0.1, 0.01]\n'
    )
    result = run("sweep search.toml", folder, blocked)
    assert result.returncode == 1
    assert f"train needs torch, which can't be imported: OSError: {CAUSE}" in result.stdout


def test_the_doctor_names_the_cause_and_goes_on(folder: Path, blocked: Path) -> None:
    result = run("doctor --json", folder, blocked)
    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert result.returncode == 1
    assert CAUSE in findings["torch"]["found"]
    assert findings["disk"]["verdict"] == "ok"


def test_the_package_is_imported(blocked: Path) -> None:
    command = [sys.executable, "-P", "-c", "import torchdeck; print(torchdeck.__name__)"]
    result = subprocess.run(command, env=environment(blocked), capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("torchdeck\n", "")


@pytest.fixture
def live() -> Iterator[RunReader]:
    """A run that another process trains, with torch; in a folder with a short path, as sockets have it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [*TRAIN, "--set", "training.epochs=100000", "--name", "afar"]
        with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            word, path = process.stdout.readline().split()
            assert word == "run"
            try:
                yield RunReader(folder / path)
            finally:
                process.kill()
                # The run's process, which ends with this one, holds the other end of the pipe.
                process.stdout.read()


STUDIO = """
import os
import sys

os.environ["PYTHONPATH"] = {path!r}
sys.path.insert(0, {blocked!r})
import sitecustomize  # Python has imported another, or none.

exec(open(os.path.join({blocked!r}, "sitecustomize.py")).read())
from torchdeck.tui.cli import main

sys.exit(main())
"""


def test_a_run_is_sent_commands(live: RunReader, blocked: Path) -> None:
    result = run(f"send {live.path.name} save --runs {live.path.parent}", live.path.parent, blocked)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_studio_watches_a_live_run_and_browses(live: RunReader, blocked: Path) -> None:
    program = STUDIO.format(path=f"{blocked}{os.pathsep}{ROOT}", blocked=str(blocked))
    with studio_in_terminal(live.path.parent.parent, "attach", program=("-c", program), python=COLD) as studio:
        _watch(studio, live)
        studio.press("5")
        studio.until_shown("Checkpoints")
        studio.press("7")
        studio.until_shown("Log")
        studio.press("2")
        studio.until_shown("this needs torch, which can't be imported")
        # The last one is the studio's own output.
        studio.choose_log_source("G", "output")
        studio.until_shown(f"torch can't be imported: OSError: {CAUSE}")
        assert "Traceback" not in studio.screen()
        studio.press("q")
        assert studio.exit_status() == 0


def _watch(studio: StudioTerminal, live: RunReader) -> None:
    """The Train pane shows the run of another process, and its keys reach it."""
    studio.until_shown("afar")
    studio.until_shown("accuracy")
    studio.press("P")
    studio.until(lambda: live.status() == "paused")
    studio.until_shown("paused")
    studio.press("P")
    studio.until(lambda: live.status() == "running")


def test_a_run_that_the_studio_cannot_train_is_refused_in_one_line(tmp_path: Path, blocked: Path) -> None:
    program = STUDIO.format(path=f"{blocked}{os.pathsep}{ROOT}", blocked=str(blocked))
    with studio_in_terminal(tmp_path, "digits", program=("-c", program), python=COLD) as studio:
        studio.until_shown("Data")
        studio.press("S")
        studio.until_shown("Start the run")
        studio.press("y")
        studio.until_shown("train needs torch, which can't be imported: OSError")
        studio.until_shown("Nothing was written")
        studio.press("q")
        assert studio.exit_status() == 0
    assert list(studio.runs.glob("*")) == []
