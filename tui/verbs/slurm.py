"""`torchdeck slurm`: write the script of a SLURM job, and submit it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.launching.agreement import agree_to_named
from torchdeck.engine.queue.slurm_run import SlurmJob, slurm_job_script
from torchdeck.engine.user_path import user_path

from .completing import configs
from .options import runs_root_option, set_option

_SUBMIT_SECONDS = 60.0


@click.command()
@click.argument("specs", metavar="PRESET|FILE.toml...", nargs=-1, required=True, shell_complete=configs)
@set_option
@runs_root_option
@click.option("--nodes", type=click.IntRange(1, 1024), default=1, show_default=True, help="Machines per run.")
@click.option("--gpus", type=click.IntRange(0, 64), default=1, show_default=True, help="GPUs on each; 0: cores alone.")
@click.option("--time", default="24:00:00", show_default=True, help="Limit, as SLURM writes it.")
@click.option("--partition", default="", help="Partition; without it, SLURM's default.")
@click.option("--submit", is_flag=True, help="Hand it to sbatch instead of printing it.")
def slurm(
    specs: tuple[str, ...],
    overrides: tuple[str, ...],
    runs_root: Path,
    nodes: int,
    gpus: int,
    time: str,
    partition: str,
    submit: bool,
) -> int:
    """Print the script of a SLURM job that trains a run, on one machine or several; several specs are an array.

    Before its time limit, and when it is preempted, the run saves, is requeued, and resumes bit for bit.
    """
    for spec in specs:
        agree_to_named(load_config(spec, overrides))
    paths = [str(user_path(spec).absolute()) if spec.endswith(".toml") else spec for spec in specs]
    words = [word for override in overrides for word in ("--set", override)]
    script = slurm_job_script(paths, words, runs_root, SlurmJob(nodes, gpus, time, partition))
    if not submit:
        click.echo(script, nl=False)
        return 0
    click.echo(_submitted(script))
    return 0


def _submitted(script: str) -> str:
    """What sbatch answers. Raises TorchdeckError."""
    try:
        done = subprocess.run(
            ["sbatch"],
            input=script,
            capture_output=True,
            text=True,
            timeout=_SUBMIT_SECONDS,
            env=os.environ.copy(),
        )
    except FileNotFoundError as error:
        raise TorchdeckError("sbatch: is not installed here; without --submit the script is printed") from error
    except subprocess.SubprocessError as error:
        raise TorchdeckError(f"sbatch: {error}") from error
    if done.returncode:
        raise TorchdeckError(f"sbatch ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()
