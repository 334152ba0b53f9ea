"""Cost of an epoch's training metrics, such as macro F1: what counting the steps' predictions adds to training.

    uv run python benchmarks/training_metrics.py [--rounds 40]

Blocks of steps that count their predictions and blocks that don't take turns, each read back as often as a run does.
Prints CPU seconds: of a step, of counting as a share of it as measured inside the loop, and the ratio of the blocks.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from torchdeck.engine.config import ModelConfig, OptimizerConfig, RunConfig
from torchdeck.engine.models.build import build_with_notes
from torchdeck.engine.shapes import Shape
from torchdeck.engine.training.compute.objective import class_objective
from torchdeck.engine.training.compute.placement import choose_placement
from torchdeck.engine.training.compute.step import TrainStep
from torchdeck.engine.training.metrics.prediction_counts import PredictionCounts
from torchdeck.engine.training.optimization.optimizers import build_optimizer
from torchdeck.engine.training.records.step_log import StepLog
from torchdeck.engine.training.state import Totals

CPU = torch.device("cpu")
SECONDS_A_BLOCK = 0.2
STEPS_AN_EPOCH = 345
CASES: dict[str, tuple[str, dict[str, object], Shape, int, int]] = {
    "mlp of 16, batch 64, 10 classes": ("mlp", {"hidden": [16]}, (1, 8, 8), 64, 10),
    "mlp of 512 and 512, batch 64, 10 classes": ("mlp", {"hidden": [512, 512]}, (1, 28, 28), 64, 10),
    "cnn, batch 64, 10 classes": ("cnn", {}, (1, 8, 8), 64, 10),
    "cnn, batch 128, 100 classes": ("cnn", {}, (3, 32, 32), 128, 100),
    "mlp of 256, batch 256, 1,000 classes": ("mlp", {"hidden": [256]}, (1, 16, 16), 256, 1000),
}


class TimedCounts(PredictionCounts):
    """Counts, and the CPU seconds that counting took.

    Attributes:
        seconds: since it was made.
    """

    seconds = 0.0

    def update(self, predicted: Tensor, wanted: Tensor) -> None:
        """Count, on the clock."""
        self._timed(lambda: PredictionCounts.update(self, predicted, wanted))

    def take(self) -> Tensor:
        """Read back, on the clock."""
        taken: list[Tensor] = []
        self._timed(lambda: taken.append(PredictionCounts.take(self)))
        return taken[0]

    def _timed(self, work: Callable[[], object]) -> None:
        began = time.thread_time()
        work()
        self.seconds += time.thread_time() - began


class Loop:
    """Steps of one model whose predictions can be counted or not."""

    def __init__(self, model: str, arguments: dict[str, object], shape: Shape, batch_size: int, classes: int) -> None:
        """Build the model, its step and one batch."""
        built = build_with_notes(ModelConfig.model_validate({"name": model, **arguments}), classes, shape).model
        optimizer = build_optimizer(OptimizerConfig.model_validate({"name": "AdamW", "lr": 1e-3}), built)
        self.objective = class_objective(classes, CPU)
        self.step = TrainStep(built, optimizer, self.objective, choose_placement(RunConfig().training), clip_norm=0.0)
        self.inputs = torch.rand(batch_size, *shape)
        self.targets = torch.randint(classes, (batch_size,))
        self.counted, self.uncounted = StepLog(self.objective), StepLog(self.objective)
        self.counts = self.counted._counts = TimedCounts("classes", classes, CPU)
        # Of numbers nothing is counted.
        self.uncounted._counts = PredictionCounts("values", classes, CPU)
        self.totals = Totals()

    def block(self, log: StepLog, steps: int) -> float:
        """Take steps and read them back; CPU seconds."""
        began = time.thread_time()
        for _ in range(steps):
            loss, outputs = self.step([(self.inputs, self.targets)])
            log.add(loss, outputs, [self.targets], 1e-3)
        self.totals.add(log.drain())
        return time.thread_time() - began

    def end_of_epoch(self) -> float:
        """CPU seconds in which an epoch's metrics follow from its counts."""
        began = time.thread_time()
        self.totals.epoch_metrics(self.objective)
        return time.thread_time() - began


def measure(name: str, rounds: int) -> None:
    """Print one line."""
    loop = Loop(*CASES[name])
    steps = 20
    for _ in range(3):
        seconds = loop.block(loop.counted, steps)
        steps = max(1, round(SECONDS_A_BLOCK / seconds * steps))
    loop.totals.begin_epoch(0.0)
    loop.counts.seconds = 0.0
    counted, uncounted = [], []
    for _ in range(rounds):
        counted.append(loop.block(loop.counted, steps))
        loop.totals.begin_epoch(0.0)
        uncounted.append(loop.block(loop.uncounted, steps))
        loop.totals.begin_epoch(0.0)
    loop.block(loop.counted, 1)
    inside = loop.counts.seconds / sum(counted)
    step = statistics.median(uncounted) / steps
    epoch = statistics.median(loop.end_of_epoch() for _ in range(20)) / (STEPS_AN_EPOCH * step)
    ratio = statistics.median(one / other for one, other in zip(counted, uncounted, strict=True))
    print(
        f"{name:<42} step {1e6 * step:7.0f} µs  counting {inside:6.2%}  + end of an epoch of {STEPS_AN_EPOCH} steps "
        f"{epoch:6.2%}  counted / not {ratio:.4f}",
        flush=True,
    )


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in CASES:
        measure(name, options.rounds)


if __name__ == "__main__":
    main()
