"""`torchdeck bench`: training speed on this machine, compared with a bare loop and other trainers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, TypedDict

import click

from torchdeck.engine.machine.torch_import import require_torch

from ..process.private_output import PrivateOutput
from .options import Numbers, json_option
from .output import print_json

if TYPE_CHECKING:
    from torchdeck.engine.bench.scaling import Scaling


class Efficiency(TypedDict):
    """How well processes train together.

    Attributes:
        efficiency: speed relative to that many processes that each train as fast as one alone; 1 at best.
    """

    efficiency: float


@click.command()
@click.argument("subjects", metavar="[mlp] [cnn] [resnet18]", nargs=-1)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds per window.")
@click.option("--rounds", type=click.IntRange(min=1), default=12, show_default=True, help="Windows per loop.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
@click.option("--processes", type=Numbers("processes", "1,2,4"), metavar="1,2,4", help="Compare numbers of processes.")
@click.option("--gpus", type=Numbers("GPUs", "0-3"), metavar="0-3", help="Compare 1, 2, 4, … of these GPUs.")
@click.option(
    "--exact-shards", type=click.IntRange(min=0), default=0, help="parallel.exact_shards of several processes."
)
@click.option("--strategy", type=click.Choice(["ddp", "fsdp"]), default="ddp", help="parallel.strategy of these.")
@json_option
def bench(
    subjects: tuple[str, ...],
    seconds: float,
    rounds: int,
    device: str,
    processes: list[int] | None,
    gpus: list[int] | None,
    exact_shards: int,
    strategy: Literal["ddp", "fsdp"],
    as_json: bool,
) -> int:
    """Compare torchdeck's engine on this machine with a bare loop and other installed trainers, as ratios.

    All loops train on batches of 64 random images in memory. headless: the engine with metrics, journal and
    checkpoints; quickstart: PyTorch's tutorial with a DataLoader; lightning and accelerate: only if installed. Loops
    take turns in short windows; the ratio shown is the median over the rounds.

    With --processes or --gpus, the engine with several processes is compared with itself with one: batches of 64 for
    each, and the cores divided by the largest number. exchange is the share of a step that adding up the gradients
    would take by itself; a part of it is hidden behind the backward pass.
    """
    with PrivateOutput() as output:
        require_torch("bench")
        from torchdeck.engine.bench.speed import SUBJECTS, bench_config, measure, summary

        for subject in subjects:
            bench_config(subject, device)
        if processes is not None or gpus is not None:
            counts = processes or [1 << power for power in range(len(gpus or ()).bit_length())]
            from torchdeck.engine.bench.scaling import measure_scaling

            compared: dict[str, list[Scaling]] = {}
            for subject in subjects or tuple(SUBJECTS):
                print(f"measuring {subject} …", file=output.stderr)
                compared[subject] = measure_scaling(
                    subject,
                    counts,
                    seconds=seconds,
                    rounds=rounds,
                    device=device,
                    devices=gpus or [],
                    exact_shards=exact_shards,
                    strategy=strategy,
                )
            _print_scaling(compared, as_json, output)
            return 0
        table = {}
        for subject in subjects or tuple(SUBJECTS):
            print(f"measuring {subject} …", file=output.stderr)
            measured = measure(subject, seconds=seconds, rounds=rounds, device=device)
            table[subject] = {name: summary(measured, name) for name in sorted(measured[0])}
        if as_json:
            print_json(table, output.stdout)
            return 0
        print(f"{'':<10}{'loop':<12}{'steps/s':>10}{'/ bare':>9}{'/ bare, CPU time':>19}", file=output.stdout)
        for subject, loops in table.items():
            for name, found in sorted(loops.items(), key=lambda item: -item[1]["cpu_ratio"]):
                print(
                    f"{subject:<10}{name:<12}{found['steps_per_s']:>10.1f}{found['ratio']:>9.3f}"
                    f"{found['cpu_ratio']:>19.3f}",
                    file=output.stdout,
                )
    return 0


def _print_scaling(compared: dict[str, list[Scaling]], as_json: bool, output: PrivateOutput) -> None:
    if as_json:
        table = {
            subject: [{**asdict(row), **Efficiency(efficiency=row.efficiency)} for row in rows]
            for subject, rows in compared.items()
        }
        print_json(table, output.stdout)
        return
    print(
        f"{'':<10}{'processes':>10}{'samples/s':>11}{'/ one':>8}{'efficiency':>12}{'exchange':>10}", file=output.stdout
    )
    for subject, rows in compared.items():
        for row in rows:
            print(
                f"{subject:<10}{row.processes:>10}{row.samples_per_s:>11,.0f}{row.times:>8.2f}{row.efficiency:>11.0%}"
                f"{row.exchange:>11.1%}",
                file=output.stdout,
            )
