"""How torchdeck was installed, and so the command that adds what an extra needs."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

NAME = "torchdeck"

Kind = Literal["uv tool", "pipx", "uvx", "checkout", "uv project", "uv venv", "pip"]

# Folders of uv's cache that hold environments made for one command.
_EPHEMERAL = ("archive-v0", "builds-v0", "environments-v2")


@dataclass(frozen=True)
class Installation:
    """Where torchdeck is installed, and by what.

    Attributes:
        prefix: the environment's folder.
        executable: its Python.
        direct_url: what dist-info's direct_url.json says; empty when it came from an index.
        working_directory: where commands are typed.
        has_pip: whether pip is in the environment.
        requirements: of each extra, the packages.
    """

    prefix: Path
    executable: str
    direct_url: dict[str, Any] = field(default_factory=dict)
    working_directory: Path = Path()
    has_pip: bool = True
    requirements: dict[str, list[str]] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """What made the environment, and is to change it."""
        if (self.prefix / "uv-receipt.toml").is_file():
            return "uv tool"
        if (self.prefix / "pipx_metadata.json").is_file():
            return "pipx"
        is_of_uv = "\nuv = " in f"\n{_text(self.prefix / 'pyvenv.cfg')}"
        if is_of_uv and set(_EPHEMERAL) & set(self.prefix.parts):
            return "uvx"
        if is_of_uv and (project := self._project) is not None:
            return "checkout" if self._is_editable and project == self._source else "uv project"
        return "pip" if self.has_pip else "uv venv"

    def command(self, *packages: str, extra: str = "") -> str:
        """The shell command that installs an extra of torchdeck, or other packages, where torchdeck is."""
        match self.kind:
            case "uv tool":
                words = self._uv_tool(packages, extra)
            case "pipx":
                words = ["pipx", "inject", NAME, *packages, *self.requirements.get(extra, [])]
            case "uvx":
                source = ["--from", self._requirement(extra)] if extra or self.direct_url else []
                words = ["uvx", *source, *_each("--with", packages), NAME]
            case "checkout" if extra and not packages:
                words = ["uv", "sync", *self._in_project, "--extra", extra]
            case "uv project":
                words = ["uv", "add", *self._in_project, *packages, *([self._requirement(extra)] if extra else [])]
            case "uv venv" | "checkout":
                wanted = [*packages, *([self._requirement(extra)] if extra else [])]
                words = ["uv", "pip", "install", "--python", str(self.prefix), *wanted]
            case _:
                wanted = [*packages, *([self._requirement(extra)] if extra else [])]
                words = [self.executable, "-m", "pip", "install", *wanted]
        return shlex.join(words)

    def _uv_tool(self, packages: tuple[str, ...], extra: str) -> list[str]:
        """What was asked for so far, and the new: `uv tool install` forgets what it is not told again."""
        receipt = tomllib.loads(_text(self.prefix / "uv-receipt.toml"))
        kept: list[dict[str, Any]] = receipt.get("tool", {}).get("requirements", [])
        extras = {name for entry in kept if entry["name"] == NAME for name in entry.get("extras", [])}
        others = [entry["name"] + entry.get("specifier", "") for entry in kept if entry["name"] != NAME]
        requirement = self._requirement(*sorted(extras | ({extra} if extra else set())))
        return ["uv", "tool", "install", requirement, *_each("--with", (*others, *packages))]

    def _requirement(self, *extras: str) -> str:
        named = [extra for extra in extras if extra]
        words = f"{NAME}[{','.join(named)}]" if named else NAME
        url = str(self.direct_url.get("url", ""))
        if vcs := self.direct_url.get("vcs_info"):
            url = f"{vcs['vcs']}+{url}@{vcs.get('requested_revision') or vcs['commit_id']}"
        return f"{words} @ {url}" if url and not self._is_editable else words

    @property
    def _is_editable(self) -> bool:
        return bool(self.direct_url.get("dir_info", {}).get("editable"))

    @property
    def _source(self) -> Path:
        return Path(unquote(urlsplit(self.direct_url.get("url", "")).path))

    @property
    def _project(self) -> Path | None:
        """The project whose environment this is: uv makes it in the project's folder."""
        folder = self.prefix.parent
        return folder if self.prefix.name == ".venv" and (folder / "pyproject.toml").is_file() else None

    @property
    def _in_project(self) -> list[str]:
        project = self._project
        if project is None or self.working_directory.resolve().is_relative_to(project.resolve()):
            return []
        return ["--project", str(project)]


def install_command(*packages: str, extra: str = "") -> str:
    """The shell command that adds an extra of torchdeck, or other packages, to this very installation."""
    return this_installation().command(*packages, extra=extra)


def this_installation() -> Installation:
    """The installation that this process runs from."""
    try:
        direct_url = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        direct_url = {}
    return Installation(
        prefix=Path(sys.prefix),
        executable=sys.executable,
        direct_url=direct_url,
        working_directory=Path(os.getcwd()),
        has_pip=_is_installed("pip"),
        requirements=_requirements(),
    )


def _is_installed(package: str) -> bool:
    """Whether a package has metadata here.

    Not by looking for its module: setuptools takes a look for `pip` as a sign that pip runs, and can't be imported in
    this process afterwards, which torch.compile does.
    """
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _requirements() -> dict[str, list[str]]:
    """The packages of each extra, as the metadata has them: `timm<2,>=1.0.15; extra == 'timm'`."""
    found: dict[str, list[str]] = {}
    try:
        lines = requires(NAME) or []
    except PackageNotFoundError:
        return {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        if "extra ==" in marker:
            found.setdefault(marker.partition("extra ==")[2].strip(" '\""), []).append(requirement.strip())
    return found


def _each(option: str, values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
