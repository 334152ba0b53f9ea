"""`torchdeck completion`: what a shell is offered; by a real bash where it is about bash."""

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from torchdeck.engine.config.file import dump_config, load_config
from torchdeck.engine.runs.on_disk.directory import create_run_directory
from torchdeck.tui.commands import torchdeck
from torchdeck.tui.verbs.table import VERBS

ROOT = Path(__file__).parents[3]
MODEL = "def make_small():\n    ...\n\n\ndef make_large():\n    ...\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder: a run with checkpoints, configs, a model; `torchdeck` is a command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHDECK_RUNS", "runs")
    run = create_run_directory(tmp_path / "runs", dump_config(load_config("digits")), {}, "first")
    run.rename(run.with_name("first"))
    for name in ("step-000000002.pt", "step-000000001.pt", "last.pt"):
        (tmp_path / "runs" / "first" / "checkpoints" / name).touch()
    (tmp_path / "mine.toml").touch()
    (tmp_path / "two words.toml").touch()
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "models.py").write_text(MODEL)
    (tmp_path / "nets" / "weights.safetensors").touch()
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "torchdeck"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m torchdeck "$@"\n')
    command.chmod(0o755)
    return tmp_path


def offered(*words: str) -> list[str]:
    """What is offered for the last word."""
    *before, incomplete = words
    items = ShellComplete(torchdeck, {}, "torchdeck", "").get_completions(before, incomplete)
    return [item.value for item in items]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("tr",), ["train"]),
        (("finet",), ["finetune-resnet18"]),
        (("train", "--deta"), ["--detach"]),
        (("train", "fin"), ["finetune-resnet18"]),
        (("train", "m"), ["mine.toml"]),
        (("train", "ne"), ["nets"]),
        (("show", ""), ["first"]),
        (("runs", "--sort", "x"), []),
        (("show", "--runs", "elsewhere", ""), []),
        (("evaluate", "nets/"), ["nets/weights.safetensors"]),
        (("evaluate", "f"), ["first"]),
        (("resume", "first", "--from", ""), ["step-000000002.pt", "step-000000001.pt", "last.pt"]),
        (("pin", "first", "la"), ["last.pt"]),
        (("pin", "unknown", ""), []),
        (("checkpoint", "runs/first/checkpoints/l"), ["runs/first/checkpoints/last.pt"]),
        (("send", "first", "p"), ["pause", "profile"]),
        (("send", "first", "save", ""), []),
        (("batch", "fi"), ["first", "finetune-resnet18"]),
        (("download", "Fashion"), ["FashionMNIST"]),
        (("model", "resnet1"), ["resnet101", "resnet152", "resnet18"]),
        (("model", "nets/models.py:make_s"), ["nets/models.py:make_small"]),
        (("list", "mod"), ["models"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("train", "digits", "--set", "optimizer.l"), ["optimizer.lr=", "optimizer.layer_decay="]),
        (("train", "digits", "--set", "data.storage=m"), ["data.storage=memory", "data.storage=mmap"]),
        (("train", "digits", "--set", "training.compile=t"), ["training.compile=true"]),
        (("train", "digits", "--set", "data.dataset=FashionM"), ["data.dataset=FashionMNIST"]),
        (("train", "digits", "--set", "nothing="), []),
        (("digits", "--set", "training.ep"), ["training.epochs="]),
        (("lr-find", "digits", "--set", "training.ep"), ["training.epochs="]),
    ],
)
def test_what_is_offered(words: tuple[str, ...], expected: list[str], folder: Path) -> None:
    assert offered(*words) == expected


def test_a_first_word_is_a_verb_or_opens_the_studio(folder: Path) -> None:
    first = offered("")
    assert set(VERBS) <= set(first)
    assert {"digits", "mine.toml", "nets"} <= set(first)
    assert len(first) == len(set(first))
    assert {"--help", "--version", "--set", "--graphics"} <= set(offered("-"))


@pytest.mark.parametrize("verb", VERBS)
def test_options_of_every_verb_are_offered(verb: str) -> None:
    assert "--help" in offered(verb, "--")


class Terminal:
    """An interactive bash that has the script loaded."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
            environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PS1": "> ", "TERM": "dumb"}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
        show = "show() { printf '<%s>' \"$@\"; echo; }"
        self.send(f'eval "$(torchdeck completion bash)"; {show}; echo rea""dy\n')
        self.until("ready\r\n> ")

    def send(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def until(self, text: str) -> str:
        """Read until the text has come; what came."""
        seen = ""
        while text not in seen:
            assert select.select([self.terminal], [], [], 60)[0], seen
            seen += os.read(self.terminal, 4096).decode(errors="replace")
        return seen

    def close(self) -> None:
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


@pytest.fixture
def bash(folder: Path) -> Iterator[Terminal]:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    terminal = Terminal(folder)
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("torchdeck tra\t", "<train>"),
        ("torchdeck train fin\t", "<train><finetune-resnet18>"),
        ("torchdeck train digits --set optimizer.lr\t0.1", "<train><digits><--set><optimizer.lr=0.1>"),
        ("torchdeck train digits --set data.storage=mm\t", "<train><digits><--set><data.storage=mmap>"),
        ("torchdeck train digits --set training.compile=\tt\t", "<train><digits><--set><training.compile=true>"),
        ("torchdeck model nets/models.py:make_s\t", "<model><nets/models.py:make_small>"),
        ("torchdeck model ne\tmod\t", "<model><nets/models.py>"),
        ("torchdeck train two\t", "<train><two words.toml>"),
        ("torchdeck resume fi\t--from la\t", "<resume><first><--from><last.pt>"),
    ],
)
def test_bash_completes_what_is_typed(typed: str, line: str, bash: Terminal) -> None:
    bash.send(typed)
    # What stands on the line now is shown by a command in place of ours.
    bash.send("\x01show \n")
    assert line in bash.until("\n> ")


def test_every_shell_gets_a_script(folder: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        result = run_command("completion", shell)
        assert (result.returncode, result.stderr) == (0, "")
        assert f"_TORCHDECK_COMPLETE={shell}_complete" in result.stdout
        if shutil.which(shell) is not None:
            subprocess.run([shell, "-n"], input=result.stdout, text=True, check=True)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered(shell: str, folder: Path) -> None:
    words = {"COMP_WORDS": "torchdeck train fin", "COMP_CWORD": "2" if shell == "zsh" else "fin"}
    result = run_command(_TORCHDECK_COMPLETE=f"{shell}_complete", **words)
    assert "finetune-resnet18" in result.stdout
    assert result.stdout.startswith("plain")


def test_no_torch_is_imported_for_a_completion(folder: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from torchdeck.tui.cli import main; main()"
    for words in ("train fin", "show fi", "model res", "train digits --set opt", "list mod"):
        cursor = str(len(words.split()))
        result = run_command(
            code=code, _TORCHDECK_COMPLETE="bash_complete", COMP_WORDS=f"torchdeck {words}", COMP_CWORD=cursor
        )
        assert result.stdout.startswith("plain,"), (words, result.stderr)


def run_command(*arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "torchdeck"]
    return subprocess.run(
        [sys.executable, "-P", *program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
