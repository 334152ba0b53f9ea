"""`torchdeck train --dry-run`: check a run and print its plan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from torchdeck.engine.config import RunConfig
from torchdeck.engine.machine.torch_import import require_torch
from torchdeck.engine.plurals import plural
from torchdeck.engine.shapes import shape_words

from ..drawing import escape
from ..plain_text import printable
from ..process.private_output import PrivateOutput
from ..words.figures import byte_size
from ..words.model.model_text import memory_lines
from ..words.setup.plan_text import plan_text
from .output import print_json, printed
from .step_cost import LINE_CELLS

if TYPE_CHECKING:
    from torchdeck.engine.preflight.dry_run import DryRun


class LearningRates(TypedDict):
    """Learning rates of a planned run.

    Attributes:
        first: learning rate of the first step; None if unknown.
        highest: highest learning rate; None if unknown.
        last: learning rate of the last step; None if unknown.
    """

    first: float | None
    highest: float | None
    last: float | None


class PlannedRates(TypedDict):
    """The learning rate in a plan.

    Attributes:
        learning_rate: learning rate of the group that is shown.
    """

    learning_rate: LearningRates


def print_dry_run(config: RunConfig, runs_root: Path, as_json: bool) -> int:
    """Build and check a run, and print its plan. Returns the exit status."""
    with PrivateOutput() as output:
        require_torch("train --dry-run")
        from torchdeck.engine.preflight.dry_run import dry_run

        is_live = output.stderr.isatty() and not as_json

        def show(message: str, done: int, total: int) -> None:
            if is_live:
                print(f"\r\x1b[K{printable(message)} …", end="", file=output.stderr, flush=True)

        found = dry_run(config, runs_root, show)
        if is_live:
            print("\r\x1b[K", end="", file=output.stderr)
        if as_json:
            print_json(_document(found), output.stdout)
        else:
            print(_words(config, found), file=output.stdout)
    return 0


def _words(config: RunConfig, found: DryRun) -> str:
    shape = shape_words(found.input_shape)
    memory = memory_lines(found.memory, LINE_CELLS) if found.memory is not None else [escape(found.memory_note)]
    rates = found.plan.rates
    lines = [
        f"data: {printable(config.data.dataset)}, {found.train_samples:,} training samples, "
        f"{found.validation_samples:,} validation samples, "
        f"{plural(found.classes, 'class', 'classes')}, {shape} each; {found.storage}",
        f"model: {printable(config.model.name)}, {found.parameters:,} parameters, {found.trainable:,} trainable",
        f"on {found.device} in {found.precision}{', compiled' if config.training.compile else ''}",
        printed(plan_text(found.plan)).plain,
    ]
    if rates:
        lines.append(f"learning rate: {rates[0]:g} at the start, {max(rates):g} at its peak, {rates[-1]:g} at the end")
    lines += [
        *(printed(line).plain for line in memory),
        f"checkpoints: {printable(found.checkpoints)}, about {byte_size(found.checkpoint_bytes)} each, "
        f"{byte_size(found.free_disk)} free",
        "dry run: nothing was trained or written",
    ]
    return "\n".join(lines)


def _document(found: DryRun) -> dict[str, Any]:
    document = asdict(found)
    rates = document["plan"].pop("rates")
    del document["plan"]["lowest_rates"]
    first, highest, last = (rates[0], max(rates), rates[-1]) if rates else (None, None, None)
    document["plan"] |= PlannedRates(learning_rate=LearningRates(first=first, highest=highest, last=last))
    return document
