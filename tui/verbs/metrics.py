"""`torchdeck metrics`: the metrics of a run for other tools. It does not need torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import click

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.foreign.formats import find_any_run, open_run
from torchdeck.engine.interchange.metrics_table import Row, epoch_rows, step_rows, write_csv

from ..plain_text import printable
from .completing import runs
from .options import json_option, runs_root_option
from .output import print_json


class MetricsDocument(TypedDict):
    """The metrics of a run as a table.

    Attributes:
        run: name of the run's directory.
        rows: one row per step, or with --epochs per epoch; a row lacks the figures that were not measured there.
    """

    run: str
    rows: list[Row]


@click.command()
@click.argument("run", shell_complete=runs)
@click.option("--epochs", is_flag=True, help="One row per epoch instead of one per step.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A .csv or .json file; without it, CSV on stdout."
)
@click.option(
    "--tensorboard",
    "tensorboard_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write TensorBoard event files to this folder, following the run while it is live.",
)
@runs_root_option
@json_option
def metrics(
    run: str, epochs: bool, out: Path | None, tensorboard_folder: Path | None, runs_root: Path, as_json: bool
) -> None:
    """Write a run's metrics as CSV, JSON or TensorBoard event files."""
    path = find_any_run(runs_root, run)
    if tensorboard_folder is not None:
        _mirror(path, tensorboard_folder)
        return
    if out is not None and out.suffix not in (".csv", ".json"):
        raise ConfigError(f"--out {out}: must end in .csv or .json")
    reader = open_run(path)
    reader.poll()
    rows = epoch_rows(reader) if epochs else step_rows(reader)
    if out is None:
        if as_json:
            print_json(_document(path, rows))
        else:
            write_csv(rows, sys.stdout)
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            if out.suffix == ".json":
                print_json(_document(path, rows), file)
            else:
                write_csv(rows, file)
    except OSError as error:
        raise ConfigError(f"--out {out}: can't be written: {error.strerror or error}") from error


def _document(path: Path, rows: Iterator[Row]) -> MetricsDocument:
    return {"run": path.name, "rows": list(rows)}


def _mirror(path: Path, folder: Path) -> None:
    from torchdeck.engine.interchange.tensorboard_mirror import mirror

    try:
        count = mirror(path, folder, follow=True)
    except OSError as error:
        raise ConfigError(f"--tensorboard {folder}: can't be written to: {error.strerror or error}") from error
    click.echo(f"{count:,} scalars in {printable(str(folder))}; tensorboard --logdir {printable(str(folder))}")
