"""`torchdeck sweep`: search settings of a run. Only the workers import Optuna."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchdeck.engine.config.file import dump_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.plurals import plural
from torchdeck.engine.sweeps.folder import find_sweep
from torchdeck.engine.sweeps.journal import Trial
from torchdeck.engine.sweeps.optuna_package import require_optuna
from torchdeck.engine.sweeps.report import SweepReport

from ..plain_text import printable
from ..words.sweeps.trial_text import setting_columns, settings_text, trial_state, values_text
from .completing import configs
from .options import json_option, runs_root_option, set_option
from .output import print_json

_MOST_LISTED = 30


class BestTrial(TypedDict):
    """A trial's settings and results.

    Attributes:
        trial: its number in the sweep, from 0.
        values: results, in the order of the objectives.
        settings: what was varied, by dotted key.
        runs: names of its runs, by seed.
    """

    trial: int
    values: list[float]
    settings: dict[str, Any]
    runs: list[str]


class _Sweep(click.Group):
    """A group in which a file or a sweep in place of a command begins that sweep."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["start", *args]
        return super().parse_args(ctx, args)


workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Trials that train at a time; with --gpus, on each GPU.",
)
gpus_option = click.option("--gpus", default="", help="GPUs to use, such as 0-3,6 or all: a worker for each.")


@click.group(
    cls=_Sweep,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="torchdeck sweep FILE.toml begins a sweep; torchdeck sweep SWEEP continues one.",
)
def sweep() -> None:
    """Search settings of a run: its file says in [sweep] what is varied and what is optimized."""


@sweep.command(hidden=True)
@click.argument("spec", metavar="FILE.toml|SWEEP", shell_complete=configs)
@set_option
@runs_root_option
@workers_option
@gpus_option
@click.option("--detach", is_flag=True, help="Work in the background; print the sweep's name and return.")
@json_option
def start(
    spec: str, overrides: tuple[str, ...], runs_root: Path, workers: int, gpus: str, detach: bool, as_json: bool
) -> int:
    """Begin a sweep from a file, or continue one, with changed settings if any: --set sweep.trials=100.

    Each trial is an ordinary run in the folder of runs. Ctrl-C saves them; the same command with the sweep's name
    continues. Exit status: 0 done, 1 no trial was completed, 2 bad config, 130 or 143 stopped by a signal after
    saving.
    """
    require_optuna()
    from .sweep_work import begun_sweep, work_detached, work_on

    folder = begun_sweep(spec, overrides, runs_root)
    folder.set_wish("work")
    return work_detached(folder, workers, gpus, as_json) if detach else work_on(folder, workers, gpus, as_json)


@sweep.command()
@click.argument("name", metavar="SWEEP", default="")
@runs_root_option
@workers_option
@gpus_option
@json_option
def join(name: str, runs_root: Path, workers: int, gpus: str, as_json: bool) -> int:
    """Add workers to a sweep, on this machine or on another one that shares the folder of runs."""
    require_optuna()
    from .sweep_work import work_on

    return work_on(find_sweep(runs_root, name), workers, gpus, as_json)


@sweep.command()
@click.argument("name", metavar="[SWEEP]", default="")
@runs_root_option
@click.option("--all", "shows_all", is_flag=True, help="List every trial.")
@json_option
def show(name: str, runs_root: Path, shows_all: bool, as_json: bool) -> None:
    """Show a sweep: its trials, the best one, the workers. Without a name, the newest."""
    report = SweepReport(find_sweep(runs_root, name))
    report.poll()
    if as_json:
        print_json(report.document())
        return
    _print_report(report, len(report.trials) if shows_all else _MOST_LISTED)


@sweep.command()
@click.argument("name", metavar="[SWEEP]", default="")
@runs_root_option
@click.option("--pause", is_flag=True, help="Start no further trial, but let the running ones train on.")
def stop(name: str, runs_root: Path, pause: bool) -> None:
    """Save the running trials of a sweep and end its workers, on every machine."""
    folder = find_sweep(runs_root, name)
    folder.set_wish("pause" if pause else "stop")
    what = "no further trial starts" if pause else "its runs save and stop"
    click.echo(f"{printable(folder.name)}: {what}; to continue: torchdeck sweep {folder.name}")


