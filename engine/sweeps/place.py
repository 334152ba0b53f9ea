"""Where the runs of one worker train: anywhere, or on one GPU, whose lock keeps the queue and other users out."""

from __future__ import annotations

from ..detached.file_lock import FileLock, try_lock
from ..detached.gpus import gpu_environment
from ..detached.slots import GPU_LOCKS, make_lock_folder


class Place:
    """A worker's place. Its GPU is taken with the first run, and given up when the worker and all its runs have ended.

    Attributes:
        device: UUID of the GPU; empty for whatever the config says.
        threads: CPU threads of each run where its config leaves that open; 0 for torchdeck's own rule.
    """

    def __init__(self, device: str = "", threads: int = 0, *, is_shared: bool = False) -> None:
        """Nothing is taken yet.

        Args:
            device: UUID of the GPU; empty for none in particular.
            threads: CPU threads of each run.
            is_shared: whether further workers use the same GPU.
        """
        self.device, self.threads = device, threads
        self._is_shared = is_shared
        self._lock: FileLock | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the processes of the runs."""
        return gpu_environment([self.device]) if self.device else {}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the processes of the runs inherit, so that the GPU is taken until they end."""
        return (self._lock.descriptor,) if self._lock is not None else ()

    def take(self) -> bool:
        """Take the GPU, unless another queue, sweep or user has it. Whether a run may begin. Raises RunError."""
        if not self.device or self._lock is not None:
            return True
        make_lock_folder(GPU_LOCKS)
        lock_file = GPU_LOCKS / f"{self.device}.lock"
        self._lock = try_lock(lock_file, shared_by_users=True, is_exclusive=not self._is_shared)
        return self._lock is not None
