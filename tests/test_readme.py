"""What README and docs tell a reader to type works, what they link is there, what they show is valid."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from warm_python import warm_python

from torchdeck.engine.config.file import parse_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INSTALL = "python3 -m pip install uv && uv run torchdeck"
RUN_TESTS = "uv run pytest -n auto"
# Downloads gigabytes, or writes into the checkout; tests/test_installed_wheel.py installs and runs the wheel.
INSTALL_WHEEL = re.compile(r"uv build --wheel|(?:uv tool install|pipx install|uvx --from) .*dist/(\S+\.whl).*")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str

    @property
    def file_name(self) -> str:
        """What its first comment calls it; empty when it names no file."""
        found = re.match(r"# (\S+\.(?:py|toml))\n", self.text)
        return found.group(1) if found else ""


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [Block(language, text) for language, text in found]


def commands(page: Path) -> list[str]:
    lines = [line.strip() for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


class Shell:
    """Runs commands as a reader would, in a folder of its own: this checkout's torchdeck, without uv around it.

    Each is a fork of a process that has torch imported already: the pages have dozens of commands. As processes that
    begin from nothing, tests/test_installed_wheel.py runs them.
    """

    def __init__(self, folder: Path) -> None:
        python = warm_python()
        self._folder = folder
        tools = folder / ".tools"
        tools.mkdir()
        for name, command in (("torchdeck", (*python, "-m", "torchdeck")), ("python", python)):
            file = tools / name
            file.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
            file.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TORCHDECK_RUNS": "runs",
        }

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def wait_until_nothing_trains(self) -> None:
        deadline = time.monotonic() + 120
        while any(run["status"] in ("preparing", "running", "paused") for run in self._runs()):
            assert time.monotonic() < deadline, "the run goes on"
            time.sleep(0.2)

    def _runs(self) -> list[dict[str, str]]:
        return json.loads(self.run("torchdeck runs --json").stdout)


def as_run_here(command: str) -> str:
    """The command as this test runs it: short where it would take long, without a screen where it opens one."""
    command = command.removeprefix("uv run ")
    if command.startswith("python benchmarks/"):
        script = command.split()[1]
        return f"python {ROOT / script} --help"
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_the_page_works(page: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for block in blocks(page):
        if block.file_name:
            (tmp_path / block.file_name).write_text(block.text, encoding="utf-8")
    for command in commands(page):
        if command in (INSTALL, RUN_TESTS) or INSTALL_WHEEL.fullmatch(command):
            continue
        result = shell.run(as_run_here(command))
        if command.endswith("doctor"):
            # Its status is what it found on this machine.
            assert result.returncode in (0, 1)
            assert "torch" in result.stdout
            continue
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr, command
        if " send " in f" {command} " and " stop" in command:
            shell.wait_until_nothing_trains()


def test_the_install_line_is_the_one_that_works_on_a_fresh_machine(tmp_path: Path) -> None:
    assert INSTALL in commands(ROOT / "README.md")
    assert Shell(tmp_path).run("torchdeck --version").stdout.startswith("torchdeck, version ")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'torchdeck = "torchdeck.tui.cli:main"' in project
    assert "python3 -m pip install" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_wheel_that_is_installed_is_the_one_that_is_built() -> None:
    installs = [found for command in commands(ROOT / "README.md") if (found := INSTALL_WHEEL.fullmatch(command))]
    assert [words.split()[0] for words in (found[0] for found in installs)] == ["uv", "uv", "pipx", "uvx", "uv"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {found[1] for found in installs if found[1]} == {f"torchdeck-{version}-py3-none-any.whl"}


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_knows_the_options_of_the_readme() -> None:
    for command in commands(ROOT / "README.md"):
        if command.startswith(("uv tool install", "uvx")):
            verb = command.split(" dist/")[0].split(" -")[0].split()
            shown = subprocess.run([*verb, "--help"], capture_output=True, text=True, check=True).stdout
            assert all(option in shown for option in re.findall(r"--[\w-]+", command)), command


def test_the_readme_reads_well_where_links_into_the_checkout_lead_nowhere() -> None:
    """An index shows the README away from the checkout; a picture is its description there."""
    text = re.sub(r"!\[[^\]]+\]\([^)]+\)", "", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target] == []


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    assert RUN_TESTS in commands(ROOT / "README.md")
    assert RUN_TESTS in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_the_page_links_is_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_folder_and_file_of_the_checkout_that_the_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:benchmarks|presets|docs|engine|tui|tests)/[\w./-]*)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


TOML_BLOCKS = [
    pytest.param(block.text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page))
    if block.language == "toml"
]


@pytest.mark.parametrize("text", TOML_BLOCKS)
def test_every_config_that_is_shown_is_valid(text: str) -> None:
    parse_config(text, "the page")


def test_every_page_of_the_docs_is_linked_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"docs/{page.name}" not in text] == []
