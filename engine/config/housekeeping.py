"""Settings of checkpoints, notifications and mirrored metrics."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .secret_store import is_reference
from .section import HoldsSecret, MetricName, Section

Notable = Literal["finished", "stopped", "failed", "stalled"]
TerminalNotice = Literal["auto", "bell", "osc9", "osc777", "off"]


class CheckpointConfig(Section):
    """When checkpoints are saved and which are kept."""

    every_epochs: int = Field(default=1, ge=0, description="save every N epochs; 0: never")
    every_steps: int = Field(default=0, ge=0, description="also save every N steps; 0: never")
    every_minutes: float = Field(
        default=0.0, ge=0, description="also save when the last save is N minutes old; 0: never"
    )
    keep_last: int = Field(default=3, ge=1, description="number of newest checkpoints to keep")
    keep_every: int = Field(
        default=0, ge=0, description="keep the checkpoint of every N-th epoch permanently; 0: none"
    )
    best_metric: MetricName = Field(
        default="auto",
        description="validation metric that decides the best checkpoint; auto: accuracy, or loss for numeric targets",
    )
    requeue: bool = Field(default=False, description="under SLURM, SIGUSR1 saves, ends and requeues the job")


def _webhook(url: str) -> str:
    if url and not is_reference(url) and not re.match(r"https?://[^\s/]+|\$[A-Za-z_][A-Za-z0-9_]*$", url):
        raise ValueError(
            "must be the address of a web server, beginning with https:// or http://, or name an environment variable "
            "that holds it, such as $SLACK_WEBHOOK"
        )
    return url


class NotifyConfig(Section):
    """Notifications when a run ends or stalls."""

    on: list[Notable] = Field(
        default=["finished", "failed", "stalled"],
        description="events to notify about: finished, stopped, failed, stalled",
    )
    after_minutes: float = Field(default=1.0, ge=0, description="don't notify about the end of runs shorter than this")
    stalled_minutes: float = Field(
        default=15.0, ge=0, description="a run without a step for N minutes has stalled; 0: no check"
    )
    command: Annotated[str, HoldsSecret()] = Field(
        default="",
        description="shell command to run, with TORCHDECK_RUN, _PATH, _STATUS and _TEXT in its environment; kept out "
        "of runs and checkpoints, which refer to it",
    )
    webhook: Annotated[str, HoldsSecret(), AfterValidator(_webhook)] = Field(
        default="",
        description="URL that receives the notification as JSON, in a form that Slack and Discord display; "
        "$NAME: the URL in that environment variable; a URL is kept out of runs and checkpoints, which refer to it",
    )
    terminal: TerminalNotice = Field(
        default="auto",
        description="how an attached terminal notifies: bell, osc9 or osc777 (desktop notifications), off; "
        "auto: a bell and what the terminal supports",
    )


class MirrorConfig(Section):
    """Copies of the metrics in other tools' formats, written while the run trains."""

    tensorboard: bool = Field(
        default=False, description="write TensorBoard event files to the run's folder tensorboard; needs that package"
    )
