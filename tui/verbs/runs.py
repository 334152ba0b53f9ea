"""`torchdeck runs`, `show` and `send`: runs, read from their directories. These verbs do not need torch."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchdeck.engine.config.file import flat_values
from torchdeck.engine.config.secret_settings import redacted_values
from torchdeck.engine.errors import ConfigError, RecordedRunError, UnknownRunError
from torchdeck.engine.files.json_values import whole_number
from torchdeck.engine.foreign.catalog import WideCatalog
from torchdeck.engine.foreign.formats import find_any_run, open_run
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.browsing.run_filter import parse_filter
from torchdeck.engine.runs.browsing.run_order import ORDERS, in_order
from torchdeck.engine.runs.browsing.seed_groups import GroupDocument, SeedGroup, seed_groups
from torchdeck.engine.runs.commands import Command, StopAfter
from torchdeck.engine.runs.control import send as send_command
from torchdeck.engine.runs.on_disk.directory import DAMAGED, TORCHDECK, find_run, source_of
from torchdeck.engine.runs.on_disk.distant import distant_owner
from torchdeck.engine.runs.on_disk.metrics_record import EpochRecord
from torchdeck.engine.runs.on_disk.run_labels import read_labels
from torchdeck.engine.runs.on_disk.state_file import BestResult, StateFile
from torchdeck.engine.runs.progress import Progress
from torchdeck.engine.runs.run_view import RunView
from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo
from torchdeck.engine.user_path import user_path

from ..plain_text import printable, printable_lines
from ..words.figures import byte_size, duration, figure
from ..words.metric_text import best_words, headline_metric, headline_metrics, metric_text, metric_title
from ..words.runs.run_lists import epochs_text
from ..words.runs.seed_text import spread_text
from ..words.train.epoch_columns import epoch_columns
from ..words.train.event_reasons import Explained, explained
from . import completing
from .options import json_option, runs_root_option
from .output import print_json


class GroupedRun(TypedDict, total=False):
    """What options add to a run in a list.

    Attributes:
        group: runs that differ from it by the seed alone, and itself; metrics and best are then means over the group;
            only with --by-seed.
    """

    group: GroupDocument


class RunDocument(TypedDict):
    """One run.

    Attributes:
        run: name of its directory, which identifies the run.
        path: directory of the run.
        status: preparing, running, paused, finished, stopped, failed, died or damaged.
        source: what wrote it: "torchdeck" for a run that it trained, "recorded", or the name of another format.
        damage: what can't be read, each with the reason; empty as it should be.
        config: every setting of the run by section, secrets left out; of another trainer's run its settings; empty
            where the config is damaged.
        info: what was noted once, at its start: command line, versions, host, classes, sizes.
        tags: words that the user gave it.
        note: what the user wrote about it, in any number of lines; empty for nothing.
        state: where it stands, as its process last wrote it; of another trainer's run as far as that is known.
        progress: how far it is.
        metrics: validation metrics of the newest evaluation; empty before the first.
        best: the best evaluation so far; None before the first.
        epochs: completed epochs, the oldest first.
        checkpoints: checkpoints, the newest first.
        alerts: the newest alert of each reason, newest first.
    """

    run: str
    path: str
    status: str
    source: str
    damage: list[str]
    config: dict[str, Any]
    info: dict[str, Any]
    tags: list[str]
    note: str
    state: StateFile
    progress: Progress
    metrics: dict[str, float]
    best: BestResult | None
    epochs: list[EpochRecord]
    checkpoints: list[CheckpointInfo]
    alerts: list[Explained]


_LONGEST = 400  # characters of why a run is damaged


@click.command()
@click.argument("words", metavar="[PATH|FILTER]...", nargs=-1)
@click.option(
    "--discover",
    "discovered",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Search a folder, at any depth, for runs of torchdeck and of other trainers.",
)
@click.option("--sort", "order", default="newest", help=f"{', '.join(ORDERS)}, a metric or a setting.")
@click.option("--reverse", "is_reversed", is_flag=True, help="Reverse the order.")
@click.option("--by-seed", is_flag=True, help="One line for runs that differ by the seed alone: mean ± deviation.")
@runs_root_option
@json_option
def runs(
    words: tuple[str, ...],
    discovered: tuple[Path, ...],
    order: str,
    is_reversed: bool,
    by_seed: bool,
    runs_root: Path,
    as_json: bool,
) -> None:
    """List runs, newest first; a filter keeps only those that match.

    A word with a slash is a path: the runs there, of torchdeck or of another trainer, are listed instead of those in
    the folder of the runs. TensorBoard, Lightning, Hugging Face, Ultralytics, Keras, W&B, MLflow, CSV and JSONL are
    known.

    All terms of the filter must match: part of a name, or KEY=VALUE with = != < <= > >= and a metric, a setting,
    status or age as KEY. Example: torchdeck runs 'acc>0.9' model=resnet 'age<2d'
    """
    paths = [*discovered, *(user_path(word) for word in words if _is_path(word))]
    if missing := [path for path in paths if not path.exists()]:
        raise UnknownRunError(f"{missing[0]}: no such file or folder")
    where = ", ".join(map(str, paths)) or str(runs_root)
    catalog = WideCatalog(paths, is_read_whole=True) if paths else RunCatalog(runs_root)
    everything = catalog.look()
    chosen = parse_filter(shlex.join(word for word in words if not _is_path(word)))
    settings = [catalog.settings(run) if chosen.terms else {} for run in everything]
    chosen.check_keys(everything, settings)
    matching = [run for run, own in zip(everything, settings, strict=True) if chosen.matches(run, own)]
    groups = {}
    if by_seed:
        groups = {group.runs[0].path: group for group in seed_groups(matching, catalog.settings)}
        matching = [group.summary() for group in groups.values()]
    summaries = in_order(matching, order, is_reversed=is_reversed, settings=catalog.settings)
    if as_json:
        print_json([{**asdict(summary), **_grouped(groups.get(summary.path))} for summary in summaries])
        return
    if everything and not summaries:
        click.echo(f"none of the {len(everything)} runs in {where} match")
        return
    if not summaries:
        advice = "" if paths else "; `torchdeck train digits` starts one"
        click.echo(f"no runs in {where}{advice}")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    has_tags = any(summary.tags for summary in summaries)
    has_sources = any(summary.source != TORCHDECK for summary in summaries)
    for column in ("run", "status", *(["source"] if has_sources else [])):
        table.add_column(column, no_wrap=True)
    scores = [headline_metric(summary.metrics, summary.best) for summary in summaries]
    shared = headline_metrics(summaries)
    heading = metric_title(*shared) if len(shared) == 1 else "score"
    for column in ("epoch", heading, "loss", "age"):
        table.add_column(column, justify="right", no_wrap=True)
    if has_tags:
        table.add_column("tags", no_wrap=True)
    for summary, name in zip(summaries, scores, strict=True):
        score = metric_text(name, summary.metrics.get(name))
        if by_seed and name in summary.metrics:
            score = spread_text(name, groups[summary.path].metrics()[name])
        table.add_row(
            Text(printable(summary.name)),
            summary.status,
            *([Text(printable(summary.source))] if has_sources else []),
            epochs_text(summary),
            f"{metric_title(name)} {score}" if len(shared) > 1 and summary.metrics else score,
            metric_text("loss", summary.metrics.get("loss")),
            duration(max(0.0, time.time() - summary.modified)),
            *([Text(" ".join(summary.tags))] if has_tags else []),
        )
    Console(soft_wrap=True).print(table)
    for summary in summaries:
        if summary.status == DAMAGED:
            click.echo(f"{printable(summary.name)}: {printable('; '.join(summary.error.splitlines()), _LONGEST)}")


def _grouped(group: SeedGroup | None) -> GroupedRun:
    return {"group": group.document()} if group is not None else {}


def _is_path(word: str) -> bool:
    return "/" in word and not any(mark in word for mark in "=<>!")


@click.command()
@click.argument("run", shell_complete=completing.runs)
@runs_root_option
@json_option
def show(run: str, runs_root: Path, as_json: bool) -> None:
    """Show one run, of torchdeck or of another trainer: config, state, metrics, checkpoints."""
    reader = open_run(find_any_run(runs_root, run))
    reader.poll()
    document = _document(reader)
    if as_json:
        print_json(document)
        return
    _print_run(reader, document)


@click.command()
@click.argument("run", shell_complete=completing.runs)
@click.argument(
    "command",
    nargs=-1,
    required=True,
    metavar="pause|resume|save|stop|set KEY=VALUE|profile STEPS",
    shell_complete=completing.live_commands,
)
@click.option("--after", type=click.Choice(["step", "epoch"]), default="step", help="When a stop takes effect.")
@runs_root_option
def send(run: str, command: tuple[str, ...], after: StopAfter, runs_root: Path) -> int:
    """Send a command to a live run; it takes effect at the next step."""
    answer = send_command(find_run(runs_root, run), _parse_command(command, after))
    if not answer.get("ok"):
        click.echo(f"torchdeck: {printable_lines(str(answer.get('error')))}", err=True)
        return 1
    click.echo(f"{' '.join(command)} requested; takes effect at the next step")
    return 0


_SIMPLE_COMMANDS: dict[str, Command] = {
    "pause": {"cmd": "pause"},
    "resume": {"cmd": "resume"},
    "save": {"cmd": "save"},
}


def _parse_command(words: tuple[str, ...], after: StopAfter) -> Command:
    name, *rest = words
    if name == "set":
        key, equals, value = "".join(rest).partition("=")
        try:
            return {"cmd": "set", "key": key.strip(), "value": float(value)}
        except ValueError:
            wrong = f"{value!r} is not a number" if equals else "there is no '='"
            raise ConfigError(f"set {' '.join(rest)}: {wrong}; write set optimizer.lr=0.01") from None
    if name == "profile":
        if len(rest) != 1 or not rest[0].isdecimal():
            raise ConfigError(
                f"{' '.join(words)}: the number of steps is missing or not a whole number; write profile 20"
            )
        return {"cmd": "profile", "steps": int(rest[0])}
    if not rest and name == "stop":
        return {"cmd": "stop", "after": after}
    if not rest and name in _SIMPLE_COMMANDS:
        return _SIMPLE_COMMANDS[name]
    known = "pause, resume, save, stop, set KEY=VALUE, profile STEPS"
    raise ConfigError(f"{' '.join(words)}: unknown command; the commands are {known}")


def _config_of(reader: RunView) -> dict[str, Any]:
    """The config of a run; of a recorded one the settings of its program; empty where it is damaged."""
    try:
        return redacted_values(reader.config())
    except RecordedRunError:
        return reader.settings()
    except ConfigError:
        return {}


def _document(reader: RunView) -> RunDocument:
    damage = reader.damage()
    labels = read_labels(reader.path)
    return {
        "run": reader.path.name,
        "path": str(reader.path),
        "status": reader.status(),
        "source": source_of(reader.info()),
        "damage": damage,
        "config": _config_of(reader),
        "info": reader.info(),
        "tags": list(labels.tags),
        "note": labels.note,
        "state": reader.state(),
        "progress": reader.progress(),
        "metrics": reader.latest_metrics(),
        "best": reader.best(),
        "epochs": reader.epoch_records(),
        "checkpoints": reader.checkpoints(),
        "alerts": explained(reader.events()),
    }


def _print_run(reader: RunView, document: RunDocument) -> None:
    console = Console(soft_wrap=True, highlight=False)
    progress = reader.progress()
    state = document["state"]
    distant = distant_owner(reader.path, reader.state())
    rows = [
        ("status", f"{document['status']} {distant.words}" if distant is not None else document["status"]),
        ("epoch", f"{progress.epoch}/{progress.epochs}" if progress.epochs else str(progress.epoch or "–")),
        ("step", f"{progress.step:,}/{progress.total_steps:,}" if progress.total_steps else f"{progress.step:,}"),
        ("directory", str(reader.path)),
    ]
    config = document["config"]
    if document["source"] != TORCHDECK:
        rows.append(("source", document["source"]))
        rows += [(key, str(value)) for key, value in flat_values(config).items() if key != "name"]
    elif config:
        parameters = whole_number(document["info"].get("parameters"))
        rows.append(("data", f"{config['data']['dataset']}, {state.get('storage', 'storage unknown')}"))
        rows.append(("model", f"{config['model']['name']}, {parameters:,} parameters"))
    if document["best"]:
        best = document["best"]
        rows.append(("best", best_words(best)))
    if document["tags"]:
        rows.append(("tags", " ".join(document["tags"])))
    rows += [("note" if not at else "", line) for at, line in enumerate(document["note"].splitlines())]
    rows += [("damaged", words.removeprefix("damaged: ")) for words in document["damage"]]
    if state.get("error"):
        rows.append(("error", str(state["error"])))
    for name, value in rows:
        console.print(Text(f"{name:<10} {printable(value)}"))
    _print_epochs(console, reader)
    _print_checkpoints(console, reader)
    _print_alerts(console, document["alerts"])


def _print_epochs(console: Console, reader: RunView) -> None:
    records = reader.epoch_records()
    if not records:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    columns = epoch_columns(records, reader.score, reader.headline)
    for heading in ("epoch", *(column.heading for column in columns), "lr"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record in records[-20:]:
        figures = (column.text(record) for column in columns)
        table.add_row(str(record["epoch"]), *figures, figure(record["lr"]))
    console.print()
    console.print(table)


def _print_alerts(console: Console, alerts: list[Explained]) -> None:
    for alert in alerts:
        console.print()
        console.print(Text(printable_lines(alert.text), style="bold"))
        console.print(Text(f"why: {alert.why}"))


def _print_checkpoints(console: Console, reader: RunView) -> None:
    checkpoints = reader.checkpoints()
    if not checkpoints:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("checkpoint", no_wrap=True)
    name = reader.headline
    for heading in ("epoch", "step", "size", metric_title(name)):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for checkpoint in checkpoints:
        named = (("best", checkpoint.is_best), ("last", checkpoint.is_last), ("pinned", checkpoint.is_pinned))
        marks = [name for name, holds in named if holds]
        table.add_row(
            Text(printable(checkpoint.file)),
            str(checkpoint.epoch),
            f"{checkpoint.step:,}",
            byte_size(checkpoint.bytes),
            metric_text(name, checkpoint.metrics.get(name)),
            " ".join(marks),
        )
    console.print()
    console.print(table)
