"""Whether a process that was noted earlier still lives: its number alone may be another one's by now."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """Names one boot of one machine: process numbers and monotonic times mean something only within it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine did; None when there is no such process.

    Field 22 of /proc/PID/stat (proc_pid_stat(5)); the name in field 2 may hold spaces and parentheses. A zombie has
    ended, even if its parent has not noticed yet.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
