"""One run, or an array of runs, as a job of SLURM on any number of machines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# SLURM chooses jobs' numbers; ports below are those of the system, above may be taken for connections.
_FIRST_PORT, _PORTS = 20_000, 10_000


@dataclass(frozen=True)
class SlurmJob:
    """What is asked of SLURM.

    Attributes:
        nodes: machines per run.
        gpus: GPUs on each; 0 for its cores alone.
        time: limit, as SLURM writes it: 8:00:00.
        partition: where to run; empty for the default.
        warning_seconds: how long before the limit the run is told to save and end.
    """

    nodes: int = 1
    gpus: int = 1
    time: str = "24:00:00"
    partition: str = ""
    warning_seconds: int = 180


def slurm_job_script(specs: Sequence[str], words: Sequence[str], runs_root: Path, job: SlurmJob) -> str:
    """The text of a script for `sbatch`.

    The run saves and ends before its limit and when it is preempted; SLURM queues it anew, and it resumes there.

    Args:
        specs: presets or files; several are an array of jobs.
        words: further words of `torchdeck train`, such as --set optimizer.lr=0.1.
        runs_root: folder of the runs, which all machines see.
        job: what is asked for.
    """
    is_array = len(specs) > 1
    lines = ["#!/bin/bash", "#SBATCH --job-name=torchdeck"]
    if is_array:
        lines.append(f"#SBATCH --array=0-{len(specs) - 1}")
    lines += [f"#SBATCH --nodes={job.nodes}", "#SBATCH --ntasks-per-node=1"]
    if job.gpus:
        lines.append(f"#SBATCH --gpus-per-node={job.gpus}")
    if job.partition:
        lines.append(f"#SBATCH --partition={job.partition}")
    lines += [
        f"#SBATCH --time={job.time}",
        f"#SBATCH --signal=USR1@{job.warning_seconds}",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        f"#SBATCH --output=slurm-{'%A_%a' if is_array else '%j'}.log",
        "",
    ]
    spec = shlex.quote(specs[0])
    if is_array:
        lines.append(f"specs=({shlex.join(specs)})")
        spec = '"${specs[$SLURM_ARRAY_TASK_ID]}"'
    command = ["--set", "checkpoint.requeue=true", "--runs", str(runs_root.absolute())]
    if job.gpus > 1 or job.nodes > 1:
        command += ["--processes", str(max(1, job.gpus))]
    command += words
    meeting = ""
    if job.nodes > 1:
        lines.append('first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)')
        lines.append(f"port=$(({_FIRST_PORT} + SLURM_JOB_ID % {_PORTS}))")
        meeting = f' --nodes {job.nodes} --join "$first:$port"'
    lines.append(f"srun torchdeck train {spec} {shlex.join(command)}{meeting}")
    return "\n".join(lines) + "\n"
