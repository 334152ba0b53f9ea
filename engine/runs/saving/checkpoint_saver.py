"""Saving checkpoints in the background: durable before it is acknowledged, never in the way of training."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import CheckpointError
from ...files.durable import SYSTEM, FileOperations, atomic_write, fsync_directory, replace_with_link
from ...files.regular_file import held_folder
from ...run_files import BEST_FILE, LAST_FILE
from ...tensor_files.checkpoint_file import inspect_checkpoint
from ...tensor_files.plain_content import check_plain, content_bytes
from ..on_disk.journal import Journal
from .checkpoint_format import Checkpoint
from .checkpoint_index import IndexEntry, read_index, rebuilt_index, step_file, write_index
from .disk_room import DiskRoom
from .pins import pinned_checkpoints
from .retention import Retention


@dataclass(frozen=True, eq=False)
class SaveRequest:
    """A state to be saved.

    Attributes:
        state: the checkpoint's content, copied from the training; never changed.
        step: optimizer steps done.
        epoch: epochs completed.
        metrics: validation metrics at this point, if it was evaluated.
        reason: why it is saved.
        is_best: whether it is the best of the run so far.
        is_last: whether the run ends with it.
        coalesced: earlier requests that this one stands for.
        when_done: called when the state is no longer read, saved or not.
    """

    state: Checkpoint = field(repr=False)
    step: int
    epoch: int
    metrics: dict[str, float]
    reason: str
    is_best: bool
    is_last: bool = False
    coalesced: int = 0
    when_done: Callable[[], object] = field(default=lambda: None, repr=False)

    @property
    def position(self) -> tuple[int, int, str]:
        """Equal for two states with the same weights."""
        return self.step, self.epoch, repr(self.state.get("position"))


@dataclass(frozen=True)
class _Evaluated:
    """Metrics of a position when it was last saved."""

    position: tuple[int, int, str]
    metrics: dict[str, float]
    is_best: bool


class CheckpointSaver:
    """A thread that writes one checkpoint at a time into a run's `checkpoints` folder.

    Requests that come while one is being written are reduced to the newest and the best of them.
    """

    def __init__(
        self, folder: Path, retention: Retention, journal: Journal, operations: FileOperations = SYSTEM
    ) -> None:
        """Start the thread.

        Args:
            folder: the run's `checkpoints` folder, below the directory that the run holds open.
            retention: which checkpoints are kept, besides the best and the pinned ones.
            journal: takes the acknowledgements.
            operations: the system calls.
        """
        self._folder = folder
        self._retention = retention
        self._room = DiskRoom(folder)
        self._journal = journal
        self._operations = operations
        self._index = rebuilt_index(folder, read_index(folder))
        self._waiting: list[SaveRequest] = []
        self._failed_best: SaveRequest | None = None
        self._failed_last: SaveRequest | None = None
        self._evaluated: _Evaluated | None = None
        self._warning = ""
        self._is_saving = False
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._save_until_closed, name="checkpoints", daemon=True)
        self._thread.start()

    def submit(self, request: SaveRequest) -> None:
        """Request a save and return immediately."""
        with self._changed:
            request = self._with_what_is_known(request)
            earlier = [*([self._failed_best] if self._failed_best is not None else []), *self._waiting]
            same_place = [other for other in earlier if other.position == request.position]
            kept = [other for other in earlier if other.is_best and other not in same_place and not request.is_best]
            self._failed_best = None
            dropped = [other for other in earlier if other not in kept[-1:]]
            coalesced = sum(other.coalesced + 1 for other in dropped if other in self._waiting)
            self._waiting = [*kept[-1:], replace(request, coalesced=coalesced)]
            self._changed.notify_all()
        for other in dropped:
            other.when_done()

    def move(self, folder: Path) -> None:
        """The folder is elsewhere now: save there. What it holds is looked at anew."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_saving)
            self._folder, self._room = folder, DiskRoom(folder)
            self._index = rebuilt_index(folder, read_index(folder))

    def retry_last(self) -> None:
        """Save the run's end once more where that failed, in what is the folder now. Waits."""
        with self._changed:
            request, self._failed_last = self._failed_last, None
        if request is not None:
            self.submit(request)
        self.flush()

    def flush(self) -> None:
        """Wait until everything asked for is saved, or failed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_saving)

    def close(self) -> None:
        """Save what is asked for and end the thread."""
        self.flush()
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _with_what_is_known(self, request: SaveRequest) -> SaveRequest:
        """A state saved again at the same place keeps the metrics and the rank it was given there."""
        known = self._evaluated
        if known is not None and known.position == request.position:
            metrics = request.metrics or known.metrics
            request = replace(
                request,
                state={**request.state, "metrics": metrics},
                metrics=metrics,
                is_best=request.is_best or known.is_best,
            )
        self._evaluated = _Evaluated(request.position, request.metrics, request.is_best)
        return request

    def _save_until_closed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    return
                request = self._waiting.pop(0)
                self._is_saving = True
            succeeded = False
            try:
                succeeded = self._save(request)
            except Exception as error:
                self._journal.event("saver_failed", error=f"{type(error).__name__}: {error}")
            with self._changed:
                is_tried_again = (
                    not succeeded and request.is_best and not any(other.is_best for other in self._waiting)
                )
                if is_tried_again:
                    self._failed_best = request
                is_kept = not succeeded and request.is_last
                if is_kept:
                    self._failed_last = request
            if not (is_tried_again or is_kept):
                request.when_done()
            with self._changed:
                self._is_saving = False
                self._changed.notify_all()

    def _save(self, request: SaveRequest) -> bool:
        """Save and acknowledge, or say why it failed. Nothing that goes wrong here ends the thread."""
        began = time.monotonic()
        try:
            written = self._write(request)
        except Exception as error:
            self._say_failed(request, error)
            return False
        file = step_file(request.step)
        self._journal.event(
            "saved",
            file=file,
            step=request.step,
            epoch=request.epoch,
            reason=request.reason,
            bytes=written,
            seconds=round(time.monotonic() - began, 4),
            is_best=request.is_best,
            metrics=request.metrics,
            coalesced=request.coalesced,
        )
        self._journal.update_state(save_error=None, saved={"file": file, "step": request.step, "epoch": request.epoch})
        self._retain()
        self._say_room(written)
        return True

    def _say_room(self, written: int) -> None:
        """Announce that the disk fills up while there is still room for a few checkpoints."""
        warning = self._room.warning(written)
        if warning != self._warning:
            self._warning = warning
            if warning:
                self._journal.event("disk_filling", text=warning)
            self._journal.update_state(disk_warning=warning or None)

    def _say_failed(self, request: SaveRequest, error: Exception) -> None:
        file = step_file(request.step)
        if isinstance(error, OSError):
            reason, name = error.strerror or str(error), errno.errorcode.get(error.errno or 0, "")
        else:
            reason, name = str(error), type(error).__name__
        self._journal.event(
            "save_failed",
            file=file,
            step=request.step,
            epoch=request.epoch,
            reason=request.reason,
            error=reason,
            errno=name,
        )
        self._journal.update_state(save_error=f"{file}: {reason}")

    def _write(self, request: SaveRequest) -> int:
        """Everything up to the folder's fsync, after which the checkpoint survives a power cut. Returns its bytes."""
        import torch

        check_plain(request.state)
        self._room.require(content_bytes(request.state), is_last=request.is_last)
        # A checkpoint is never ahead of the records: a resume from it must not leave a gap in the history.
        self._journal.flush()
        with held_folder(self._folder) as folder:
            path = folder / step_file(request.step)
            written = atomic_write(
                path, lambda file: torch.save(request.state, file), durable=True, operations=self._operations
            )
            status = os.stat(path, follow_symlinks=False)
            self._index[path.name] = IndexEntry(
                step=request.step,
                epoch=request.epoch,
                metrics=dict(request.metrics),
                reason=request.reason,
                was_best=request.is_best,
                bytes=status.st_size,
                modified_ns=status.st_mtime_ns,
            )
            replace_with_link(path, folder / LAST_FILE, self._operations)
            if request.is_best:
                replace_with_link(path, folder / BEST_FILE, self._operations)
            write_index(folder, self._index, self._operations)
            fsync_directory(folder, self._operations)
        return written

    def _retain(self) -> None:
        """Delete what need not be kept, once the newest is known to be readable."""
        surplus = self._retention.surplus(
            self._index, frozenset({self._name_of_best(), *pinned_checkpoints(self._folder)})
        )
        if not surplus:
            return
        try:
            inspect_checkpoint(self._folder / max(self._index, key=lambda name: self._index[name].step))
            with held_folder(self._folder) as folder:
                for name in surplus:
                    self._remove(folder / name)
                    self._index.pop(name)
                write_index(folder, self._index, self._operations)
                fsync_directory(folder, self._operations)
        except (OSError, CheckpointError) as error:
            self._journal.event("old_checkpoints_kept", error=str(error).replace(f"{self._folder}/", ""))

    def _remove(self, path: Path) -> None:
        try:
            self._operations.unlink(path)
        except FileNotFoundError:
            # The user deleted it first.
            return

    def _name_of_best(self) -> str:
        """The step file that `best.pt` is another name of; a copy is its own file and needs no other."""
        try:
            best = os.stat(self._folder / BEST_FILE, follow_symlinks=False)
        except OSError:
            return ""
        # Of thousands, few were ever the best.
        for name in sorted(self._index, key=lambda name: not self._index[name].was_best):
            try:
                status = os.stat(self._folder / name, follow_symlinks=False)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == (best.st_dev, best.st_ino):
                return name
        return ""
