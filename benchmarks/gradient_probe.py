"""Cost of recording gradient norms: a training step with a record against one without, in CPU seconds.

    uv run python benchmarks/gradient_probe.py [--model resnet18] [--side 32] [--batch-size 32] [--steps 12]

Steps of both kinds take turns. Prints the median of each and what a record every 50 steps adds to a step.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from torchdeck.engine.config import ModelConfig, OptimizerConfig, RunConfig
from torchdeck.engine.models.build import build_with_notes
from torchdeck.engine.training.compute.objective import class_objective
from torchdeck.engine.training.compute.placement import choose_placement
from torchdeck.engine.training.compute.probes import GradientProbe
from torchdeck.engine.training.compute.step import TrainStep
from torchdeck.engine.training.optimization.optimizers import build_optimizer

CLASSES = 10


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--every", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = RunConfig()
    shape = (3, options.side, options.side)
    model = build_with_notes(ModelConfig(name=options.model), CLASSES, shape).model
    optimizer = build_optimizer(OptimizerConfig.model_validate({"name": "SGD", "lr": 0.01, "momentum": 0.9}), model)
    objective = class_objective(CLASSES, torch.device("cpu"))
    step = TrainStep(model, optimizer, objective, choose_placement(config.training), clip_norm=0.0)
    probe = GradientProbe(model)
    batch = (torch.randn(options.batch_size, *shape), torch.randint(CLASSES, (options.batch_size,)))
    taken: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * options.steps + 2):
        looks = number % 2 == 1
        step.probe = probe if looks else None
        began = time.process_time()
        step([batch])
        if looks:
            probe.take()
        if number >= 2:
            taken[looks].append(time.process_time() - began)
    plain, looked = (statistics.median(taken[looks]) for looks in (False, True))
    # Of pairs of neighboring steps, so that what else the machine does falls on both.
    extra = statistics.median([b - a for a, b in zip(taken[False], taken[True], strict=True)])
    print(f"{options.model} at {options.side} px, batch {options.batch_size}: a step takes {1000 * plain:.1f} ms CPU")
    print(f"with one {1000 * looked:.1f} ms; every {options.every} steps it adds {extra / plain / options.every:.3%}")


if __name__ == "__main__":
    main()
