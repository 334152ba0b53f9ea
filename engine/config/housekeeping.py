"""What is kept of a run, who is told of it, and what else it writes."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .section import MetricName, Section

Notable = Literal["finished", "stopped", "failed", "stalled"]
TerminalNotice = Literal["auto", "bell", "osc9", "osc777", "off"]


class CheckpointConfig(Section):
    """When the run is saved and what is kept."""

    every_epochs: int = Field(default=1, ge=0, description="save after every so many epochs; 0 for never")
    every_steps: int = Field(default=0, ge=0, description="save after every so many steps as well; 0 for never")
    every_minutes: float = Field(
        default=0.0, ge=0, description="save as well when the last save is so many minutes old; 0 for never"
    )
    keep_last: int = Field(default=3, ge=1, description="how many of the newest checkpoints are kept")
    keep_every: int = Field(
        default=0, ge=0, description="keep the checkpoint of every so many epochs for good; 0 for none"
    )
    best_metric: MetricName = Field(
        default="auto",
        description="validation metric that decides which is best; auto: accuracy, or loss where targets are numbers",
    )
    requeue: bool = Field(
        default=False, description="under SLURM, SIGUSR1 saves, ends and puts the job back into the queue"
    )


def _webhook(url: str) -> str:
    if url and not re.match(r"https?://[^\s/]+", url):
        raise ValueError("must be the address of a web server, beginning with https:// or http://")
    return url


class NotifyConfig(Section):
    """Who is told when nobody looks."""

    on: list[Notable] = Field(
        default=["finished", "failed", "stalled"], description="what is told: finished, stopped, failed, stalled"
    )
    after_minutes: float = Field(default=1.0, ge=0, description="the end of a shorter run is not told")
    stalled_minutes: float = Field(
        default=15.0, ge=0, description="a run without a step for so long has stalled; 0 never looks"
    )
    command: str = Field(
        default="", description="shell command to run, with TORCHDECK_RUN, _PATH, _STATUS and _TEXT in its environment"
    )
    webhook: Annotated[str, AfterValidator(_webhook)] = Field(
        default="", description="address that gets the notice as JSON, in a form that Slack and Discord show"
    )
    terminal: TerminalNotice = Field(
        default="auto",
        description="how an attached terminal tells: bell, osc9 or osc777 (desktop notifications), off; "
        "auto: a bell and what the terminal understands",
    )


class MirrorConfig(Section):
    """Copies of the metrics in other tools' formats, while the run goes on."""

    tensorboard: bool = Field(
        default=False, description="TensorBoard event files in the run's folder tensorboard; needs the package"
    )
