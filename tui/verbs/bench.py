"""`torchdeck bench`: training speed on this machine, compared with a bare loop and other trainers."""

from __future__ import annotations

import click

from torchdeck.engine.machine.torch_import import require_torch

from ..process.private_output import PrivateOutput
from .options import json_option
from .output import print_json


@click.command()
@click.argument("subjects", metavar="[mlp] [cnn] [resnet18]", nargs=-1)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds per window.")
@click.option("--rounds", type=click.IntRange(min=1), default=12, show_default=True, help="Windows per loop.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
@json_option
def bench(subjects: tuple[str, ...], seconds: float, rounds: int, device: str, as_json: bool) -> int:
    """Compare torchdeck's engine on this machine with a bare loop and other installed trainers, as ratios.

    All loops train on batches of 64 random images in memory. headless: the engine with metrics, journal and
    checkpoints; quickstart: PyTorch's tutorial with a DataLoader; lightning and accelerate: only if installed. Loops
    take turns in short windows; the ratio shown is the median over the rounds.
    """
    with PrivateOutput() as output:
        require_torch("bench")
        from torchdeck.engine.bench.speed import SUBJECTS, bench_config, measure, summary

        for subject in subjects:
            bench_config(subject, device)
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
