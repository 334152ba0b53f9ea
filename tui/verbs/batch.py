"""`torchdeck batch`: what the model sees at a step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError, UnknownRunError
from torchdeck.engine.machine.torch_import import require_torch
from torchdeck.engine.plurals import plural
from torchdeck.engine.runs.on_disk.directory import find_run, load_run_config
from torchdeck.engine.shapes import shape_words

from ..plain_text import printable
from ..process.private_output import PrivateOutput
from .completing import runs_and_configs
from .options import json_option, runs_root_option, set_option
from .output import print_json

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.batch_at_step import SeenBatch, SeenSample

_PRINTED = 16


class Figures(TypedDict):
    """A tensor in figures.

    Attributes:
        shape: size of each dimension, the batch first.
        dtype: such as float32.
        min: smallest value.
        max: largest value.
        mean: mean of the values.
    """

    shape: list[int]
    dtype: str
    min: float
    max: float
    mean: float


class InputFigures(Figures):
    """One part of the model's input in figures.

    Attributes:
        name: name of the part; empty where there is only one.
        shape: size of each dimension, the batch first.
        dtype: such as float32.
        min: smallest value.
        max: largest value.
        mean: mean of the values.
    """

    name: str


class BatchDocument(TypedDict):
    """One batch as the model gets it.

    Attributes:
        epoch: epoch, from 1.
        batch: number in the epoch, from 1.
        samples: samples in batch order; MixUp and CutMix mix sample n with the previous one.
        inputs: parts of the model's input, after the transforms.
        targets: what the model is trained toward, after MixUp and CutMix.
    """

    epoch: int
    batch: int
    samples: list[SeenSample]
    inputs: list[InputFigures]
    targets: Figures


class StepDocument(TypedDict):
    """What the model sees at a step.

    Attributes:
        step: optimizer step, from 1.
        batches: the batches of the step: one, or `training.accumulate` of them.
    """

    step: int
    batches: list[BatchDocument]


@click.command()
@click.argument("spec", metavar="RUN|PRESET|FILE.toml", shell_complete=runs_and_configs)
@click.option("--step", type=int, default=1, show_default=True, help="Optimizer step, from 1.")
@set_option
@click.option("--all", "every", is_flag=True, help=f"Print every sample; without it, the first {_PRINTED}.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write inputs, targets and indices to this file, for torch.load.",
)
@runs_root_option
@json_option
def batch(
    spec: str, step: int, overrides: tuple[str, ...], every: bool, save: Path | None, runs_root: Path, as_json: bool
) -> int:
    """Show the samples that the model sees at a step, after their transforms.

    They depend only on the run's settings, not on whether it was ever started or where it was resumed.
    """
    config = _config(spec, overrides, runs_root)
    with PrivateOutput() as output:
        require_torch("batch")
        from torchdeck.engine.data.exploration.batch_at_step import batches_at

        try:
            batches = batches_at(config, step)
        finally:
            # Prints of user code must not mix with our output.
            print(output.logged().decode(errors="replace"), end="", file=output.stderr)
        if save is not None:
            _save(batches, save)
        if as_json:
            document: StepDocument = {"step": step, "batches": [_document(seen) for seen in batches]}
            print_json(document, output.stdout)
            return 0
        for seen in batches:
            print(printable_text(seen, every), file=output.stdout)
    return 0


def _config(spec: str, overrides: tuple[str, ...], runs_root: Path) -> RunConfig:
    try:
        path = find_run(runs_root, spec)
    except UnknownRunError:
        return load_config(spec, overrides)
    return load_run_config(path, overrides)


def _save(batches: list[SeenBatch], path: Path) -> None:
    import torch

    content = [
        {
            "inputs": seen.inputs,
            "targets": seen.targets,
            "indices": torch.tensor([sample.index for sample in seen.samples]),
        }
        for seen in batches
    ]
    try:
        torch.save(content if len(content) > 1 else content[0], path)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"--save {path}: can't be written: {error}") from error


def _document(seen: SeenBatch) -> BatchDocument:
    return {
        "epoch": seen.epoch,
        "batch": seen.batch,
        "samples": seen.samples,
        "inputs": [{"name": name, **_figures(tensor)} for name, tensor in _parts(seen)],
        "targets": _figures(seen.targets),
    }


def _parts(seen: SeenBatch) -> Any:
    from torchdeck.engine.data.exploration.batch_at_step import parts_of

    return parts_of(seen.inputs)


def _figures(tensor: Any) -> Figures:
    numbers = tensor.double()
    return {
        "shape": list(tensor.shape),
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "min": numbers.min().item(),
        "max": numbers.max().item(),
        "mean": numbers.mean().item(),
    }


def printable_text(seen: SeenBatch, every: bool) -> str:
    """Print a batch: its tensors, then one line per sample."""
    lines = [f"step {seen.step:,}: epoch {seen.epoch}, batch {seen.batch}, {plural(len(seen.samples), 'sample')}"]
    for name, tensor in [*_parts(seen), ("targets", seen.targets)]:
        figures = _figures(tensor)
        shape = shape_words(figures["shape"])
        spread = f"{figures['min']:.4g} to {figures['max']:.4g}, mean {figures['mean']:.4g}"
        lines.append(f"  {name or 'inputs'}: {shape} {figures['dtype']}, {spread}")
    shown = seen.samples if every else seen.samples[:_PRINTED]
    lines += [f"  {sample.index:>8}  {sample.target:<16}  {sample.name}" for sample in shown]
    if len(shown) < len(seen.samples):
        lines.append(f"  … {len(seen.samples) - len(shown)} more; --all prints them")
    return "\n".join(printable(line) for line in lines)
