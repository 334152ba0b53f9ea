"""Memory that this process may still allocate, and a limit on its allocation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_CGROUP_OF_SELF = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60

# (where the hierarchy is, its line in /proc/self/cgroup, limit, use, reclaimable part of the use)
_VERSIONS = (
    ("", "0::", "memory.max", "memory.current", "inactive_file"),
    ("memory", ":memory:", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory() -> int:
    """Bytes that this process may take: what the machine has free, or its container has left if that is less."""
    return min(int(psutil.virtual_memory().available), max(0, _cgroup_room(_CGROUP_OF_SELF, _CGROUPS)))


@contextmanager
def memory_bound(extra: int) -> Iterator[None]:
    """Let this process take no more than `extra` bytes beyond what it has: further allocations fail in here.

    That is the failing of an allocation, which can be handled, before the kernel ends some process of the machine. If
    it still happens, this process is killed first. On Linux only; elsewhere nothing is bound.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = psutil.Process().memory_info().data + extra
    bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _cgroup_room(cgroup_of_self: Path, cgroups: Path) -> int:
    """What the process's control groups have left, the tightest up to the root; a large number without a limit.

    Formats: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html.
    """
    try:
        lines = cgroup_of_self.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return _NO_LIMIT
    room = _NO_LIMIT
    for hierarchy, marker, limit, use, reclaimable in _VERSIONS:
        own = next((line.partition(marker)[2].lstrip("/") for line in lines if marker in line), None)
        if own is None:
            continue
        root = cgroups / hierarchy
        places = [root / own, *(root / own).parents]
        for place in places[: places.index(root) + 1]:
            with suppress(OSError, ValueError):
                most = int((place / limit).read_text(encoding="ascii"))
                left = most - int((place / use).read_text(encoding="ascii"))
                room = min(room, left + _statistic(place / "memory.stat", reclaimable))
    return room


def _statistic(file: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in file.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
