"""The wheel, installed: each verb from folders whose files are named like modules of torchdeck, Python and torch.

By itself it is the verbs that start other processes; TORCHDECK_CAMPAIGN=full runs them all.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from campaign import is_full_campaign

ROOT = Path(__file__).parents[1]
QUICK = "--set training.epochs=2 --set loader.batch_size=256"

# The user's own, everyday in research repositories; each is imported by nobody who doesn't mean it.
OWN_NAMES = ("engine.py", "tui/__init__.py", "utils.py", "models.py", "presets.py")
# Files named like Python's and torch's, which the user's folder holds for whatever reason.
NAMES_OF_LIBRARIES = ("random.py", "types.py", "torch.py", "numpy.py", "typing.py", "signal.py", "contextlib.py")
# What `python -m` itself imports before any of our code runs can't be there for it.
NAMES_PYTHON_NEEDS = ("types.py", "contextlib.py")

WITH_WORKERS = f"{QUICK} --set loader.num_workers=2 --set data.storage=loader"
OF_THE_USER = "--set model.name=network.py:make --set mirror.tensorboard=true"
# What starts processes of its own: workers, a mirror, a run's watcher, a detached run, a search.
PROCESSES = {
    "workers": f"train digits {WITH_WORKERS} {OF_THE_USER} --name first",
    "detached": f"train digits {WITH_WORKERS} {OF_THE_USER} --name away --detach --json",
    "batch-find": "batch-find digits --memory 0.2 --json",
    "runs": "runs --json",
}
# Every other verb, in an order in which there is what the later ones need.
OTHERS = {
    "compile": f"train digits {QUICK} --name compiled --set training.compile=true",
    "resume": "resume first --set training.epochs=3",
    "fork": "fork first --name forked --set training.epochs=4",
    "show": "show first",
    "metrics": "metrics first",
    "pin": "pin first",
    "unpin": "unpin first",
    "tag": "tag first baseline",
    "note": "note first good",
    "rename": "rename forked other",
    "model": "model cnn",
    "checkpoint": "checkpoint {checkpoint}",
    "evaluate": "evaluate first",
    "compare": "compare first compiled",
    "export": "export first weights.safetensors",
    "batch": "batch digits --step 2",
    "list": "list presets",
    "lr-find": "lr-find digits --steps 10",
    "dry run": "train digits --dry-run",
    "delete": "delete other --yes",
    "sweep": "sweep search.toml",
    "queue": "queue add digits",
    "queued": "queue work --cpus 1 --until-empty",
    "slurm": "slurm digits --nodes 2 --gpus 4",
    "run": "run -- python -c print('loss=0.5')",
    "completion": "completion bash",
}
NEED_A_NETWORK = {"download"}
NEED_A_LIVE_RUN = {"send", "attach"}
STATUS_IS_THE_FINDING = {"doctor", "bench"}

MODEL = """
from torch import nn

import utils


def make(num_classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, utils.classes(num_classes)))
"""
SEARCH = """
name = "search"
[data]
validation = 0.2
[sweep]
trials = 1
epochs = 1
[sweep.space]
"optimizer.lr" = [0.001, 0.002]
"""
OWN_UTILS = "def classes(number):\n    return number\n"
RAISES = "raise SystemExit('a file of the user was imported: ' + __file__)\n"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed, which builds the wheel")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([uv, "build", "--quiet", "--out-dir", str(out), str(ROOT)], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel; libraries are those of this environment."""
    prefix = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(prefix)], check=True)
    python = prefix / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "--quiet", "--no-deps", "--python", str(python), str(wheel)], check=True)
    (packages,) = prefix.glob("lib/python*/site-packages")
    # A path only: the .pth files of that environment, with the checkout among them, don't count.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return prefix / "bin"


def own_files(folder: Path) -> Path:
    """A folder of a user whose files have our names, and those of every second research repository."""
    for name in OWN_NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(OWN_UTILS if name == "utils.py" else RAISES)
    (folder / "network.py").write_text(MODEL)
    (folder / "search.toml").write_text(SEARCH)
    return folder


def files_of_libraries(folder: Path, names: tuple[str, ...] = NAMES_OF_LIBRARIES) -> Path:
    """A folder in which importing the wrong file ends the process."""
    for name in names:
        (folder / name).write_text(RAISES)
    (folder / "network").mkdir()
    (folder / "network" / "network.py").write_text(MODEL)
    (folder / "network" / "utils.py").write_text(OWN_UTILS)
    (folder / "search.toml").write_text(SEARCH)
    return folder


