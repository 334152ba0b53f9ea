"""`torchdeck attach`: the studio on a run that another process trains, or that has ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torchdeck.engine.config.file import load_config
from torchdeck.engine.config.presets import DEFAULT_PRESET
from torchdeck.engine.errors import RecordedRunError, RunError
from torchdeck.engine.foreign.formats import find_any_run, open_run
from torchdeck.engine.run_files import CONFIG_FILE
from torchdeck.engine.runs.on_disk.directory import LIVE_STATUSES, list_runs

from ..process.importing import no_garbage_sought
from .completing import runs
from .options import graphics_option, runs_root_option

if TYPE_CHECKING:
    from ..graphics.support import Wish


@click.command()
@click.argument("run", required=False, shell_complete=runs)
@runs_root_option
@graphics_option
@click.pass_obj
def attach(parent: Any, run: str | None, runs_root: Path, graphics: Wish) -> int:
    """Open the studio on a run; without a name, on the newest live one.

    A path may be a run of another trainer: it is shown live, and nothing of it is changed. Keys reach a run of
    torchdeck through its control socket. Quitting the studio does not affect the run.
    """
    path = find_any_run(runs_root, run) if run is not None else newest_live_run(runs_root)
    try:
        config, spec = open_run(path).config(), str(path / CONFIG_FILE)
    except RecordedRunError:
        config, spec = load_config(DEFAULT_PRESET), DEFAULT_PRESET
    with no_garbage_sought():
        from ..studio import open_studio

    return open_studio(config, spec, runs_root, parent, watch=path, graphics=graphics)


def newest_live_run(runs_root: Path) -> Path:
    """Find this user's newest live run. Raises RunError if there is none."""
    live = [summary for summary in list_runs(runs_root) if summary.status in LIVE_STATUSES]
    own = [summary for summary in live if _is_own(summary.path)]
    if live and not own:
        raise RunError(f"the live runs in {runs_root} belong to other users; `torchdeck runs` lists them")
    if not own:
        raise RunError(f"no live run in {runs_root}; `torchdeck runs` lists all runs")
    return max(own, key=lambda summary: summary.started).path


def _is_own(run: Path) -> bool:
    try:
        return run.stat().st_uid == os.getuid()
    except OSError:
        return False
