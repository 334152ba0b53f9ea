"""`torchdeck pin`, `unpin`, `rename` and `delete`: managing runs and checkpoints on the disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.run_files import CHECKPOINTS
from torchdeck.engine.runs.browsing.references import checkpoint_of, find_checkpoint, step_file_of
from torchdeck.engine.runs.browsing.removal import delete_checkpoint, delete_run, plan_removal
from torchdeck.engine.runs.browsing.renaming import rename_run
from torchdeck.engine.runs.on_disk.directory import find_run
from torchdeck.engine.runs.saving.pins import pin as pin_checkpoint
from torchdeck.engine.runs.saving.pins import pinned_by
from torchdeck.engine.runs.saving.pins import unpin as unpin_checkpoint

from ..plain_text import printable
from ..words.figures import byte_size
from .completing import checkpoints, runs, runs_and_files
from .options import runs_root_option


def _of_a_checkpoint(verb: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments that name one checkpoint of a run."""
    for parameter in (
        runs_root_option,
        click.argument("checkpoint", required=False, shell_complete=checkpoints),
        click.argument("run", metavar="RUN|CHECKPOINT", shell_complete=runs_and_files),
    ):
        verb = parameter(verb)
    return verb


@click.command()
@_of_a_checkpoint
def pin(run: str, checkpoint: str | None, runs_root: Path) -> None:
    """Keep a checkpoint whatever its run saves later; without a name, the run's best."""
    folder, name = _of_a_run(runs_root, run, checkpoint)
    pin_checkpoint(folder, name)
    click.echo(f"{printable(name)} of {printable(folder.parent.name)} is pinned: kept until you unpin it")


@click.command()
@_of_a_checkpoint
def unpin(run: str, checkpoint: str | None, runs_root: Path) -> None:
    """Let the run's rules decide about a checkpoint again."""
    folder, name = _of_a_run(runs_root, run, checkpoint)
    unpin_checkpoint(folder, name)
    click.echo(f"{printable(name)} of {printable(folder.parent.name)} is no longer pinned")


@click.command()
@click.argument("run", shell_complete=runs)
@click.argument("name")
@runs_root_option
def rename(run: str, name: str, runs_root: Path) -> None:
    """Rename a run that is not training; the date and number after the name stay."""
    click.echo(rename_run(find_run(runs_root, run), name).name)


@click.command()
@click.argument("run", shell_complete=runs)
@click.argument("checkpoint", required=False, shell_complete=checkpoints)
@click.option("--yes", is_flag=True, help="Don't ask.")
@runs_root_option
def delete(run: str, checkpoint: str | None, yes: bool, runs_root: Path) -> int:
    """Delete a run that is not training, or one of its checkpoints. Asks first.

    Only files that torchdeck made are deleted; other files in the directory stay, and no link is followed.
    """
    path = find_run(runs_root, run)
    if checkpoint is not None:
        file = step_file_of(checkpoint_of(path, checkpoint))
        if _is_wanted(f"Delete {printable(file)} of {printable(path.name)}?", yes):
            click.echo(f"{byte_size(delete_checkpoint(path, file))} freed")
            return 0
        return 1
    plan = plan_removal(path)
    question = f"Delete {printable(path.name)}: {plan.files} files, {byte_size(plan.bytes)}?"
    if not _is_wanted(question, yes):
        return 1
    delete_run(path)
    click.echo(f"{byte_size(plan.bytes)} freed")
    for other in plan.others:
        click.echo(f"kept, because torchdeck did not make it: {printable(str(path / other))}")
    return 0


def _of_a_run(runs_root: Path, reference: str, checkpoint: str | None) -> tuple[Path, str]:
    """Return a `checkpoints` folder and the name of a checkpoint in it. Raises ConfigError if it is elsewhere."""
    found = find_checkpoint(runs_root, reference, checkpoint)
    if found.run is None:
        raise ConfigError(f"{found.path}: not in a run; only the checkpoints of a run can be pinned")
    name = step_file_of(found.path)
    return found.run / CHECKPOINTS, pinned_by(name) or name


def _is_wanted(question: str, is_certain: bool) -> bool:
    if is_certain:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} There is no terminal to ask on; add --yes to skip the question")
    return click.confirm(question)