class Shell:
    """Runs the installed command in a folder."""

    def __init__(self, command: list[str], folder: Path, **environment: str) -> None:
        self.folder = folder
        self._command = command
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._environment = {**inherited, "TORCHDECK_RUNS": "runs", **environment}

    def run(self, words: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [*self._command, *words.split()],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, f"{words}\n{result.stdout}\n{result.stderr}"
        assert "a file of the user was imported" not in result.stdout + result.stderr
        return result

    def finish(self, name: str) -> None:
        """Wait for the end of a detached run."""
        deadline = time.monotonic() + 300
        while (status := json.loads(self.run(f"show {name} --json").stdout)["status"]) in ("preparing", "running"):
            assert time.monotonic() < deadline, f"{name} goes on"
            time.sleep(1)
        assert status == "finished"


def run_every_verb(shell: Shell, *settings: str, short: Sequence[str]) -> None:
    """Run every verb there, or the `short` ones outside a full campaign; the first run has the settings."""
    network = "network.py:make" if (shell.folder / "network.py").exists() else "network/network.py:make"
    commands = {**PROCESSES, **OTHERS} if is_full_campaign() else {name: PROCESSES[name] for name in short}
    if settings:
        commands["workers"] = " --set ".join([commands["workers"], *settings])
    for words in commands.values():
        (checkpoint, *_) = [*shell.folder.glob("runs/first-*/checkpoints/last.pt"), ""]
        result = shell.run(words.replace("network.py:make", network).format(checkpoint=checkpoint))
        if "--detach" in words:
            shell.finish(Path(json.loads(result.stdout)["path"]).name)
    deadline = time.monotonic() + 120
    while not list(shell.folder.glob("runs/*/tensorboard/*tfevents*")):
        assert time.monotonic() < deadline, "no mirror of the curves"
        time.sleep(0.1)
    logs = {log.parent.name: log.read_text() for log in shell.folder.glob("runs/*/engine.log")}
    assert {name: log for name, log in logs.items() if "Traceback" in log or "was imported" in log} == {}


def test_the_wheel_holds_one_import_name_and_its_licenses(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"torchdeck"}
    here = {path.relative_to(ROOT).as_posix() for house in ("engine", "tui") for path in (ROOT / house).rglob("*.py")}
    assert {f"torchdeck/{path}" for path in here} <= set(names)
    for name in ("presets/digits.toml", "tui/studio.tcss", "py.typed", "engine/data/datasets/embedded/README.md"):
        assert f"torchdeck/{name}" in names
    licenses = [name.partition("/licenses/")[2] for name in names if "/licenses/" in name]
    assert sorted(licenses) == ["LICENSE", "engine/data/datasets/embedded/README.md"]


def test_the_archive_of_sources_holds_what_a_packager_needs(wheel: Path) -> None:
    import tarfile

    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "torchdeck/engine/errors.py"}
    assert wanted | {"tests/test_readme.py", "docs/config.md"} <= names


def test_every_verb_is_run() -> None:
    from torchdeck.tui.verbs.table import VERBS

    words = {command.split()[0] for command in {**PROCESSES, **OTHERS}.values()}
    assert set(VERBS) == words | NEED_A_NETWORK | NEED_A_LIVE_RUN | STATUS_IS_THE_FINDING


@pytest.mark.installed
def test_a_folder_with_own_files_of_our_names_on_the_path(installed: Path, tmp_path: Path) -> None:
    shell = Shell([str(installed / "torchdeck")], own_files(tmp_path), PYTHONPATH=".")
    # Workers start without the working directory on their path; what the user's code starts there has it again.
    (tmp_path / "aside.py").write_text("print('found')\n")
    (tmp_path / "work.py").write_text(
        "import subprocess\nimport sys\n\n\n"
        "def begin(worker):\n    subprocess.run([sys.executable, '-c', 'import aside'], check=True)\n"
    )
    run_every_verb(shell, "loader.worker_init=work.py:begin", short=("workers", "runs"))


@pytest.mark.installed
def test_a_folder_with_files_named_like_those_of_libraries(installed: Path, tmp_path: Path) -> None:
    shell = Shell([str(installed / "torchdeck")], files_of_libraries(tmp_path))
    run_every_verb(shell, short=("detached", "batch-find", "runs"))


@pytest.mark.installed
def test_as_a_module_it_is_the_same(installed: Path, tmp_path: Path) -> None:
    names = tuple(name for name in NAMES_OF_LIBRARIES if name not in NAMES_PYTHON_NEEDS)
    files_of_libraries(tmp_path, names)
    for module in ("torchdeck", "torchdeck.tui"):
        shell = Shell([str(installed / "python"), "-m", module], tmp_path)
        assert shell.run("--version").stdout.startswith("torchdeck, version")
    if is_full_campaign():
        shell.run(f"train digits {WITH_WORKERS}")
