"""Find how a process ended, from a process that is not its parent."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

# Of linux/pidfd.h, since Linux 6.15: _IOWR(0xFF, 11, struct pidfd_info) of 64 bytes. The struct begins with the mask
# of requested and returned fields, and ends with the exit code.
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO = struct.Struct("<Q52xi")


def wait_status(pidfd: int, pid: int) -> int | None:
    """How a process ended, as a status of `os.waitpid`; None if the kernel doesn't know.

    Linux before 6.15 knows it only until the process's parent has collected the status.

    Args:
        pidfd: descriptor of the process, which has ended.
        pid: its number.
    """
    # Its parent may take the status between the two questions, so the first one is asked again.
    for ask in (_after_parent_took_it, _before_parent_took_it, _after_parent_took_it):
        if (status := ask(pidfd, pid)) is not None:
            return status
    return None


def out_of_memory_kills() -> int:
    """How many processes the kernel has ended since the machine's start because memory ran out; 0 when not known."""
    try:
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except (OSError, ValueError):
        pass
    return 0


def _after_parent_took_it(pidfd: int, pid: int) -> int | None:
    info = bytearray(_PIDFD_INFO.pack(_PIDFD_INFO_EXIT, 0))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        return None
    told, status = _PIDFD_INFO.unpack(info)
    return status if told & _PIDFD_INFO_EXIT else None


def _before_parent_took_it(pidfd: int, pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        # Asked last: once its parent has collected the status, the pid may belong to another process.
        is_untaken = f"Pid:\t{pid}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii")
    except OSError:
        return None
    return int(fields[-1]) if is_untaken and fields[0] == "Z" else None


def signal_and_exit_status(status: int | None) -> tuple[int | None, int | None]:
    """The signal that ended a process, or else its exit status, of what `wait_status` gives."""
    if status is None:
        return None, None
    code = os.waitstatus_to_exitcode(status)
    return (-code, None) if code < 0 else (None, code)
