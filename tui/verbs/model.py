"""`torchdeck model`: the module tree of a network, without allocating its weights."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.machine.torch_import import require_torch
from torchdeck.engine.shapes import shape_words

from ..plain_text import printable
from ..process.private_output import PrivateOutput
from ..words.figures import flops_per_sample
from ..words.model.groups_text import groups_text
from ..words.model.weights_text import MappingDocument, mapping_document, mapping_text
from .completing import models
from .options import json_option
from .output import print_json, printed
from .step_cost import run_of, step_cost

if TYPE_CHECKING:
    from torchdeck.engine.models.module_tree import ModelReport
    from torchdeck.engine.models.weights import WeightsPreview
    from torchdeck.engine.preflight.weight_groups import WeightGroups

_OPTIMIZER = "optimizer."


class AskedOfModel(TypedDict, total=False):
    """What options add to the report on a model.

    Attributes:
        weights: tensors of a file against those of the model; only with --weights.
        groups: parameter groups of the optimizer; only with --groups.
        memory: memory of a training step in bytes; only with --memory or --measure.
    """

    weights: MappingDocument
    groups: WeightGroups
    memory: dict[str, Any]


@click.command()
@click.argument("spec", shell_complete=models)
@click.option("--input", "input_text", default="", metavar="CxHxW", help="Shape of one sample, such as 3x224x224.")
@click.option("--classes", "num_classes", default=0, help="Number of classes; without it, the model's default.")
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="An argument of the model, KEY=VALUE or model.KEY=VALUE as in train; optimizer.KEY=VALUE for --groups and "
    "--memory.",
)
@click.option("--weights", default="", metavar="FILE", help="Show which weights in FILE fit the model; loads nothing.")
@click.option("--depth", default=0, help="Levels of the tree to print; 0 prints all.")
@click.option("--groups", "with_groups", is_flag=True, help="Show the parameter groups of the optimizer.")
@click.option("--memory", "with_memory", is_flag=True, help="Estimate the memory of a training step.")
@click.option("--measure", is_flag=True, help="Also run a few real steps, in a separate process.")
@click.option("--batch-size", default=0, help="For --memory: batch size.")
@click.option("--precision", default="", help="For --memory: fp32, tf32, bf16 or fp16.")
@click.option("--optimizer", default="", help="For --groups and --memory: a class of torch.optim.")
@click.option("--device", default="", help="For --memory: auto, cpu, cuda, …")
@json_option
def model(
    spec: str,
    input_text: str,
    num_classes: int,
    settings: tuple[str, ...],
    weights: str,
    depth: int,
    with_groups: bool,
    with_memory: bool,
    measure: bool,
    batch_size: int,
    precision: str,
    optimizer: str,
    device: str,
    as_json: bool,
) -> int:
    """Show the module tree of a model: a name such as resnet18 or cnn, or path/to/file.py:factory."""
    with PrivateOutput() as output:
        require_torch("model")
        from torchdeck.engine.models.module_tree import inspect_model, report_json
        from torchdeck.engine.preflight.weight_groups import weight_groups

        of_optimizer = [setting for setting in settings if setting.startswith(_OPTIMIZER)]
        config = _model_config(spec, [setting for setting in settings if setting not in of_optimizer], weights)
        shape = _shape(input_text)
        try:
            report = inspect_model(config, num_classes or None, shape)
            preview = _preview(config, num_classes or None, shape)
            run = run_of(config, batch_size, precision, optimizer, device, of_optimizer)
            groups = weight_groups(run, num_classes or None, shape) if with_groups else None
            cost = None
            if with_memory or measure:
                cost = step_cost(run, num_classes or None, shape, measures=measure)
        finally:
            # Prints of the user's file, on import, must not mix with our output.
            print(output.logged().decode(errors="replace"), end="", file=output.stderr)
        if as_json:
            asked: AskedOfModel = {}
            if preview is not None:
                asked["weights"] = mapping_document(preview)
            if groups is not None:
                asked["groups"] = groups
            if cost is not None:
                asked["memory"] = cost.document()
            print_json({**report_json(report), **asked}, output.stdout)
        else:
            console = Console(file=output.stdout, soft_wrap=True, highlight=False)
            _print_tree(report, depth, console)
            if preview is not None:
                console.print(printed(mapping_text(preview)))
            if groups is not None:
                console.print(printed(groups_text(groups)))
            if cost is not None:
                console.print(printed("\n".join(cost.lines())))
    sys.stdout.flush()
    return 0


def _model_config(spec: str, arguments: Sequence[str], weights: str) -> ModelConfig:
    overrides = [f"model.name={spec}", *(f"model.{argument.removeprefix('model.')}" for argument in arguments)]
    config = parse_config("", place="torchdeck model", overrides=overrides).model
    return config.model_copy(update={"weights": weights}) if weights else config


def _preview(config: ModelConfig, num_classes: int | None, shape: tuple[int, ...] | None) -> WeightsPreview | None:
    if not config.weights:
        return None
    from torchdeck.engine.models.weights_preview import preview_config_weights

    return preview_config_weights(config, num_classes, shape)


def _shape(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", text):
        raise ConfigError(f"--input {text}: write sizes joined by 'x', such as 3x224x224")
    return tuple(int(size) for size in text.split("x"))


def _print_tree(report: ModelReport, depth: int, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("module", no_wrap=True)
    table.add_column("type", no_wrap=True)
    table.add_column("output", no_wrap=True)
    for heading in ("parameters", "trainable", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.modules:
        if depth and row.depth > depth:
            continue
        name = row.path.rpartition(".")[2] or row.type
        table.add_row(
            Text("  " * row.depth + printable(name) + (f" = {printable(row.alias_of)}" if row.alias_of else "")),
            Text(printable(row.type)),
            shape_words(row.output_shape) if row.output_shape else "",
            f"{row.params:,}" if row.params else "",
            f"{row.trainable:,}" if row.trainable else "",
            f"{row.params / report.params:.1%}" if report.params and row.params else "",
        )
    console.print(table)
    words = [f"{report.params:,} parameters", f"{report.trainable:,} trainable", f"{report.buffers:,} buffer elements"]
    if report.flops is not None:
        words.append(flops_per_sample(report.flops))
    console.print(Text(", ".join(words)))
    for words_to_the_user in (report.note, report.error):
        if words_to_the_user:
            console.print(Text(printable(words_to_the_user)))
