"""Number of CPU cores that this process may use."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

_CGROUP_OF_SELF = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


@cache
def available_cores() -> int:
    """Cores that the scheduler lets this process have: its affinity, and the quota of its container, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota(_CGROUP_OF_SELF, _CGROUPS)))


def _quota(cgroup_of_self: Path, cgroups: Path) -> int:
    """The smallest `cpu.max` from the process's cgroup (version 2) up to the root, in cores; a large number for none.

    Format: https://docs.kernel.org/admin-guide/cgroup-v2.html, "cpu.max": quota and period in microseconds.
    """
    try:
        lines = cgroup_of_self.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 1 << 20
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    quota = 1 << 20
    places = [cgroups / own, *(cgroups / own).parents]
    for place in places[: places.index(cgroups) + 1]:
        try:
            limit, period = (place / "cpu.max").read_text(encoding="ascii").split()
            if limit != "max":
                quota = min(quota, math.ceil(int(limit) / int(period)))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return quota
