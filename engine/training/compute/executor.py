"""The passes of a run's model on its device: seeded, compiled where asked for, in parts where memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from ...config import TrainingConfig
from ...data.loading.batch_loader import BatchLoader, TrainingData
from ...distributed.ranks import ALONE, Ranks
from ...runs.on_disk.state_file import Report
from ...runs.writer import RunWriter
from .compiled_run import CompiledRun
from .evaluation import Evaluation, evaluate
from .memory_recovery import Parts, RecoveringEvaluation, RecoveringPasses
from .step import Batch, TrainStep


class Executor:
    """Computes the steps and the evaluations of a run. All in the engine's thread.

    No closure is on the way of an error: its traceback would hold the model by it after the run's end.

    Attributes:
        step: forward, backward and update.
        passes: the step's forward and backward, in parts once memory runs out.
        evaluation: evaluates likewise.
        data: the loaders.
        seed: sets the generators for the run's next step.
        compiles_next: whether the next step is the one in which torch compiles.
    """

    def __init__(
        self,
        config: TrainingConfig,
        step: TrainStep,
        data: TrainingData,
        run: RunWriter,
        *,
        seed: Callable[[], None],
        on_split: Callable[[Parts, str], None],
        report: Report,
        ranks: Ranks = ALONE,
    ) -> None:
        """Compute nothing yet.

        Args:
            config: the `[training]` section.
            step: step of the model on its device.
            data: the loaders; their smaller last batches are not worth a graph of their own.
            run: is told how compiling went.
            seed: sets the generators for the run's next step.
            on_split: told of every split, and whether it is of "training" or of "evaluation".
            report: changes fields of the run's state.
            ranks: the processes that compute together.
        """
        self.step = step
        self._ranks = ranks
        self.passes = RecoveringPasses(step, seed, lambda parts: on_split(parts, "training"))
        self.passes.largest_part = ranks.largest_part
        self.evaluation = RecoveringEvaluation(
            lambda parts: on_split(parts, "evaluation"), are_shared=step.passes_are_shared
        )
        self.seed = seed
        self.compiles_next = config.compile
        self.data = data
        self._any_size_is_compiled = config.compile_dynamic == "always"
        self._compiled = CompiledRun(config, step, step.placement.device, run, report, self._runs_eager)

    def forward_backward(self, window: list[Batch]) -> tuple[Tensor, list[Tensor]]:
        """See `TrainStep.forward_backward`; in parts where memory runs out."""
        return self.passes(window)

    def update(self) -> None:
        """See `TrainStep.update`."""
        self.step.update()

    def compile_in_step(self, window: list[Batch]) -> tuple[Tensor, list[Tensor]]:
        """Do the run's first step, in which torch compiles. Returns what `forward_backward` does."""
        self.compiles_next = False
        return self._compiled.first_step(window, partial(self.whole_step, window))

    def whole_step(self, window: list[Batch]) -> tuple[Tensor, list[Tensor]]:
        """Seed the run's next step and do it. Returns what `forward_backward` does."""
        self.seed()
        result = self.forward_backward(window)
        self.update()
        return result

    def evaluate(self, loader: BatchLoader, interrupted: Callable[[], bool]) -> Evaluation | None:
        """Evaluate the model on a loader. Returns None when `interrupted` said so between two batches."""
        # Running statistics of a batch norm are those of the first process, which saves them.
        self._ranks.spread(list(self.step.model.buffers()))
        self.seed()
        step = self.step
        return evaluate(
            step.model, loader, step.objective, step.placement, interrupted, self._ranks, passes=self.evaluation
        )

    def say_recompiled(self, step: int) -> None:
        """Tell of graphs that torch made since the last call. `step`: optimizer steps done."""
        self._compiled.say_recompiled(step)

    def _runs_eager(self, samples: int) -> bool:
        """Whether a batch is the smaller last one of its split; a graph of its own would not pay."""
        if self._any_size_is_compiled:
            return False
        is_training = self.step.model.training
        loader = self.data.train if is_training else self.data.validation
        largest_part = self.passes.largest_part if is_training else self.evaluation.largest_part
        return not largest_part and samples < min(loader.batch_size, loader.num_samples)
