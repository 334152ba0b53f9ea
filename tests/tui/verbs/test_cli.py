"""The command line as users see it: processes, their output and their exit statuses.

Most are forks of a process that has torch imported already (tests/warm_python.py); the first run of the module is a
process that begins from nothing.
"""

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from campaign import is_full_campaign
from warm_python import warm_python

ROOT = Path(__file__).parents[3]
FAST = ["--set", "training.epochs=2", "--set", "loader.batch_size=128"]


def torchdeck(
    *arguments: str, cwd: Path | None = None, python: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(python or warm_python()), "-m", "torchdeck", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
    )


def document(result: subprocess.CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run of two epochs."""
    root = tmp_path_factory.mktemp("runs")
    arguments = ("train", "digits", *FAST, "--name", "first", "--runs", str(root), "--json")
    summary = document(torchdeck(*arguments, python=(sys.executable,)))
    assert summary["status"] == "finished"
    return root


def test_train_ends_with_one_json_document(runs: Path, tmp_path: Path) -> None:
    result = torchdeck("train", "digits", *FAST, "--runs", str(tmp_path), "--json")
    summary = document(result)
    assert {"run", "status", "epoch", "step", "metrics", "best", "checkpoint"} <= summary.keys()
    assert summary["status"] == "finished"
    assert summary["epoch"] == 2
    assert set(summary["metrics"]) >= {"loss", "accuracy", "macro_f1"}
    assert Path(summary["checkpoint"]).is_file()
    assert result.stderr == ""


def test_the_same_seed_gives_the_same_numbers_and_run_toml_repeats_the_run(runs: Path, tmp_path: Path) -> None:
    first = next(runs.iterdir())
    repeated = document(torchdeck("train", str(first / "run.toml"), "--runs", str(tmp_path), "--json"))
    shown = document(torchdeck("show", "first", "--runs", str(runs), "--json"))
    assert repeated["metrics"] == shown["metrics"]


def test_train_without_a_terminal_prints_plain_lines(tmp_path: Path) -> None:
    result = torchdeck("train", "digits", *FAST, "--runs", str(tmp_path))
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert "epoch   2  train loss" in result.stdout
    assert "finished" in result.stdout


def test_train_on_a_terminal_shows_bars_and_each_epoch(tmp_path: Path) -> None:
    command = [*warm_python(), "-m", "torchdeck", "train", "digits", *FAST, "--runs", str(tmp_path)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(command[0], command)
    received = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            received += data
    _, status = os.waitpid(pid, 0)
    text = received.decode(errors="replace")
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert "━" in text
    assert "epoch   2" in text
    assert "finished at epoch 2" in text


def test_a_reader_that_goes_away_does_not_end_the_run(tmp_path: Path) -> None:
    train = (*warm_python(), "-m", "torchdeck", "train", "digits", "--set", "training.epochs=3")
    command = f"{shlex.join(train)} --runs {tmp_path} | head -n 1"
    subprocess.run(["sh", "-c", command], cwd=ROOT, check=True, capture_output=True)
    deadline = time.monotonic() + 60
    while (run := document(torchdeck("runs", "--runs", str(tmp_path), "--json"))[0])["status"] == "running":
        assert time.monotonic() < deadline
    assert run["status"] == "finished"


def test_runs_lists_what_is_there(runs: Path) -> None:
    (run,) = document(torchdeck("runs", "--runs", str(runs), "--json"))
    assert (run["status"], run["epoch"], run["epochs"]) == ("finished", 2, 2)
    assert "finished" in torchdeck("runs", "--runs", str(runs)).stdout


def test_runs_of_an_empty_folder_says_how_to_make_one(tmp_path: Path) -> None:
    result = torchdeck("runs", "--runs", str(tmp_path / "nothing"))
    assert result.returncode == 0
    assert "torchdeck train digits" in result.stdout


def test_show_tells_config_state_metrics_and_checkpoints(runs: Path) -> None:
    shown = document(torchdeck("show", "first", "--runs", str(runs), "--json"))
    assert shown["config"]["training"]["epochs"] == 2
    assert shown["status"] == "finished"
    assert len(shown["epochs"]) == 2
    assert [checkpoint["epoch"] for checkpoint in shown["checkpoints"]] == [2, 1]


def test_an_unknown_run_names_the_nearest(runs: Path) -> None:
    result = torchdeck("show", "frist", "--runs", str(runs))
    assert result.returncode == 2
    assert "first" in result.stderr
    assert "Traceback" not in result.stderr


def test_checkpoint_tells_what_is_inside(runs: Path) -> None:
    file = next(runs.glob("*/checkpoints/last.pt"))
    inside = document(torchdeck("checkpoint", str(file), "--json"))
    assert inside["epoch"] == 2
    assert {"model_state_dict", "optimizer_state_dict", "epoch"} <= set(inside["keys"])
    assert all({"name", "shape", "dtype", "bytes"} <= tensor.keys() for tensor in inside["tensors"])


def test_resume_of_a_finished_run_says_how_to_train_more(runs: Path) -> None:
    result = torchdeck("resume", "first", "--runs", str(runs))
    assert result.returncode == 2
    assert "training.epochs=4" in result.stderr


def test_resume_with_more_epochs_goes_on_and_says_what_is_not_exact(tmp_path: Path) -> None:
    document(torchdeck("train", "digits", *FAST, "--name", "grow", "--runs", str(tmp_path), "--json"))
    result = torchdeck("resume", "grow", "--set", "training.epochs=3", "--runs", str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "training.epochs: 2 → 3" in result.stdout
    (run,) = document(torchdeck("runs", "--runs", str(tmp_path), "--json"))
    assert (run["status"], run["epoch"]) == ("finished", 3)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_and_the_run_goes_on_exactly(number: int, status: int, tmp_path: Path) -> None:
    command = [
        *warm_python(),
        "-m",
        "torchdeck",
        "train",
        "digits",
        "--set",
        "training.epochs=400",
        "--runs",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    assert "to resume: torchdeck resume" in out
    (run,) = document(torchdeck("runs", "--runs", str(tmp_path), "--json"))
    assert run["status"] == "stopped"
    result = torchdeck("resume", run["name"], "--set", f"training.epochs={run['epoch'] + 1}", "--runs", str(tmp_path))
    assert result.returncode == 0, result.stderr


def test_detach_returns_while_the_run_trains(tmp_path: Path) -> None:
    answer = document(
        torchdeck("train", "digits", "--set", "training.epochs=3", "--detach", "--runs", str(tmp_path), "--json")
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        (run,) = document(torchdeck("runs", "--runs", str(tmp_path), "--json"))
        if run["status"] == "finished":
            break
        time.sleep(0.2)
    assert run["status"] == "finished"
    assert answer["run"] == run["name"]
    assert Path(answer["path"]).is_dir()


def test_detach_reports_what_is_wrong_before_it_returns(tmp_path: Path) -> None:
    result = torchdeck(
        "train", "digits", "--set", "optimizer.name=AdanW", "--detach", "--runs", str(tmp_path / "runs")
    )
    assert result.returncode == 2
    assert "did you mean 'AdamW'" in result.stderr
    assert not (tmp_path / "runs").exists()


BROKEN_FILES = {
    "syntax.py": "def make(:\n",
    "raises.py": "raise RuntimeError('no licence')\n",
    "empty.py": "",
}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["training.epcohs=3"], "did you mean 'epochs'"),
        (["training.epochs=ten"], "must be a whole number"),
        (["training.epochs=0"], "must be at least 1"),
        (["data.dataset=CIFAR11"], "did you mean 'CIFAR10'"),
        (["data.dataset=CIFAR10", "data.validation=test", "data.root=/nonexistent"], "/nonexistent"),
        (["model.name=resnet19"], "did you mean 'resnet18'"),
        (["model.widht=3"], "widht"),
        (['data.train_transforms=[{name="RandomCorp", size=8}]'], "did you mean 'RandomCrop'"),
        (['data.train_transforms=[{name="RandomCrop", sizes=8}]'], "did you mean 'size'"),
        (["optimizer.name=AdanW"], "did you mean 'AdamW'"),
        (["schedule.name=CosineAnealingLR"], "did you mean 'CosineAnnealingLR'"),
        (["model.name=syntax.py:make"], "syntax.py"),
        (["model.name=raises.py:make"], "no licence"),
        (["model.name=empty.py:make"], "make"),
        (["model.name=missing.py:make"], "missing.py"),
        (['model.freeze=["*"]'], "nothing is left to train"),
    ],
)
def test_a_config_that_can_not_be_trained_is_one_message_exit_2_and_nothing_written(
    overrides: list[str], expected: str, tmp_path: Path
) -> None:
    for name, text in BROKEN_FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    arguments = [part for override in overrides for part in ("--set", override)]
    result = torchdeck("train", "digits", *arguments, "--runs", "made", cwd=tmp_path)
    assert result.returncode == 2, (result.stdout, result.stderr)
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "made").exists()


def test_a_damaged_toml_file_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('name = "x"\n[training\nepochs = 3\n', encoding="utf-8")
    result = torchdeck("train", "run.toml", cwd=tmp_path)
    assert result.returncode == 2
    assert "line 2" in result.stderr


def test_a_misspelt_verb_names_the_nearest() -> None:
    result = torchdeck("trian", "digits")
    assert result.returncode == 2
    assert "train" in result.stderr


@pytest.mark.parametrize("catalog", ["datasets", "transforms", "models", "presets", "optimizers", "schedules"])
def test_list_prints_a_catalog(catalog: str) -> None:
    entries = document(torchdeck("list", catalog, "--json"))
    assert entries
    assert all("name" in entry for entry in entries)


def test_model_prints_the_tree() -> None:
    report = document(torchdeck("model", "resnet18", "--memory", "--batch-size", "8", "--json"))
    assert report["params"] == 11_689_512
    row = next(module for module in report["modules"] if module["path"] == "layer1.0.conv1")
    assert {"path", "type", "params", "trainable", "output_shape", "flops"} <= row.keys()
    assert (row["type"], row["params"], row["output_shape"][-3:]) == ("Conv2d", 36_864, [64, 56, 56])
    assert report["memory"]["batch_size"] == 8
    assert report["memory"]["parameters"] == 4 * report["params"]
    assert report["memory"]["largest_batch"] > 8


@pytest.mark.parametrize("argument", ["channels=[4]", "model.channels=[4]"])
def test_an_argument_of_the_model_may_be_written_as_in_train(argument: str) -> None:
    report = document(torchdeck("model", "cnn", "--set", argument, "--json"))
    assert {module["path"] for module in report["modules"]} >= {"features.0", "classifier"}
    assert "features.2" not in {module["path"] for module in report["modules"]}


def test_doctor_looks_at_everything() -> None:
    result = torchdeck("doctor", "--json")
    subjects = {finding["subject"] for finding in json.loads(result.stdout)}
    assert {"python", "torch", "compile", "memory", "disk", "terminal"} <= subjects


def test_help_names_every_verb() -> None:
    result = torchdeck("--help")
    assert result.returncode == 0
    for verb in (
        "train",
        "resume",
        "runs",
        "show",
        "send",
        "model",
        "checkpoint",
        "batch",
        "download",
        "list",
        "doctor",
    ):
        assert verb in result.stdout


def test_the_studio_without_a_terminal_says_that_it_needs_one() -> None:
    result = torchdeck("digits")
    assert result.returncode != 0
    assert "terminal" in result.stderr
    assert "Traceback" not in result.stderr


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_every_verb_prints_utf8_whatever_the_locale_says(tmp_path: Path) -> None:
    """In a locale without those characters Python by itself would refuse to print a single one."""
    (tmp_path / "net-é.pt").write_bytes(b"no checkpoint")
    environment = {**os.environ, **ASCII, "TORCHDECK_RUNS": str(tmp_path / "runs-ü")}
    verbs = [["runs"], ["list", "presets"], ["checkpoint", "net-é.pt"], ["show", "ü"], ["--help"]]
    # It imports torch, and tries its compiler.
    verbs += [["doctor"]] if is_full_campaign() else []
    for verb in verbs:
        done = subprocess.run(
            [sys.executable, "-m", "torchdeck", *verb], capture_output=True, cwd=tmp_path, env=environment, timeout=120
        )
        output = (done.stdout + done.stderr).decode("utf-8")
        assert "Traceback" not in output and "UnicodeEncodeError" not in output, (verb, output)
        assert done.returncode in (0, 1, 2), verb
