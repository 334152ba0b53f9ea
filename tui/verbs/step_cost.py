"""Memory and time of a model's training step, for `torchdeck model --memory`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from torchdeck.engine.config import ModelConfig, RunConfig
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import TorchdeckError

from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.model.model_text import largest_line, measured_lines, memory_lines
from ..words.worker_text import ended_words

if TYPE_CHECKING:
    from torchdeck.engine.preflight.measured_step import StepMeasurement
    from torchdeck.engine.preflight.memory_estimate import MemoryEstimate

LINE_CELLS = 76
"""Width of lines about memory, for a shell of any width."""


class StepRoom(TypedDict):
    """What is known of a step besides its estimate.

    Attributes:
        fits: whether the estimate leaves the margin that an estimate needs.
        largest_batch: estimated samples of the largest batch that fits; 0 where none does.
        measured: measured time and memory of a step; only with --measure.
    """

    fits: bool
    largest_batch: int
    measured: NotRequired[StepMeasurement]


@dataclass(frozen=True)
class StepCost:
    """The estimate, the estimated largest batch that fits, and the measurement."""

    estimate: MemoryEstimate
    largest: MemoryEstimate | None
    measured: StepMeasurement | None

    def document(self) -> dict[str, Any]:
        """Convert to part of a JSON document, in bytes and seconds."""
        largest = self.largest.batch_size if self.largest is not None else 0
        room: StepRoom = {"fits": self.estimate.fits, "largest_batch": largest}
        if self.measured is not None:
            room["measured"] = self.measured
        return {**asdict(self.estimate), **room}

    def lines(self) -> list[str]:
        """Convert to lines of markup."""
        measured = measured_lines(self.measured) if self.measured is not None else []
        return [*memory_lines(self.estimate, LINE_CELLS), largest_line(self.largest), *measured]


def run_of(
    model: ModelConfig, batch_size: int, precision: str, optimizer: str, device: str, settings: Sequence[str] = ()
) -> RunConfig:
    """Make the config of a run from a model and options; 0 and "" mean the default.

    Args:
        model: model section of the config.
        batch_size: number of samples in a batch.
        precision: fp32, tf32, bf16 or fp16.
        optimizer: class of torch.optim.
        device: auto, cpu, cuda, …
        settings: further settings, as KEY=VALUE.

    Raises:
        ConfigError: a value is not allowed.
    """
    asked = {
        "loader.batch_size": batch_size or "",
        "training.precision": precision,
        "optimizer.name": optimizer,
        "training.device": device,
    }
    config = parse_config(
        "", "torchdeck model", [f"{key}={text}" for key, text in asked.items() if text] + [*settings]
    )
    return config.model_copy(update={"model": model})


def step_cost(
    config: RunConfig, num_classes: int | None, input_shape: tuple[int, ...] | None, *, measures: bool
) -> StepCost:
    """Estimate a step and, on request, measure one in a temporary process.

    Raises:
        TorchdeckError: the model can't be built or estimated, or its process failed.
    """
    from torchdeck.engine.models.module_tree import default_input_shape
    from torchdeck.engine.preflight.memory_estimate import classes_of, estimate_memory, largest_batch

    shape = input_shape or default_input_shape(config.model)
    classes = num_classes or classes_of(config.model, shape)
    measured = asyncio.run(_measured(config, classes, shape)) if measures else None
    return StepCost(estimate_memory(config, classes, shape), largest_batch(config, classes, shape), measured)


async def _measured(config: RunConfig, classes: int, shape: tuple[int, ...]) -> StepMeasurement:
    process = WorkerProcess()
    try:
        measured: StepMeasurement = await process.call(worker_calls.MEASURE_STEP_OF_MODEL, config, classes, shape)
    except WorkerError as error:
        raise TorchdeckError(f"measuring a step: {ended_words(error)}") from error
    finally:
        await process.close()
    return measured
