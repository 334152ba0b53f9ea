"""How far a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        epoch: current epoch, from 1; 0 before the first.
        epochs: number of epochs to train.
        step: completed optimizer steps.
        total_steps: optimizer steps of the whole run; 0 if unknown.
        step_in_epoch: completed optimizer steps of this epoch.
        steps_per_epoch: optimizer steps of an epoch; 0 if unknown.
        samples_per_s: training samples a second, over the newest few seconds; 0 while not known.
        eta_seconds: seconds until the end of the run, including evaluations; NaN if unknown.
        lr: newest learning rate; NaN if unknown.
        phase: decoding, compiling, training, evaluating, …; empty when it does nothing.
    """

    epoch: int
    epochs: int
    step: int
    total_steps: int
    step_in_epoch: int
    steps_per_epoch: int
    samples_per_s: float
    eta_seconds: float
    lr: float
    phase: str
