"""The run of a trial: an ordinary run in a process of its own, which outlives its worker."""

from __future__ import annotations

from ..config.run import RunConfig
from ..detached.detached_run import DetachedRun, RunFiles
from .folder import SweepFolder

_LONGEST_NAME = 56


def trial_run(folder: SweepFolder, trial: int, config: RunConfig, seed_index: int, runs: int) -> DetachedRun:
    """The run of one trial, or of one of its seeds.

    Args:
        folder: the sweep.
        trial: number of the trial.
        config: config of the trial, with the seed of its first run.
        seed_index: which of the trial's runs.
        runs: how many runs the trial has.
    """
    name = f"{config.name[:_LONGEST_NAME]}-t{trial:04d}"
    part_of = {"sweep": folder.name, "trial": trial}
    config_file = folder.trial_file(trial, "toml")
    if runs > 1:
        name, part_of = f"{name}-s{seed_index}", {**part_of, "seed_of_trial": seed_index}
        config_file = folder.trial_file(trial, f"s{seed_index}.toml")
    files = RunFiles(config_file, folder.trial_file(trial, "run"), folder.trial_file(trial, "log"))
    own = config.model_copy(update={"name": name, "seed": config.seed + seed_index})
    return DetachedRun(folder.runs_root, own, part_of, files)
