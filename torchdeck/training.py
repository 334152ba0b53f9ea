"""Training runs from Python: new ones, resumed ones, forks; each call returns when the run has ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .inspecting import PathLike, find_checkpoint, load_config, load_model, open_run, runs_root

if TYPE_CHECKING:
    from torch import nn

    from .engine.config import RunConfig
    from .engine.launching.launched_run import LaunchedRun
    from .engine.runs.on_disk.state_file import BestResult


_TRUST = "trust_code=True"


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        path: directory of the run.
        status: "finished", or "stopped" after Ctrl-C or a stop from elsewhere.
        epoch: epochs done.
        step: optimizer steps done.
        metrics: the newest metrics, by name.
        best: the best evaluation: its metric, value, epoch and step; None before the first.
        checkpoint: the newest checkpoint; None where none was saved.
    """

    path: Path
    status: str
    epoch: int
    step: int
    metrics: dict[str, float]
    best: BestResult | None
    checkpoint: Path | None

    @classmethod
    def of(cls, path: Path) -> Result:
        """The result of the run in a directory."""
        from .engine.runs.browsing.references import last_checkpoint
        from .engine.runs.reader import RunReader

        reader = RunReader(path)
        reader.poll()
        progress = reader.progress()
        return cls(
            path,
            reader.status(),
            progress.epoch,
            progress.step,
            reader.latest_metrics(),
            reader.best(),
            last_checkpoint(path),
        )

    def model(self, *, averaged: bool = False) -> nn.Module:
        """The trained model of the best checkpoint, else of the newest: on the CPU, in eval mode."""
        return load_model(self.path, averaged=averaged, trust_code=True)


def train(
    config: RunConfig | PathLike,
    *,
    runs: PathLike | None = None,
    trust_code: bool = False,
    show: bool = True,
    **changes: Any,
) -> Result:
    """Train a preset, a TOML file or a config to its end, in this process, and return the result.

    Ctrl-C saves and stops; the result says so, and `resume` continues.

    Args:
        config: what `load_config` takes.
        runs: the folder for the run's directory; None for $TORCHDECK_RUNS, else ./runs.
        trust_code: whether the code and the command of a config in a run's folder may run.
        show: whether progress is printed.
        changes: settings.

    Raises:
        Error: a setting that is not allowed, data that can't be read, a loss that became NaN.
    """
    from .engine.config.overrides import as_overrides
    from .engine.launching.agreement import agree_to_named, check_agreed, is_of_a_run
    from .engine.launching.launch import launch

    resolved = load_config(config, **changes)
    if isinstance(config, str | Path) and is_of_a_run(str(config)):
        check_agreed(resolved, _TRUST, is_agreed=trust_code, overrides=as_overrides(changes))
    else:
        agree_to_named(resolved)
    return _follow(launch(resolved, runs_root(runs), argv=["torchdeck.train"]), show=show)


def resume(
    run: PathLike,
    *,
    checkpoint: str | None = None,
    runs: PathLike | None = None,
    trust_code: bool = False,
    show: bool = True,
    **changes: Any,
) -> Result:
    """Resume a run, bit for bit, from its newest valid checkpoint or a named one; changes may add epochs."""
    from .engine.config.overrides import as_overrides
    from .engine.launching.agreement import check_agreed
    from .engine.launching.launch import launch_resumed
    from .engine.runs.browsing.references import checkpoint_of
    from .engine.runs.on_disk.directory import load_run_config

    path = open_run(run, runs=runs).path
    file = checkpoint_of(path, checkpoint) if checkpoint is not None else None
    overrides = as_overrides(changes)
    config = load_run_config(path, overrides)
    check_agreed(config, _TRUST, is_agreed=trust_code, overrides=overrides)
    return _follow(launch_resumed(path, checkpoint=file, overrides=overrides), show=show)


def fork(
    run: PathLike,
    *,
    checkpoint: str | None = None,
    weights_only: bool = False,
    averaged: bool = False,
    runs: PathLike | None = None,
    trust_code: bool = False,
    show: bool = True,
    **changes: Any,
) -> Result:
    """Train a new run that begins with the state, or the weights only, of a run's checkpoint or a checkpoint file."""
    from .engine.config.overrides import as_overrides
    from .engine.launching.agreement import check_agreed
    from .engine.launching.fork import fork_config

    path = find_checkpoint(run, checkpoint, runs, trust_code)
    overrides = as_overrides(changes)
    config = fork_config(path, weights_only=weights_only, averaged=averaged, overrides=overrides)
    check_agreed(config, _TRUST, is_agreed=trust_code, overrides=overrides)
    return train(config, runs=runs, show=show)


def _follow(run: LaunchedRun, *, show: bool) -> Result:
    """Wait until a run has ended, and pass Ctrl-C on to it: the first saves and stops, a second one is raised."""
    import sys

    from .tui.headless import Display

    display = Display(sys.stdout, quiet=not show)
    is_stopping = False
    try:
        while run.is_alive:
            try:
                run.join(0.25)
                display.update(run)
            except KeyboardInterrupt:
                if is_stopping:
                    raise
                is_stopping = True
                run.stop(reason="SIGINT")
    finally:
        display.finish(run)
    if run.error is not None:
        raise run.error
    if run.path is None:
        raise KeyboardInterrupt("stopped before the run began")
    return Result.of(run.path)
