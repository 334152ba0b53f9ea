"""`torchdeck queue`: runs that wait for a GPU, or for a share of the cores."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchdeck.engine.config.file import load_config, replace_value
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.agreement import agree_to_named, check_agreed, is_of_a_run
from torchdeck.engine.plurals import plural
from torchdeck.engine.queue.folder import Job, Queue

from ..plain_text import printable
from ..words.figures import byte_size, duration
from .completing import configs
from .options import TRUST_CODE, json_option, runs_root_option, set_option, trust_option
from .output import print_json

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class WatchedJob(TypedDict):
    """What is known of a job besides what it says itself.

    Attributes:
        has_worker: whether a worker watches it.
    """

    has_worker: bool


class QueueDocument(TypedDict):
    """The queue.

    Attributes:
        paused: whether no further job starts.
        jobs: those that ended, then the running ones, then those that wait, each in their order.
    """

    paused: bool
    jobs: list[dict[str, Any]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def queue() -> None:
    """Queue runs for this machine: each starts when a GPU is free, in the order in which they were added.

    There are no priorities, shares or dependencies: where SLURM is, use `queue export --slurm`.
    """


@queue.command()
@click.argument("specs", metavar="PRESET|FILE.toml...", nargs=-1, required=True, shell_complete=configs)
@set_option
@runs_root_option
@trust_option
@click.option("--name", help="Name of the runs; without it, that of the preset or file.")
@click.option("--gpus", type=click.IntRange(1, 64), default=1, show_default=True, help="GPUs that each run needs.")
@click.option("--memory", default="", help="Free memory that each GPU must have, such as 20G; without it, estimated.")
@json_option
def add(
    specs: tuple[str, ...],
    overrides: tuple[str, ...],
    runs_root: Path,
    trusts_code: bool,
    name: str | None,
    gpus: int,
    memory: str,
    as_json: bool,
) -> None:
    """Put runs at the end of the queue. Their configs are checked and kept as they are now.

    With several GPUs a run has a process for each.
    """
    if gpus > 1:
        # It sees its GPUs alone, as the first ones.
        overrides = (*overrides, f"parallel.processes={gpus}", "parallel.devices=[]")
    checked = []
    for spec in specs:
        config = load_config(spec, overrides)
        if name is not None:
            config = replace_value(config, "name", name)
        if is_of_a_run(spec):
            check_agreed(config, TRUST_CODE, is_agreed=trusts_code, overrides=overrides)
        else:
            agree_to_named(config)
        checked.append(config)
    jobs = [Queue(runs_root).add(config, gpus=gpus, memory=_bytes(memory)) for config in checked]
    if as_json:
        print_json([asdict(job) for job in jobs])
        return
    for job in jobs:
        click.echo(f"job {job.number}: {job.name} waits")


@queue.command()
@runs_root_option
@click.option("--gpus", default="", help="GPUs to use: 0-3,6, or all.")
@click.option("--cpus", type=click.IntRange(1, 1024), help="On a machine without GPUs: runs that train at a time.")
@click.option("--free", default="", help="Free memory that a GPU must have where a run's needs can't be estimated.")
@click.option("--until-empty", is_flag=True, help="End when nothing is left, instead of waiting for more.")
@click.option("--detach", is_flag=True, help="Work in the background.")
def work(runs_root: Path, gpus: str, cpus: int | None, free: str, until_empty: bool, detach: bool) -> int:
    """Start the jobs of the queue, each when a GPU is free: no foreign process and enough memory for 30 s.

    Ctrl-C ends the worker only: its runs train on, and the next worker watches them. Exit status: 0.
    """
    if bool(gpus) == (cpus is not None):
        raise ConfigError("queue work: name the GPUs (--gpus 0-3, or all), or --cpus N on a machine without GPUs")
    from .queue_work import slots_of, work_detached, work_here

    queue_ = Queue(runs_root)
    slots = slots_of(queue_, gpus, cpus, _bytes(free))
    if detach:
        words = ["--gpus", gpus, "--free", free or "0"] if gpus else ["--cpus", str(cpus)]
        return work_detached(queue_, [*words, *(["--until-empty"] if until_empty else [])])
    return work_here(queue_, slots, until_empty=until_empty, estimates_memory=bool(gpus))


@queue.command("list")
@runs_root_option
@json_option
def list_jobs(runs_root: Path, as_json: bool) -> None:
    """List the jobs: ended, running, waiting."""
    queue_ = Queue(runs_root)
    jobs = queue_.jobs()
    if as_json:
        listed = [{**asdict(job), **WatchedJob(has_worker=queue_.is_watched(job))} for job in jobs]
        print_json(QueueDocument(paused=queue_.is_paused(), jobs=listed))
        return
    if queue_.is_paused():
        click.echo("paused: no further job starts; torchdeck queue resume")
    if not jobs:
        click.echo(f"no jobs in {queue_.path}; `torchdeck queue add digits` adds one")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("job", "state", "name", "needs", "where", "waits", "run"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("job", "waits") else "left")
    for job in jobs:
        waits = duration(max(0.0, time.time() - job.added)) if job.state == "waiting" else ""
        cells = (str(job.number), _state(queue_, job), job.name, _needs(job), job.where, waits, job.run or job.error)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console(soft_wrap=True).print(table)


@queue.command()
@click.argument("numbers", metavar="JOB...", nargs=-1, required=True, type=int)
@runs_root_option
def remove(numbers: tuple[int, ...], runs_root: Path) -> None:
    """Take jobs that are not running out of the queue. Their runs, if they have any, stay."""
    for number in numbers:
        click.echo(f"job {number}: {printable(Queue(runs_root).remove(number).name)} removed")


@queue.command()
@click.argument("number", metavar="JOB", type=int)
@click.argument("place", type=click.IntRange(1))
@runs_root_option
def move(number: int, place: int, runs_root: Path) -> None:
    """Give a waiting job another place: 1 starts next."""
    queue_ = Queue(runs_root)
    queue_.move(number, place)
    click.echo(" ".join(str(job.number) for job in queue_.waiting()))


@queue.command()
@runs_root_option
def pause(runs_root: Path) -> None:
    """Start no further job; running ones train on."""
    Queue(runs_root).pause()
    click.echo("no further job starts; to continue: torchdeck queue resume")


@queue.command()
@runs_root_option
def resume(runs_root: Path) -> None:
    """Start jobs again after a pause."""
    queue_ = Queue(runs_root)
    queue_.pause(False)
    click.echo(f"{plural(len(queue_.waiting()), 'job waits', 'jobs wait')}")


@queue.command()
@click.argument("numbers", metavar="[JOB]...", nargs=-1, type=int)
@click.option("--slurm", is_flag=True, required=True, help="As an array job for sbatch.")
@runs_root_option
def export(numbers: tuple[int, ...], slurm: bool, runs_root: Path) -> None:
    """Print the waiting jobs as a script for SLURM: torchdeck queue export --slurm > jobs.sh; sbatch jobs.sh"""
    from torchdeck.engine.queue.slurm import slurm_script

    queue_ = Queue(runs_root)
    jobs = [queue_.named(number) for number in numbers] if numbers else queue_.waiting()
    click.echo(slurm_script(queue_, jobs), nl=False)


def _state(queue_: Queue, job: Job) -> str:
    return "no worker" if job.state == "running" and not queue_.is_watched(job) else job.state


def _needs(job: Job) -> str:
    places = plural(job.gpus, "place") if job.gpus > 1 else ""
    return " ".join(filter(None, (places, byte_size(job.memory) if job.memory else "")))


def _bytes(text: str) -> int:
    """Bytes of "20G"; 0 for an empty text. Raises ConfigError."""
    if not text:
        return 0
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text}: not a size in bytes; write for example 20G or 800M")
    return int(float(found[1]) * _FACTORS[found[2].upper()])
