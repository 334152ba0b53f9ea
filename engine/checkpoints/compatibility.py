"""Compare a checkpoint with the current settings and machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..config.changed_settings import changed_settings
from ..config.file import parse_config
from ..errors import TorchdeckError
from ..launching.absolute_paths import with_absolute_paths
from ..preflight.draft_data import open_draft
from ..runs.browsing.references import run_of
from ..runs.on_disk.directory import load_run_config
from ..tensor_files.checkpoint_file import CheckpointReport, inspect_checkpoint
from ..training.compute.placement import choose_placement
from ..training.environment import Conditions, inexact_because


@dataclass(frozen=True)
class CheckpointStanding:
    """Differences between a torchdeck checkpoint and the current settings and machine.

    Attributes:
        changed: settings in which another config differs from the one that it was saved with: its value, the other's.
        environment: hardware and software it was computed with, by name.
        inexact: why a resume of its run would not give the very bits of the uninterrupted run; empty when it would.
        unknown: why this is unknown; empty if it is known.
    """

    changed: dict[str, tuple[Any, Any]]
    environment: dict[str, Any]
    inexact: list[str]
    unknown: str = ""


def standing_of(path: Path, other: RunConfig) -> CheckpointStanding:
    """Compare a checkpoint with another config, and its environment with this machine. Loads no tensor.

    Args:
        path: a checkpoint of torchdeck.
        other: such as the draft of the next run.

    Raises:
        CheckpointError: it can't be read.
        ConfigError: its config is damaged.
    """
    report = inspect_checkpoint(path)
    saved = parse_config(report.config, str(path))
    environment = _below("environment.", report)
    try:
        reasons, unknown = _inexact(path, saved, environment, report), ""
    except TorchdeckError as error:
        # The data or a file of the user's may be elsewhere by now.
        reasons, unknown = [], str(error).splitlines()[0]
    return CheckpointStanding(changed_settings(saved, with_absolute_paths(other)), environment, reasons, unknown)


def _inexact(path: Path, saved: RunConfig, environment: dict[str, Any], report: CheckpointReport) -> list[str]:
    run = run_of(path)
    config = load_run_config(run) if run is not None else saved
    placement = choose_placement(config.training)
    now = Conditions.now(config, placement, open_draft(config, finds_bad_files=True))
    return inexact_because(Conditions(saved, environment, report.values.get("data_fingerprint", "")), now)


def _below(prefix: str, report: CheckpointReport) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in report.values.items() if name.startswith(prefix)}
