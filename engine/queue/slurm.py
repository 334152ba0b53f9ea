"""The waiting jobs of a queue as one array job of SLURM, for clusters that have a scheduler of their own."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from .folder import Job, Queue

_HOURS = 24


def slurm_script(queue: Queue, jobs: Sequence[Job]) -> str:
    """The text of a script for `sbatch`: an element of the array for each job, requeued where SLURM takes it away.

    Raises:
        ConfigError: there is no job, or they need different numbers of GPUs.
    """
    if not jobs:
        raise ConfigError(f"{queue.path}: no job waits, so there is nothing to export")
    gpus = {job.gpus for job in jobs}
    if len(gpus) > 1:
        raise ConfigError(
            "the jobs need different numbers of GPUs, but an array has one: export them one at a time by their numbers"
        )
    files = " ".join(shlex.quote(str(queue.files(job).config.absolute())) for job in jobs)
    return f"""#!/bin/bash
#SBATCH --job-name=torchdeck
#SBATCH --array=0-{len(jobs) - 1}
#SBATCH --ntasks=1
#SBATCH --gpus-per-task={gpus.pop()}
#SBATCH --time={_HOURS}:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%A_%a.log

files=({files})
srun torchdeck train "${{files[$SLURM_ARRAY_TASK_ID]}}" --set checkpoint.requeue=true --runs {_quoted(queue.runs_root)}
"""


def _quoted(path: Path) -> str:
    return shlex.quote(str(path.absolute()))
