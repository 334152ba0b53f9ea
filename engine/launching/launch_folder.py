"""The folder by which a launch of several processes is described to them, and by which they answer what started them.

It lies in the user's state folder and is private: `launch.json`, `config.toml`, the processes' first output, and what
they tell before the run has a directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..config.file import dump_config, parse_config
from ..files.documents import DocumentError, parse_json
from ..files.durable import atomic_write
from ..files.regular_file import open_for_appending, read_regular_file
from ..files.state_folder import state_folder

_LAUNCHES = "launches"
_MOST_BYTES = 4 << 20
_SHOWN_BYTES = 4096


@dataclass(frozen=True)
class Launch:
    """What several processes are started for.

    Attributes:
        launch_id: names the launch in every life of its processes.
        config: the run's config.
        runs_root: folder of a new run.
        argv: the command that started it.
        part_of: what `run.json` says of the sweep, the trial or the job that the run belongs to.
        run: the run to resume; None for a new one.
        checkpoint: where to resume it from; None for the newest.
        overrides: changes to the config of a resumed run.
        has_begun: whether processes of this launch have already resumed `run`.
    """

    launch_id: str
    config: RunConfig
    runs_root: Path
    argv: tuple[str, ...] = ()
    part_of: Mapping[str, Any] = field(default_factory=dict)
    run: Path | None = None
    checkpoint: Path | None = None
    overrides: tuple[str, ...] = ()
    has_begun: bool = False


class LaunchFolder:
    """Reads and writes the folder of a launch."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._told = ""

    @classmethod
    def make(cls, launch: Launch) -> LaunchFolder:
        """Describe a launch in a folder of its own."""
        folder = state_folder() / _LAUNCHES / launch.launch_id
        folder.mkdir(parents=True, mode=0o700)
        atomic_write(folder / "config.toml", dump_config(launch.config).encode(), durable=False, mode=0o600)
        described = {
            "launch_id": launch.launch_id,
            "runs_root": str(launch.runs_root.absolute()),
            "argv": list(launch.argv),
            "part_of": dict(launch.part_of),
            "run": str(launch.run.absolute()) if launch.run is not None else None,
            "checkpoint": str(launch.checkpoint.absolute()) if launch.checkpoint is not None else None,
            "overrides": list(launch.overrides),
        }
        atomic_write(folder / "launch.json", json.dumps(described).encode(), durable=False, mode=0o600)
        return cls(folder)

    def read(self) -> Launch:
        """What the launch is for."""
        value: Any = parse_json(read_regular_file(self.path / "launch.json", _MOST_BYTES))
        config = self.path / "config.toml"
        return Launch(
            launch_id=value["launch_id"],
            config=parse_config(read_regular_file(config, _MOST_BYTES).decode(), str(config)),
            runs_root=Path(value["runs_root"]),
            argv=tuple(value["argv"]),
            part_of=value["part_of"],
            run=Path(value["run"]) if value["run"] else None,
            checkpoint=Path(value["checkpoint"]) if value["checkpoint"] else None,
            overrides=tuple(value["overrides"]),
            has_begun=self.run_path() is not None,
        )

    def agree(self, described: Launch) -> None:
        """Take over the name that the processes of all machines gave the launch: a later life knows it by that."""
        value: Any = parse_json(read_regular_file(self.path / "launch.json", _MOST_BYTES))
        value["launch_id"] = described.launch_id
        atomic_write(self.path / "launch.json", json.dumps(value).encode(), durable=False, mode=0o600)

    def take_output(self, rank: int) -> None:
        """Send descriptors 1 and 2 of this process to its log in the folder."""
        self._output = self.path / f"{rank}.log"
        _point_output_at(self._output)

    def move_output(self, log: Path) -> None:
        """Send them to a log of the run from now on, which begins with what was printed so far."""
        log.parent.mkdir(exist_ok=True)
        descriptor = open_for_appending(log)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            file.write(self._output.read_bytes()[-_MOST_BYTES:])
        _point_output_at(log)
        # Of a later life, only what is new.
        with contextlib.suppress(OSError):
            self._output.unlink()

    def tell_progress(self, message: str) -> None:
        """Say what is being prepared."""
        if message and message != self._told:
            self._told = message
            self._write("message", message)

    def tell_path(self, run: Path) -> None:
        """Say which directory the run has."""
        self._write("run", str(run))

    def refuse(self, words: str, rank: int) -> None:
        """Say why the run can't start. Of several processes, the first one's word counts."""
        self._write(f"refused-{rank}", words)

    def fail(self, words: str, rank: int) -> None:
        """Say what failed in a process other than the first while it trained."""
        self._write(f"failed-{rank}", f"process {rank}: {words}")

    def tell_part(self, rank: int, largest_part: int) -> None:
        """Say how many samples a process may put through its model at once in its next life."""
        self._write(f"part-{rank}", str(largest_part))

    def largest_part(self, rank: int) -> int:
        """What `tell_part` was told in an earlier life; 0 for whole batches."""
        return int(self._read(f"part-{rank}") or 0)

    def message(self) -> str:
        """What is being prepared."""
        return self._read("message")

    def run_path(self) -> Path | None:
        """The run's directory; None before it is made."""
        text = self._read("run")
        return Path(text) if text else None

    def refusal(self) -> str:
        """Why the run could not start; empty where it could."""
        return self._first("refused-*")

    def failure(self) -> str:
        """What failed in one of the processes while they trained."""
        return self._first("failed-*")

    @property
    def agent_log(self) -> Path:
        """Where the agent of the processes prints."""
        return self.path / "agent.log"

    def agent_output(self) -> str:
        """The end of what the agent printed."""
        return _end_of(self.agent_log)

    def last_output(self) -> str:
        """The end of what the processes and their agent printed before the run had a log."""
        texts = [_end_of(log) for log in sorted(self.path.glob("*.log"))]
        return "\n".join(text for text in texts if text)

    def remove(self) -> None:
        """Remove the folder."""
        with contextlib.suppress(OSError):
            for file in self.path.iterdir():
                file.unlink()
            self.path.rmdir()

    def _first(self, pattern: str) -> str:
        names = sorted(self.path.glob(pattern), key=lambda path: int(path.name.rpartition("-")[2]))
        texts = [self._read(path.name) for path in names]
        # Where one process failed, the others only say that it did.
        own = [text for text in texts if not text.startswith("process ")]
        return next(iter([*own, *texts]), "")

    def _write(self, name: str, text: str) -> None:
        # Without it the run trains all the same, and its directory tells how.
        with contextlib.suppress(OSError):
            atomic_write(self.path / name, text.encode(errors="replace"), durable=False, mode=0o600)

    def _read(self, name: str) -> str:
        try:
            return read_regular_file(self.path / name, _MOST_BYTES).decode(errors="replace")
        except (OSError, DocumentError):
            return ""


def new_launch_id() -> str:
    """A name for a launch that no other has."""
    return secrets.token_hex(8)


def _end_of(log: Path) -> str:
    with contextlib.suppress(OSError):
        return log.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace").strip()
    return ""


def _point_output_at(log: Path) -> None:
    descriptor = open_for_appending(log)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
