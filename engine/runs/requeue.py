"""SLURM: putting the job that a run trains in back into the queue, and finding the run again when the job restarts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .on_disk.directory import list_runs, read_info

_SCONTROL_SECONDS = 30.0


def slurm_job() -> str:
    """The job that this process belongs to, an element of an array included; empty outside of SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def requeue_job() -> str:
    """Requeue this process's job. Returns a message about the outcome."""
    job = slurm_job()
    if not job:
        return "not requeued: checkpoint.requeue works in SLURM jobs only, and SLURM_JOB_ID is not set"
    try:
        result = subprocess.run(
            ["scontrol", "requeue", job],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SCONTROL_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"job {job} was not requeued: {error}"
    if result.returncode:
        return f"job {job} was not requeued: scontrol ended with {result.returncode}: {result.stderr.strip()}"
    return f"job {job} was requeued"


def run_of_restarted_job(runs_root: Path) -> Path | None:
    """The newest run that an earlier life of this process's job made; None when the job has not been restarted."""
    job = slurm_job()
    if not job or os.environ.get("SLURM_RESTART_COUNT", "0") in ("", "0"):
        return None
    for summary in list_runs(runs_root):
        if read_info(summary.path).get("slurm_job") == job:
            return summary.path
    return None