@sweep.command()
@click.argument("name", metavar="[SWEEP]", default="")
@runs_root_option
@click.option("--trial", type=int, help="Another trial than the best.")
@json_option
def best(name: str, runs_root: Path, trial: int | None, as_json: bool) -> None:
    """Print the best trial's settings as a complete run of full length: torchdeck sweep best > best.toml."""
    report = SweepReport(find_sweep(runs_root, name))
    report.poll()
    chosen = _chosen(report, trial)
    if as_json:
        print_json(BestTrial(trial=chosen.number, values=chosen.values, settings=chosen.settings, runs=chosen.runs))
        return
    words = f"{values_text(chosen, report.definition.objectives)} in trial {chosen.number} of {report.folder.name}"
    click.echo(f"# {printable(words)}\n\n{dump_config(report.definition.full_config(chosen.settings))}", nl=False)


@sweep.command()
@click.argument("trial", type=int)
@click.argument("name", metavar="[SWEEP]", default="")
@runs_root_option
def prune(trial: int, name: str, runs_root: Path) -> None:
    """Stop one running trial; the sweep continues without it."""
    report = SweepReport(find_sweep(runs_root, name))
    report.poll()
    if not any(each.number == trial and each.state == "running" for each in report.trials):
        raise ConfigError(f"trial {trial} of {report.folder.name}: is not running, so it can't be pruned")
    report.folder.prune(trial)
    click.echo(f"trial {trial}: stop requested; takes effect at the next step")


def _chosen(report: SweepReport, number: int | None) -> Trial:
    if number is not None:
        found = next((trial for trial in report.trials if trial.number == number), None)
        if found is None:
            raise ConfigError(f"trial {number}: {report.folder.name} has {plural(len(report.trials), 'trial')}")
        return found
    best_trial = report.best()
    if best_trial is None:
        raise ConfigError(f"{report.folder.name}: no trial is complete yet, or none satisfies the constraints")
    return best_trial


def _print_report(report: SweepReport, most: int) -> None:
    definition, counts = report.definition, report.counts()
    shown = " · ".join(f"{count} {state}" for state, count in counts.items()) or "no trials yet"
    click.echo(f"{printable(report.folder.name)}   {shown}   of {definition.trials}")
    for worker in report.folder.workers():
        what = f"trial {worker.trial}  {worker.run or 'starts'}" if worker.trial is not None else "idle"
        click.echo(printable(f"worker {worker.slot}   {worker.host} {worker.pid} {worker.device}  {what}"))
    if abandoned := report.abandoned():
        numbers = ", ".join(map(str, abandoned))
        click.echo(f"without a worker: trial {numbers}; torchdeck sweep {report.folder.name} continues them")
    if reason := report.folder.wish_reason():
        click.echo(printable(reason))
    trials = sorted(report.trials, key=lambda trial: _rank(trial, report))
    if not trials:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = setting_columns(definition)
    headings = ["trial", "state", *(objective.name for objective in definition.objectives), *columns.values(), "run"]
    for heading in headings:
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("state", "run") else "right")
    for trial in trials[:most]:
        table.add_row(*(Text(printable(cell)) for cell in _cells(trial, report, list(columns))))
    Console(soft_wrap=True).print(table)
    if len(trials) > most:
        click.echo(f"… {len(trials) - most} more: --all")


def _cells(trial: Trial, report: SweepReport, keys: list[str]) -> list[str]:
    objectives = report.definition.objectives
    values = [f"{value:.4g}" for value in trial.values] + ["–"] * (len(objectives) - len(trial.values))
    settings = [
        settings_text({key: trial.settings[key]}, names=False) if key in trial.settings else "–" for key in keys
    ]
    return [str(trial.number), trial_state(trial), *values, *settings, ", ".join(trial.runs) or trial.error]


def _rank(trial: Trial, report: SweepReport) -> tuple[Any, ...]:
    """Running trials first, then by value."""
    objective = report.definition.objectives[0]
    value = trial.values[0] if trial.values else 0.0
    order = ("running", "complete", "pruned", "waiting", "failed").index(trial.state)
    return order, -value if objective.is_maximized else value, trial.number
