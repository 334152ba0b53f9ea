"""Starting a sweep, and working on it until it is done: what `torchdeck sweep FILE` and `sweep join` do."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

import click

from torchdeck.engine.detached.gpus import NvmlGpus, chosen_gpus
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.agreement import agree_to_named
from torchdeck.engine.machine.python_process import module_command
from torchdeck.engine.plurals import plural
from torchdeck.engine.sweeps.crew import Crew
from torchdeck.engine.sweeps.definition import read_definition
from torchdeck.engine.sweeps.folder import SweepFolder, create_sweep, find_sweep, is_sweep
from torchdeck.engine.sweeps.report import SweepReport
from torchdeck.engine.user_path import user_path

from ..plain_text import printable, printable_lines
from ..words.sweeps.trial_text import settings_text, trial_state, values_text
from .output import print_json

_LOOK_SECONDS = 0.5


class DetachedSweep(TypedDict):
    """A sweep that is worked on in the background.

    Attributes:
        sweep: name of its folder, which identifies the sweep.
        path: the folder.
        pid: the process that works on it.
    """

    sweep: str
    path: str
    pid: int


def begun_sweep(spec: str, overrides: tuple[str, ...], runs_root: Path) -> SweepFolder:
    """A new sweep from a preset or file; an earlier one where its name is given, with its settings changed."""
    path = user_path(spec)
    if path.suffix == ".toml" and path.is_file() and not is_sweep(path.parent):
        return _created(spec, overrides, runs_root)
    try:
        folder = find_sweep(runs_root, spec)
    except ConfigError:
        return _created(spec, overrides, runs_root)
    if overrides:
        folder.redefine(read_definition(str(folder.path / "sweep.toml"), overrides))
    return folder


def _created(spec: str, overrides: tuple[str, ...], runs_root: Path) -> SweepFolder:
    definition = read_definition(spec, overrides)
    agree_to_named(definition.config)
    return create_sweep(runs_root, definition)


def work_detached(folder: SweepFolder, workers: int, gpus: str, as_json: bool) -> int:
    """Have a sweep worked on by a process in the background. Returns the exit status."""
    words = ["sweep", "join", str(folder.path), "--runs", str(folder.runs_root), "--workers", str(workers)]
    words += ["--gpus", gpus] if gpus else []
    with (folder.path / "sweep.log").open("ab") as log:
        process = subprocess.Popen(
            module_command("torchdeck", *words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    if as_json:
        print_json(DetachedSweep(sweep=folder.name, path=str(folder.path), pid=process.pid))
    else:
        click.echo(f"{folder.name} is worked on in process {process.pid}\ntorchdeck sweep show {folder.name}")
    return 0


def work_on(folder: SweepFolder, workers: int, gpus: str, as_json: bool) -> int:
    """Have a sweep worked on until it is done, and print each trial that ends."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: received.append(number))
    # The sweep outlives its terminal, as a run does.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    report = SweepReport(folder)
    report.poll()
    told = {trial.number for trial in report.trials if trial.is_finished}
    if not as_json:
        click.echo(
            f"{printable(folder.name)}: {plural(report.definition.trials, 'trial')}, {plural(workers, 'worker')}"
        )
    uuids = [state.uuid for state in chosen_gpus(NvmlGpus().look(), gpus)] if gpus else []
    crew = Crew(folder, workers, uuids)
    try:
        while crew.look():
            if received:
                crew.end()
            if report.poll() and not as_json:
                _print_ended(report, told)
            time.sleep(_LOOK_SECONDS)
    finally:
        crew.end()
    report.poll()
    if as_json:
        print_json(report.document())
    else:
        _print_ended(report, told)
        _print_end(report)
    if reason := folder.wish_reason():
        click.echo(f"torchdeck: {printable_lines(reason)}", err=True)
        return 1
    if received:
        return 128 + received[0]
    # A search without a result has failed, whatever its trials died of.
    counts = report.counts()
    return 1 if counts.get("failed") and not counts.get("complete") else 0


def _print_ended(report: SweepReport, told: set[int]) -> None:
    for trial in report.trials:
        if trial.is_finished and trial.number not in told:
            told.add(trial.number)
            outcome = values_text(trial, report.definition.objectives) or trial.error
            words = f"trial {trial.number:>3}  {trial_state(trial):<8}  {outcome}  {settings_text(trial.settings)}"
            _echo(printable(words))


def _print_end(report: SweepReport) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in report.counts().items())
    _echo(f"{counts or 'no trials'}")
    if (trial := report.best()) is not None:
        _echo(
            f"best: {values_text(trial, report.definition.objectives)} in trial {trial.number}: "
            f"{printable(settings_text(trial.settings))}\ntorchdeck sweep best {report.folder.name} > best.toml"
        )


def _echo(text: str) -> None:
    try:
        click.echo(text)
    except OSError:
        # The terminal is gone; the sweep's folder has everything.
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115
