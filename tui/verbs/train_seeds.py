"""`torchdeck train X --seeds N`: one run after the other, each with its own seed, and what they reach together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import click

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.secret_settings import words_with_secrets_kept
from torchdeck.engine.machine.python_process import module_command
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.browsing.seed_groups import GroupDocument, SeedGroup, seed_groups
from torchdeck.engine.runs.on_disk.directory import summarize_run

from ..process.stop_signals import STOP_SIGNALS
from ..words.runs.seed_text import group_text
from .output import print_json
from .run_summary import EndedRun


class SeedsDocument(TypedDict):
    """Runs of one config that differ by the seed alone.

    Attributes:
        runs: state of each run at its end, in the order of the seeds; those that have a directory.
        group: what the runs reached together; None where there are none.
    """

    runs: list[EndedRun]
    group: GroupDocument | None


def train_seeds(config: RunConfig, words: Sequence[str], seeds: int, as_json: bool, announce: int) -> int:
    """Train a run once per seed: the config's own, and those after it.

    Args:
        config: the run.
        words: the command line.
        seeds: how many.
        as_json: whether to print one document for all.
        announce: descriptor that learns of the first run; -1 for none.

    Returns:
        The exit status: that of the first run that did not finish, else 0.
    """
    children: list[subprocess.Popen[str]] = []
    received: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        received.append(number)
        for child in children[-1:]:
            child.send_signal(number)

    for number in STOP_SIGNALS:
        signal.signal(number, pass_on)
    # The runs outlive the terminal, and so does what starts them.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    documents: list[EndedRun] = []
    status = 0
    for seed in range(config.seed, config.seed + seeds):
        if received or status:
            break
        _say(f"seed {seed} trains")
        status, document = _train_one(
            [*words_with_secrets_kept(words_of_one(words)), "--set", f"seed={seed}"], announce, children
        )
        announce = -1
        if document is not None:
            documents.append(document)
    group = _group_of([Path(document["path"]) for document in documents])
    if as_json:
        print_json(SeedsDocument(runs=documents, group=group.document() if group is not None else None))
    elif group is not None:
        click.echo(f"{len(group.runs)} of {seeds} seeds: {group_text(group)}")
    return status


def _train_one(
    words: Sequence[str], announce: int, children: list[subprocess.Popen[str]]
) -> tuple[int, EndedRun | None]:
    """Train one run. Returns its exit status and the document that it ends with; None where it has no directory."""
    announced = ["--announce", str(announce)] if announce >= 0 else []
    command = module_command("torchdeck", *words, "--json", *announced)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        pass_fds=(announce,) if announce >= 0 else (),
    ) as child:
        children.append(child)
        if announce >= 0:
            os.close(announce)
        text, _ = child.communicate()
    document: EndedRun | None = json.loads(text) if text.strip() else None
    if document is not None:
        best = document["best"]
        result = f"{best['metric']} {best['value']:.4f}" if best else ""
        _say(f"{document['run']}  {document['status']}  {result}")
    return child.returncode, document


def words_of_one(words: Sequence[str]) -> list[str]:
    """The command line of a single run: without the options that concern several, or the output."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in ("--seeds", "--announce"):
            next(rest, None)
        elif word != "--json" and not word.startswith(("--seeds=", "--announce=")):
            kept.append(word)
    return kept


def _say(text: str) -> None:
    # The terminal may be gone.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _group_of(paths: Sequence[Path]) -> SeedGroup | None:
    """What the runs are together; None where there are none."""
    if not paths:
        return None
    catalog = RunCatalog(paths[0].parent)
    groups = seed_groups([summarize_run(path) for path in paths], catalog.settings)
    return max(groups, key=lambda group: len(group.runs))
