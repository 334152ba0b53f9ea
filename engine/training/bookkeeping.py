"""What a run in training is watched by, and what is written of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..runs.writer import RunWriter
from .callbacks import Callbacks
from .monitors.gradient_watch import GradientWatch
from .profiling import Profiling
from .records.clock import TrainingClock
from .records.status import TrainingStatus
from .records.step_records import StepRecords
from .records.time_breakdown import TimeShares


@dataclass(frozen=True)
class Watchers:
    """Those who look at the steps.

    Attributes:
        callbacks: the user's own code.
        gradients: looks at gradients and updates every few steps.
        profiling: traces steps when asked to.
    """

    callbacks: Callbacks
    gradients: GradientWatch
    profiling: Profiling


@dataclass(frozen=True)
class Bookkeeping:
    """Everything that is written of the training, and the clocks that it is written by.

    Attributes:
        run: takes records, events and state.
        status: reports where training stands.
        steps: collects the steps and records them a few times a second.
        clock: seconds of training since the run first began.
        times: what the time of this life of the run was spent on.
    """

    run: RunWriter
    status: TrainingStatus
    steps: StepRecords
    clock: TrainingClock
    times: TimeShares
