"""`torchdeck run -- COMMAND`: any program as a run. It does not need torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.foreign.program import watcher_command
from torchdeck.engine.run_files import LOG_FILE

from ..plain_text import printable, printable_lines
from .options import runs_root_option

_LOOK_SECONDS = 0.2
_FIRST_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--name", help="Name of the run; without it, that of the program's file.")
@click.option(
    "--pattern",
    help="Regular expression for figures in the output, with groups named for them; without it, loss=0.5 is found.",
)
@click.option("--detach", is_flag=True, help="Return once the program has started.")
@runs_root_option
def run(command: tuple[str, ...], name: str | None, pattern: str | None, detach: bool, runs_root: Path) -> int:
    """Run any program as a run: torchdeck run -- python train.py --lr 0.1

    It survives the terminal; its output is kept, and its figures are read from the files that it writes (TensorBoard,
    CSV, …: see docs/other-trainers.md) or else from what it prints. Ctrl-C stops it, as without torchdeck.
    """
    _check(command, pattern)
    given = name or _name_of(command)
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        watcher_command(write_end, runs_root.absolute(), given, pattern or "", command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # It outlives the terminal; what it has to say is in the run's log.
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(write_end,),
    )
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as pipe:
        begun: dict[str, Any] = json.loads(pipe.read() or '{"error": "the process that watches it has ended"}')
    if "error" in begun:
        process.wait()
        raise ConfigError(begun["error"])
    path = Path(begun["path"])
    click.echo(f"torchdeck: {printable(path.name)} · torchdeck attach {printable(path.name)}", err=True)
    return 0 if detach else _follow(process, begun["pid"], path / LOG_FILE)


def _follow(process: subprocess.Popen[bytes], pid: int, log: Path) -> int:
    """Print the program's output until it has ended. The first Ctrl-C interrupts it, the next ends it."""
    interrupts = offset = 0
    while True:
        try:
            status: int | None = process.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        except KeyboardInterrupt:
            interrupts += 1
            _signal(pid, signal.SIGINT if interrupts == 1 else signal.SIGTERM)
            continue
        offset = _print_added(log, offset)
        if status is not None:
            return status


def _print_added(log: Path, offset: int) -> int:
    try:
        with log.open("rb") as file:
            if offset > file.seek(0, os.SEEK_END):
                # The log is bounded: it was begun anew.
                offset = 0
            file.seek(offset)
            content = file.read()
    except OSError:
        return offset
    # As the program wrote it: its colors and bars are meant for this terminal.
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
    return offset + len(content)


def _signal(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _check(command: tuple[str, ...], pattern: str | None) -> None:
    """Raise ConfigError for a program that isn't there, or a pattern that is none."""
    if shutil.which(command[0]) is None:
        raise ConfigError(f"{command[0]}: no such program; write torchdeck run -- python train.py")
    try:
        found = re.compile(pattern) if pattern is not None else None
    except re.error as error:
        raise ConfigError(f"--pattern {printable_lines(str(pattern))}: not a regular expression: {error}") from error
    if found is not None and not found.groupindex:
        raise ConfigError(f"--pattern {pattern}: has no named group; write for example loss (?P<loss>[0-9.]+)")


def _name_of(command: tuple[str, ...]) -> str:
    """A name from the first word that is a file of a program, else from the first."""
    scripts = [word for word in command if word.endswith((".py", ".sh"))]
    stem = Path(scripts[0] if scripts else command[0]).stem
    return _FIRST_NAME.sub("-", stem).strip("-.")[:60] or "run"
