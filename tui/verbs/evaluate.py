"""`torchdeck evaluate` and `torchdeck compare`: metrics of a checkpoint, and differences between two."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchdeck.engine.checkpoints.code import check_code_of
from torchdeck.engine.machine.torch_import import require_torch
from torchdeck.engine.runs.browsing.references import find_checkpoint

from ..plain_text import printable
from ..process.private_output import PrivateOutput
from ..words.figures import figure
from ..words.runs.score_text import comparison_text, confusion_text, metrics_text, per_class_rows, setting_rows
from .compared_seeds import GroupsDocument, compared_groups, groups_document, groups_text
from .completing import runs_and_files
from .options import TRUST_CODE, from_option, json_option, runs_root_option, trust_option
from .output import print_json, printed

if TYPE_CHECKING:
    from torchdeck.engine.checkpoints.compare import Comparison
    from torchdeck.engine.checkpoints.evaluate import CheckpointScores


@click.command()
@click.argument("run", metavar="RUN|CHECKPOINT", shell_complete=runs_and_files)
@from_option
@click.option(
    "--split",
    type=click.Choice(["auto", "test", "validation", "train"]),
    default="auto",
    help="auto: the test split if there is one, else the validation split.",
)
@click.option("--ema", "averaged", is_flag=True, help="Use the averaged (EMA) weights.")
@trust_option
@runs_root_option
@json_option
def evaluate(
    run: str, checkpoint: str | None, split: Any, averaged: bool, trusts_code: bool, runs_root: Path, as_json: bool
) -> int:
    """Evaluate a checkpoint: all metrics, a table per class, the confusion matrix, the worst mistakes."""
    found = find_checkpoint(runs_root, run, checkpoint)
    check_code_of([found.path], TRUST_CODE, is_agreed=trusts_code)
    with PrivateOutput() as output:
        require_torch("evaluate")
        from torchdeck.engine.checkpoints.evaluate import evaluate_checkpoint

        try:
            scores = evaluate_checkpoint(found.path, split=split, averaged=averaged)
        finally:
            # Prints of user code must not mix with our output.
            print(output.logged().decode(errors="replace"), end="", file=output.stderr)
        if as_json:
            print_json(scores_document(scores), output.stdout)
        else:
            _print_scores(scores, Console(file=output.stdout, soft_wrap=True, highlight=False))
    return 0


class WorstDocument(TypedDict):
    """A sample that the model is wrong about.

    Attributes:
        index: its position in the split, from 0.
        target: index of its class.
        predicted: index of the class that the model gives it.
        confidence: the probability it gives that class, from 0 to 1.
        loss: cross-entropy of the sample, in nats.
    """

    index: int
    target: int
    predicted: int
    confidence: float
    loss: float


class ScoresDocument(TypedDict):
    """Scores of a checkpoint on a split.

    Attributes:
        checkpoint: path of the file.
        run: name of the run it belongs to; empty when it lies in none.
        epoch: epochs it was trained for.
        split: "test", "validation" or "train".
        samples: number of samples in the split.
        metrics: metrics by name; accuracies and the like are shares from 0 to 1.
        tables: results other than single numbers, by name: of classes, `per_class` and `confusion`, whose cells are
            [target, predicted, samples].
        classes: names by class index; empty where targets are numbers.
        notes: remarks for the user.
        worst: wrong predictions, the largest loss first; only for class targets.
    """

    checkpoint: str
    run: str
    epoch: int
    split: str
    samples: int
    metrics: dict[str, float]
    tables: dict[str, Any]
    classes: list[str]
    notes: list[str]
    worst: list[WorstDocument]


class ComparedFiles(TypedDict):
    """The checkpoints of a comparison.

    Attributes:
        first: path of the first checkpoint.
        second: path of the second checkpoint.
    """

    first: str
    second: str


class ComparedGroups(TypedDict):
    """The groups of a comparison.

    Attributes:
        groups: groups of seeds that the two runs belong to; None where a checkpoint is in no run, both are of one
            group, or no run has another seed.
    """

    groups: GroupsDocument | None


def scores_document(scores: CheckpointScores) -> ScoresDocument:
    """The document of `torchdeck evaluate --json`."""
    return {
        "checkpoint": str(scores.checkpoint),
        "run": scores.run,
        "epoch": scores.epoch,
        "split": scores.split,
        "samples": scores.samples,
        "metrics": scores.metrics,
        "tables": scores.tables,
        "classes": scores.classes,
        "notes": scores.notes,
        "worst": [
            {
                "index": sample.index,
                "target": sample.target,
                "predicted": sample.predicted,
                "confidence": sample.confidence,
                "loss": sample.loss,
            }
            for sample in scores.worst
        ],
    }


@click.command()
@click.argument("first", metavar="RUN|CHECKPOINT", shell_complete=runs_and_files)
@click.argument("second", metavar="RUN|CHECKPOINT", shell_complete=runs_and_files)
@runs_root_option
@json_option
def compare(first: str, second: str, runs_root: Path, as_json: bool) -> int:
    """Compare two checkpoints: settings that differ, metrics, and the distance between the weights of each module.

    A run means its best checkpoint. Of runs that were trained with several seeds, the groups are compared, too: mean,
    spread, and whether the difference is more than noise.
    """
    found = [find_checkpoint(runs_root, reference) for reference in (first, second)]
    one, other = (each.path for each in found)
    from torchdeck.engine.checkpoints.compare import compare_checkpoints

    comparison = compare_checkpoints(one, other)
    groups = compared_groups(*(each.run for each in found))
    if as_json:
        document = groups_document(groups) if groups is not None else None
        files = ComparedFiles(first=str(one), second=str(other))
        print_json({**files, **asdict(comparison), **ComparedGroups(groups=document)})
        return 0
    console = Console(soft_wrap=True, highlight=False)
    _print_comparison(comparison, one, other, console)
    if groups is not None:
        for line in groups_text(groups):
            console.print(Text(line))
    return 0


def _print_scores(scores: CheckpointScores, console: Console) -> None:
    console.print(printed(metrics_text(scores)))
    if rows := per_class_rows(scores):
        console.print()
        console.print(_table(rows))
    if confusion := confusion_text(scores, console.width):
        console.print()
        console.print(printed(confusion))
    for sample in scores.worst[:10]:
        target, predicted = (printable(scores.classes[index]) for index in (sample.target, sample.predicted))
        words = f"sample {sample.index}: {target} predicted as {predicted}, confidence {sample.confidence:.0%}"
        console.print(Text(f"{words}, loss {figure(sample.loss)}"))


def _print_comparison(comparison: Comparison, first: Path, second: Path, console: Console) -> None:
    console.print(printed(comparison_text(comparison, first, second)))
    if rows := setting_rows(comparison):
        console.print(_table([("setting", "first", "second"), *rows]))
    modules = [
        (printable(row.module) or "(the model)", f"{row.elements:,}", figure(row.distance), f"{row.relative:.2%}")
        for row in comparison.modules
    ]
    if modules:
        console.print()
        console.print(_table([("module", "elements", "distance", "relative"), *modules]))


def _table(rows: list[tuple[str, ...]]) -> Table:
    heading, *body = rows
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(heading):
        table.add_column(Text(title), no_wrap=True, justify="right" if number else "left")
    for row in body:
        table.add_row(*map(Text, row))
    return table
