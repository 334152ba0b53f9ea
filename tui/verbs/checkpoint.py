"""`torchdeck checkpoint`: what is inside a file, without torch and without running anything from it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.runs.checkpoint_file import inspect_checkpoint, report_json
from tui.commands import json_option
from tui.text import byte_size
from tui.verbs.output import print_json
from tui.widgets.plain_text import printable


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def checkpoint(file: Path, as_json: bool) -> None:
    """What is inside a checkpoint: tensors with shape, dtype and bytes, and its plain values.

    Reads torch's zip files, files of torch before 1.6, and safetensors.
    """
    document = report_json(inspect_checkpoint(file))
    if as_json:
        print_json(document)
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(Text(f"{document['format']}, {byte_size(file.stat().st_size)}"))
    for key in ("epoch", "step"):
        if document.get(key) is not None:
            console.print(Text(f"{key} {document[key]}"))
    for name, value in (document.get("metrics") or {}).items():
        console.print(Text(f"{printable(str(name))} {value}"))
    console.print(Text("keys: " + ", ".join(printable(str(key)) for key in document["keys"])))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tensor", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    table.add_column("dtype", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for tensor in document["tensors"]:
        shape = "×".join(map(str, tensor["shape"])) or "scalar"
        table.add_row(Text(printable(tensor["name"])), shape, tensor["dtype"], byte_size(tensor["bytes"]))
    console.print(table)
    total = sum(tensor["bytes"] for tensor in document["tensors"])
    console.print(Text(f"{len(document['tensors']):,} tensors, {byte_size(total)}"))
