"""`torchdeck checkpoint`: what is inside a file, without torch and without running anything from it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchdeck.engine.machine.torch_import import require_torch
from torchdeck.engine.shapes import tensor_words
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint, report_json

from ..plain_text import printable
from ..words.figures import byte_size, figure
from ..words.runs.checkpoint_text import report_text
from .completing import WEIGHTS, files
from .options import json_option
from .output import print_json, printed


@click.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=files(*WEIGHTS))
@click.option("--norms", is_flag=True, help="Also print the Euclidean norm of every tensor; needs torch.")
@json_option
def checkpoint(file: Path, norms: bool, as_json: bool) -> None:
    """Show what is inside a checkpoint of any program: tensors with shape, dtype and bytes, and plain values.

    Reads torch's zip files, files of torch before 1.6, and safetensors. For a pickled model, it names the class and
    counts the tensors; no code in a file is ever run.
    """
    report = inspect_checkpoint(file)
    measured: dict[str, float] = {}
    if norms:
        require_torch("checkpoint --norms")
        from torchdeck.engine.checkpoints.tensor_norms import tensor_norms

        measured = tensor_norms(file)
    if as_json:
        document = report_json(report)
        if norms:
            for entry in document["tensors"]:
                entry["norm"] = measured.get(entry["name"])
        print_json(document)
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(printed(report_text(report)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("tensor", "shape", "dtype", "size", *(["norm"] if norms else [])):
        table.add_column(title, no_wrap=True, justify="right" if title in ("size", "norm") else "left")
    for tensor in report.tensors:
        norm = measured.get(tensor.name)
        words = (printable(tensor.name), tensor_words(tensor.shape), tensor.dtype, byte_size(tensor.bytes))
        table.add_row(*map(Text, words), *([Text("" if norm is None else figure(norm))] if norms else []))
    console.print(table)
