"""The queue's folder: `queue/` in the folder of the runs.

queue.json       whether it is paused
N.json           a job: what it needs, its place in the order, how it stands
N.toml           the config of its run
N.lock           held by the worker that watches the job; N.run by the process that trains it
N.log            what its processes printed
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..config.file import dump_config
from ..config.run import RunConfig
from ..config.secret_settings import with_secrets_kept
from ..detached.detached_run import RunFiles
from ..detached.file_lock import FileLock, is_locked, wait_for_lock
from ..errors import ConfigError, RunError
from ..files.durable import atomic_write, make_folder
from ..files.json_values import number, to_json, whole_number
from ..launching.absolute_paths import with_absolute_paths
from ..runs.on_disk.directory import read_json_object

QUEUE = "queue"

JobState = Literal["waiting", "running", "finished", "stopped", "failed"]
_STATES: tuple[JobState, ...] = ("waiting", "running", "finished", "stopped", "failed")


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        number: its number, which it keeps.
        name: name of its run.
        state: waiting, running, finished, stopped or failed.
        place: where it stands among those that wait; smaller ones come first.
        gpus: how many GPUs it needs, or places on a machine without.
        memory: bytes that each of them must have free; 0 for what its worker estimates.
        added: when it was added, in seconds since 1970.
        attempts: how often its run was started or resumed.
        out_of_memory: how often it was put back because there was no memory at its start.
        run: name of its run's directory; empty before there is one.
        where: the places it has or had, such as "gpu 0".
        error: why it failed.
    """

    number: int
    name: str
    state: JobState = "waiting"
    place: float = 0.0
    gpus: int = 1
    memory: int = 0
    added: float = 0.0
    attempts: int = 0
    out_of_memory: int = 0
    run: str = ""
    where: str = ""
    error: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("finished", "stopped", "failed")


class Queue:
    """The jobs of one folder. Any number of processes may use it at a time.

    Attributes:
        path: the queue's folder.
    """

    def __init__(self, runs_root: Path) -> None:
        """The queue beside some runs; its folder is made with the first job."""
        self.path = runs_root / QUEUE

    @property
    def runs_root(self) -> Path:
        """The folder of the runs that the jobs make."""
        return self.path.parent

    def jobs(self) -> list[Job]:
        """All jobs: those that ended, then the running ones, then those that wait, each in their order."""
        try:
            names = [entry.name for entry in os.scandir(self.path) if entry.name.endswith(".json")]
        except OSError:
            return []
        numbers = sorted(int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdecimal())
        jobs = [job for number in numbers if (job := self.job(number)) is not None]
        order = {"finished": 0, "stopped": 0, "failed": 0, "running": 1, "waiting": 2}
        return sorted(jobs, key=lambda job: (order[job.state], job.place if job.state == "waiting" else job.number))

    def job(self, number: int) -> Job | None:
        """One job; None where there is none of this number."""
        values = read_json_object(self._file(number, "json"))
        return _job(number, values) if values else None

    def named(self, number: int) -> Job:
        """One job. Raises ConfigError where there is none of this number."""
        job = self.job(number)
        if job is None:
            known = ", ".join(str(each.number) for each in self.jobs()) or "none"
            raise ConfigError(f"job {number}: there is no such job in {self.path}; there are: {known}")
        return job

    def waiting(self) -> list[Job]:
        """The jobs that wait, in their order."""
        return [job for job in self.jobs() if job.state == "waiting"]

    def add(self, config: RunConfig, *, gpus: int = 1, memory: int = 0) -> Job:
        """Put a run at the end of the queue. Raises RunError where it can't be written."""
        config = with_secrets_kept(with_absolute_paths(config))
        with self.changing():
            jobs = self.jobs()
            job = Job(
                number=max((each.number for each in jobs), default=0) + 1,
                name=config.name,
                place=max((each.place for each in jobs), default=0.0) + 1.0,
                gpus=gpus,
                memory=memory,
                added=time.time(),
            )
            _write(self._file(job.number, "toml"), dump_config(config).encode(), mode=0o600)
            self.write(job)
        return job

    def remove(self, number: int) -> Job:
        """Take a job that is not running out of the queue. Raises ConfigError."""
        with self.changing():
            job = self.named(number)
            if job.state == "running":
                raise ConfigError(
                    f"job {number}: its run {job.run or job.name} is training; stop it first: "
                    f"torchdeck send {job.run or job.name} stop"
                )
            for ending in ("json", "toml", "log", "lock", "run"):
                self._file(number, ending).unlink(missing_ok=True)
        return job

    def move(self, number: int, to: int) -> Job:
        """Give a waiting job another place: 1 for the next to start. Raises ConfigError."""
        with self.changing():
            job = self.named(number)
            if job.state != "waiting":
                raise ConfigError(f"job {number}: is {job.state}; only a job that waits can be moved")
            others = [each for each in self.waiting() if each.number != number]
            at = min(max(to - 1, 0), len(others))
            before = others[at - 1].place if at > 0 else (others[0].place - 2.0 if others else 0.0)
            after = others[at].place if at < len(others) else before + 2.0
            moved = replace(job, place=(before + after) / 2)
            self.write(moved)
        return moved

    def write(self, job: Job) -> None:
        """Note how a job stands. Raises RunError."""
        values = {key: value for key, value in asdict(job).items() if key != "number"}
        _write(self._file(job.number, "json"), to_json(values))

    def is_paused(self) -> bool:
        """Whether no further job starts."""
        return read_json_object(self.path / "queue.json").get("paused") is True

    def pause(self, paused: bool = True) -> None:
        """Start no further job, on any machine; or start them again."""
        self._make()
        _write(self.path / "queue.json", to_json({"paused": paused}))

    def is_watched(self, job: Job) -> bool:
        """Whether a worker watches a job."""
        return is_locked(self.lock_file(job))

    def lock_file(self, job: Job) -> Path:
        """Held by the worker that watches a job."""
        return self._file(job.number, "lock")

    def files(self, job: Job) -> RunFiles:
        """The files beside a job's run."""
        return RunFiles(*(self._file(job.number, ending) for ending in ("toml", "run", "log")))

    def slots_folder(self) -> Path:
        """Where the locks of places lie that only this queue uses."""
        self._make()
        folder = self.path / "slots"
        make_folder(folder)
        return folder

    def changing(self) -> FileLock:
        """Held while jobs are added, taken or moved. Raises RunError where the folder can't be used."""
        self._make()
        return wait_for_lock(self.path / "queue.lock")

    def _make(self) -> None:
        try:
            make_folder(self.path)
        except OSError as error:
            raise RunError(f"{self.path}: can't be made: {error.strerror or error}") from error

    def _file(self, number: int, ending: str) -> Path:
        return self.path / f"{number:04d}.{ending}"


def _job(number_: int, values: dict[str, Any]) -> Job:
    """A job from its file; what is missing or wrong there is as in a new one."""
    state = values.get("state")
    return Job(
        number=number_,
        name=str(values.get("name", "run")),
        state=next((known for known in _STATES if known == state), "failed"),
        place=number(values.get("place")) or 0.0,
        gpus=max(1, whole_number(values.get("gpus"))),
        added=number(values.get("added")) or 0.0,
        memory=whole_number(values.get("memory")),
        attempts=whole_number(values.get("attempts")),
        out_of_memory=whole_number(values.get("out_of_memory")),
        run=str(values.get("run", "")),
        where=str(values.get("where", "")),
        error=str(values.get("error", "")),
    )


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    try:
        atomic_write(path, content, mode=mode)
    except OSError as error:
        raise RunError(f"{path}: can't be written: {error.strerror or error}") from error
