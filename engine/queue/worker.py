"""A worker of the queue: starts each job where there is a place for it, and notes how it ends.

A job whose worker has died is found by its lock, which nobody holds: its run is watched from then on if it lives, and
resumed in a place of its own if it is dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.file import load_config
from ..detached.detached_run import DetachedRun
from ..detached.file_lock import FileLock, try_lock
from ..detached.slots import Slot, Slots
from ..errors import ConfigError, RunError
from ..machine.process_identity import boot_id
from ..runs.on_disk.directory import read_state
from .folder import Job, Queue

LOOK_SECONDS = 1.0
# How often the killed run of a job is resumed.
_MOST_ATTEMPTS = 4


@dataclass
class _Watched:
    job: Job
    run: DetachedRun
    lock: FileLock
    slots: list[Slot]

    def release(self) -> None:
        for slot in self.slots:
            slot.lock.release()
        self.lock.release()


class QueueWorker:
    """Works on a queue with some places. Used by one thread.

    Attributes:
        queue: the queue.
    """

    def __init__(
        self,
        queue: Queue,
        slots: Slots,
        say: Callable[[str], object],
        memory_of: Callable[[Path], int] = lambda config: 0,
    ) -> None:
        """Nothing is started yet.

        Args:
            queue: the queue.
            slots: the places.
            say: takes a line about what is done.
            memory_of: estimates the bytes that the run in a file takes on its device; 0 where that is not known.
        """
        self.queue = queue
        self._slots, self._say, self._memory_of = slots, say, memory_of
        self._watched: dict[int, _Watched] = {}

    @property
    def is_idle(self) -> bool:
        """Whether it watches no job, and none waits or has lost its worker."""
        return not self._watched and all(job.has_ended for job in self.queue.jobs())

    def look(self) -> None:
        """Note what has ended, adopt what has no worker, and start what there is a place for."""
        self._take_over()
        for watched in list(self._watched.values()):
            if watched.run.lives:
                self._note_run(watched)
            else:
                self._end(watched)
        while not self.queue.is_paused() and self._start_next():
            pass

    def leave(self) -> list[str]:
        """Stop watching; the runs train on, and the next worker finds them. Returns their names."""
        names = [watched.job.run or watched.job.name for watched in self._watched.values()]
        for watched in self._watched.values():
            watched.release()
        self._watched.clear()
        return names

    def _start_next(self) -> bool:
        """Start the first job that waits, where there is a place. Whether one was started."""
        with self.queue.changing():
            waiting = self.queue.waiting()
            if not waiting:
                return False
            job = waiting[0]
            if job.gpus > self._slots.count:
                self._fail(job, f"needs {job.gpus} places, but this worker has {self._slots.count}")
                return True
            run = self._run_of(job)
            if run is None:
                return True
            if not job.memory:
                job = replace(job, memory=self._memory_of(self.queue.files(job).config))
                self.queue.write(job)
            slots = self._slots.take(job.gpus, job.memory)
            lock = try_lock(self.queue.lock_file(job)) if slots else None
            if lock is None:
                for slot in slots:
                    slot.lock.release()
                return False
            watched = _Watched(self._as_running(job, slots), run, lock, slots)
            self.queue.write(watched.job)
        return self._begin(watched)

    def _begin(self, watched: _Watched) -> bool:
        descriptors = tuple(slot.lock.descriptor for slot in watched.slots)
        try:
            watched.run.begin(self._slots.environment(watched.slots), descriptors)
        except RunError as error:
            self._fail(watched.job, str(error))
            watched.release()
            return True
        self._watched[watched.job.number] = watched
        self._say(f"job {watched.job.number} starts: {watched.job.name} on {watched.job.where}")
        return True

    def _as_running(self, job: Job, slots: list[Slot]) -> Job:
        where = ", ".join(slot.name for slot in slots)
        return replace(job, state="running", where=where, attempts=job.attempts + 1, error="")

    def _take_over(self) -> None:
        """Watch the jobs whose worker has died."""
        for job in self.queue.jobs():
            if job.state != "running" or job.number in self._watched:
                continue
            lock = try_lock(self.queue.lock_file(job))
            if lock is None:
                continue
            now = self.queue.job(job.number)
            run = self._run_of(now) if now is not None and now.state == "running" else None
            if now is None or run is None:
                lock.release()
                continue
            self._say(f"job {job.number} has no worker: taken over")
            self._watched[job.number] = _Watched(now, run, lock, [])

    def _end(self, watched: _Watched) -> None:
        """Note how a job's run ended, or put the job back to be resumed, or tried once more."""
        self._note_run(watched)
        job, run, end = watched.job, watched.run, watched.run.end()
        if end == "finished":
            self._close(replace(job, state="finished"))
        elif end == "stopped" and not self._was_rebooted(run):
            self._close(replace(job, state="stopped"))
        elif end == "failed" and run.ran_out_of_memory() and not job.out_of_memory:
            self._put_back(replace(job, out_of_memory=1, run=""), "no memory at its start: put back once")
        elif end == "failed" or (end == "missing" and run.was_refused) or job.attempts >= _MOST_ATTEMPTS:
            self._fail(job, run.error())
        else:
            self._put_back(job, "its run was killed: it will be resumed" if run.path() else "will be started again")
        watched.release()
        self._watched.pop(job.number, None)

    def _close(self, job: Job) -> None:
        self.queue.write(job)
        self._say(f"job {job.number}: {job.state}: {job.run}")

    def _put_back(self, job: Job, words: str) -> None:
        self.queue.write(replace(job, state="waiting", where=""))
        self._say(f"job {job.number}: {words}")

    def _fail(self, job: Job, error: str) -> None:
        self.queue.write(replace(job, state="failed", error=error))
        self._say(f"job {job.number}: failed: {error}")

    def _note_run(self, watched: _Watched) -> None:
        if not watched.job.run and (path := watched.run.path()) is not None:
            watched.job = replace(watched.job, run=path.name)
            self.queue.write(watched.job)

    def _run_of(self, job: Job) -> DetachedRun | None:
        """The run of a job; None where its config can't be read, which fails the job."""
        files = self.queue.files(job)
        try:
            config = load_config(str(files.config))
        except ConfigError as error:
            self._fail(job, str(error))
            return None
        part_of = {"job": job.number, "job_try": job.out_of_memory, "job_added": int(job.added)}
        return DetachedRun(self.queue.runs_root, config, part_of, files)

    def _was_rebooted(self, run: DetachedRun) -> bool:
        """Whether a run was stopped by the end of the machine's last boot, rather than by its user."""
        path = run.path()
        return path is not None and read_state(path).get("boot_id") not in (None, boot_id())


def work(worker: QueueWorker, is_stopped: Callable[[], bool], *, until_empty: bool) -> None:
    """Work on a queue until told to stop, or until nothing is left where that is wanted."""
    while not is_stopped():
        worker.look()
        if until_empty and worker.is_idle:
            return
        time.sleep(LOOK_SECONDS)
