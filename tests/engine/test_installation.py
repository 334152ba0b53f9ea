"""The command that adds an extra is the one for how torchdeck was installed."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from torchdeck.engine.machine.installation import Installation, install_command, this_installation

WHEEL = {"url": "file:///wheels/torchdeck-0.1.0-py3-none-any.whl", "archive_info": {}}
TIMM = "timm<2,>=1.0.15"
OF_UV = "home = /usr/bin\nimplementation = CPython\nuv = 0.13.9\n"


def environment(prefix: Path, config: str = "home = /usr/bin\n", **values: object) -> Installation:
    prefix.mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text(config)
    made = Installation(prefix, str(prefix / "bin" / "python"), requirements={"timm": [TIMM]})
    return replace(made, **values)  # type: ignore[arg-type]


def test_a_tool_of_uv_keeps_what_it_was_installed_with(tmp_path: Path) -> None:
    tool = environment(tmp_path / "tools" / "torchdeck", OF_UV, has_pip=False)
    (tool.prefix / "uv-receipt.toml").write_text(
        '[tool]\nrequirements = [{ name = "torchdeck", extras = ["onnx"] }, { name = "scipy", specifier = ">=1" }]\n'
    )
    assert tool.kind == "uv tool"
    assert tool.command(extra="timm") == "uv tool install 'torchdeck[onnx,timm]' --with 'scipy>=1'"
    assert tool.command("h5py") == "uv tool install 'torchdeck[onnx]' --with 'scipy>=1' --with h5py"


def test_what_was_installed_from_a_file_is_installed_from_it_again(tmp_path: Path) -> None:
    tool = environment(tmp_path / "tools" / "torchdeck", OF_UV, direct_url=WHEEL)
    (tool.prefix / "uv-receipt.toml").write_text("[tool]\nrequirements = [{ name = 'torchdeck' }]\n")
    assert shlex.split(tool.command(extra="timm"))[-1] == f"torchdeck[timm] @ {WHEEL['url']}"
    pip = environment(tmp_path / "venv", direct_url=WHEEL)
    assert shlex.split(pip.command(extra="timm"))[-1] == f"torchdeck[timm] @ {WHEEL['url']}"


def test_what_was_installed_from_git_is_installed_from_there_again(tmp_path: Path) -> None:
    git = {"url": "https://host/torchdeck.git", "vcs_info": {"vcs": "git", "commit_id": "0a1b"}}
    pip = environment(tmp_path / "venv", direct_url=git)
    assert shlex.split(pip.command(extra="timm"))[-1] == "torchdeck[timm] @ git+https://host/torchdeck.git@0a1b"


def test_pipx_injects(tmp_path: Path) -> None:
    pipx = environment(tmp_path / "pipx" / "venvs" / "torchdeck", has_pip=False)
    (pipx.prefix / "pipx_metadata.json").write_text("{}")
    assert pipx.kind == "pipx"
    assert pipx.command(extra="timm") == f"pipx inject torchdeck '{TIMM}'"
    assert pipx.command("scipy") == "pipx inject torchdeck scipy"


@pytest.mark.parametrize("folder", ["archive-v0", "builds-v0", "environments-v2"])
def test_an_environment_for_one_command_is_asked_for_anew(folder: str, tmp_path: Path) -> None:
    uvx = environment(tmp_path / ".cache" / "uv" / folder / "Xy12", OF_UV, has_pip=False)
    assert uvx.kind == "uvx"
    assert uvx.command(extra="timm") == "uvx --from 'torchdeck[timm]' torchdeck"
    assert uvx.command("scipy") == "uvx --with scipy torchdeck"
    of_wheel = replace(uvx, direct_url=WHEEL)
    assert of_wheel.command("scipy") == f"uvx --from 'torchdeck @ {WHEEL['url']}' --with scipy torchdeck"


def project(folder: Path, **values: object) -> Installation:
    made = environment(folder / ".venv", OF_UV, has_pip=False, working_directory=folder, **values)
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    return made


def test_a_checkout_is_synchronized(tmp_path: Path) -> None:
    folder = tmp_path / "torch deck"
    editable = {"url": f"file://{tmp_path}/torch%20deck", "dir_info": {"editable": True}}
    checkout = project(folder, direct_url=editable)
    assert checkout.kind == "checkout"
    assert checkout.command(extra="timm") == "uv sync --extra timm"
    (folder / "runs").mkdir()
    assert replace(checkout, working_directory=folder / "runs").command(extra="timm") == "uv sync --extra timm"
    elsewhere = replace(checkout, working_directory=tmp_path)
    assert shlex.split(elsewhere.command(extra="timm")) == ["uv", "sync", "--project", str(folder), "--extra", "timm"]
    assert shlex.split(checkout.command("scipy"))[-3:] == ["--python", str(folder / ".venv"), "scipy"]


def test_a_project_that_depends_on_it_adds_to_its_dependencies(tmp_path: Path) -> None:
    user = project(tmp_path / "research")
    assert user.kind == "uv project"
    assert user.command(extra="timm") == "uv add 'torchdeck[timm]'"
    assert user.command("scipy") == "uv add scipy"


def test_an_environment_with_pip_uses_its_own(tmp_path: Path) -> None:
    pip = environment(tmp_path / "venv")
    assert pip.kind == "pip"
    assert pip.command(extra="timm") == f"{tmp_path}/venv/bin/python -m pip install 'torchdeck[timm]'"
    assert pip.command("scipy") == f"{tmp_path}/venv/bin/python -m pip install scipy"


def test_an_environment_of_uv_has_no_pip(tmp_path: Path) -> None:
    venv = environment(tmp_path / "venv", OF_UV, has_pip=False)
    assert venv.kind == "uv venv"
    assert venv.command(extra="timm") == f"uv pip install --python {tmp_path}/venv 'torchdeck[timm]'"


def test_where_it_runs_is_found_out() -> None:
    here = this_installation()
    assert (here.prefix / "pyvenv.cfg").is_file() or here.kind == "pip"
    assert here.requirements["timm"][0].startswith("timm")
    assert json.dumps(here.direct_url)
    assert "timm" in install_command(extra="timm")


def test_finding_out_leaves_torch_able_to_compile() -> None:
    """Torch's compiler imports setuptools, which can't be imported once something has looked for the module `pip`."""
    code = (
        "from torchdeck.engine.machine.installation import this_installation; this_installation()\n"
        "import torch.utils.cpp_extension"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
