"""`torchdeck export`: the weights or the model of a checkpoint in a format that other programs read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import click

from torchdeck.engine.checkpoints.code import PROGRAM_SUFFIXES, check_code_of
from torchdeck.engine.machine.torch_import import require_torch
from torchdeck.engine.runs.browsing.references import find_checkpoint

from ..plain_text import printable
from ..process.private_output import PrivateOutput
from ..words.figures import byte_size
from .completing import runs_and_files
from .options import TRUST_CODE, from_option, json_option, runs_root_option, trust_option
from .output import print_json


class ExportedDocument(TypedDict):
    """What was exported.

    Attributes:
        checkpoint: path of the checkpoint that was exported.
    """

    checkpoint: str


@click.command()
@click.argument("run", metavar="RUN|CHECKPOINT", shell_complete=runs_and_files)
@click.argument("out", type=click.Path(path_type=Path))
@from_option
@click.option("--ema", "averaged", is_flag=True, help="Use the averaged (EMA) weights.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@trust_option
@runs_root_option
@json_option
def export(
    run: str,
    out: Path,
    checkpoint: str | None,
    averaged: bool,
    overwrite: bool,
    trusts_code: bool,
    runs_root: Path,
    as_json: bool,
) -> int:
    """Write weights or a model to OUT; its suffix sets the format.

    .safetensors, .pt and .pth hold the weights by name; .pt2 (torch.export) and .onnx hold the model as a program.
    The new file is read back and compared. Weights can be exported from any checkpoint, even a pickled model (no code
    in it is run); a program needs a checkpoint of torchdeck.
    """
    found = find_checkpoint(runs_root, run, checkpoint)
    if out.suffix in PROGRAM_SUFFIXES:
        check_code_of([found.path], TRUST_CODE, is_agreed=trusts_code)
    with PrivateOutput() as output:
        require_torch("export")
        from torchdeck.engine.checkpoints.export import export_checkpoint

        try:
            report = export_checkpoint(found.path, out, averaged=averaged, overwrite=overwrite)
        finally:
            # Exporters print messages that must not mix with our output.
            print(output.logged().decode(errors="replace"), end="", file=output.stderr)
        if as_json:
            exported: ExportedDocument = {"checkpoint": str(found.path)}
            print_json({**exported, **asdict(report)}, output.stdout)
        else:
            what = f"{report.tensors} tensors" if report.tensors else "the model"
            words = f"{what} of {found.path.name} as {report.format}, {byte_size(report.bytes)}: {report.checked}"
            print(printable(words), file=output.stdout)
    return 0
