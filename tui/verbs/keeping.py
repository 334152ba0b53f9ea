"""`torchdeck pin`, `unpin`, `tag`, `note`, `rename` and `delete`: managing runs and checkpoints on the disk."""

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
from torchdeck.engine.runs.on_disk.run_labels import (
    RunLabels,
    change_labels,
    parse_tags,
    read_labels,
    with_tags,
    without_tags,
)
from torchdeck.engine.runs.saving.pins import pin as pin_checkpoint
from torchdeck.engine.runs.saving.pins import pinned_by
from torchdeck.engine.runs.saving.pins import unpin as unpin_checkpoint

from ..plain_text import printable, printable_lines
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
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@click.option("--remove", is_flag=True, help="Remove these tags instead.")
@runs_root_option
def tag(run: str, tags: tuple[str, ...], remove: bool, runs_root: Path) -> None:
    """Add tags to a run, live or not, to filter by: torchdeck runs tag=baseline. Without a tag, print its tags."""
    path = find_run(runs_root, run)
    named = parse_tags(" ".join(tags))
    if not named:
        if remove:
            raise ConfigError("tag --remove: names no tag; write for example: torchdeck tag RUN baseline --remove")
        labels = read_labels(path)
    elif remove:
        missing = [tag for tag in named if tag not in read_labels(path).tags]
        if missing:
            there = ", ".join(read_labels(path).tags) or "none"
            raise ConfigError(f"{path.name}: has no tag {', '.join(missing)}; its tags: {there}")
        labels = change_labels(path, lambda found: without_tags(found, named))
    else:
        labels = change_labels(path, lambda found: with_tags(found, named))
    click.echo(" ".join(labels.tags) if labels.tags else f"{printable(path.name)} has no tags")


@click.command()
@click.argument("run", shell_complete=runs)
@click.argument("text", required=False)
@click.option("--remove", is_flag=True, help="Remove the note.")
@runs_root_option
def note(run: str, text: str | None, remove: bool, runs_root: Path) -> None:
    """Write a note about a run, live or not; it replaces the note before. Without a text, print the note."""
    path = find_run(runs_root, run)
    if remove and text is not None:
        raise ConfigError("note --remove: takes no text; leave out one of the two")
    if text is None and not remove:
        click.echo(printable_lines(read_labels(path).note) or f"{printable(path.name)} has no note")
        return
    new = (text or "").strip()
    change_labels(path, lambda found: RunLabels(found.tags, new))
    click.echo(f"{printable(path.name)}: {'note written' if new else 'note removed'}")


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
