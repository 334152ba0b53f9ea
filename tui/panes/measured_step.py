"""A real training step of a draft, measured in a process that ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.worker_text import ended_words

if TYPE_CHECKING:
    from torchdeck.engine.preflight.measured_step import StepMeasurement


async def measured_step(worker: WorkerProcess, draft: RunConfig) -> tuple[StepMeasurement | None, str]:
    """Measure a step of a draft.

    Args:
        worker: worker process; the step runs in a separate one.
        draft: config of the run.

    Returns:
        The measurement, or None and why there is none.
    """
    process = worker.another()
    try:
        return await process.call(worker_calls.MEASURE_STEP, draft), ""
    except (TorchdeckError, WorkerError) as error:
        return None, ended_words(error)
    finally:
        await process.close()
