"""Looking at runs, checkpoints, models and batches from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .engine.errors import TorchdeckError as Error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from .engine.checkpoints.evaluate import CheckpointScores
    from .engine.config import RunConfig
    from .engine.data.loading.batch_loader import TrainingData
    from .engine.models.module_tree import ModelReport
    from .engine.runs.on_disk.directory import RunSummary
    from .engine.runs.reader import RunReader

PathLike = str | Path


def load_config(config: RunConfig | PathLike, **changes: Any) -> RunConfig:
    """A preset by name, a TOML file by path, or a config, with changes applied and everything checked."""
    from .engine.config.file import dump_config, load_config, parse_config
    from .engine.config.overrides import as_overrides

    if isinstance(config, str | Path):
        return load_config(str(config), as_overrides(changes))
    return parse_config(dump_config(config), place="", overrides=as_overrides(changes))


def evaluate(
    run: PathLike,
    *,
    checkpoint: str | None = None,
    averaged: bool = False,
    runs: PathLike | None = None,
    split: Literal["auto", "test", "validation", "train"] = "auto",
    trust_code: bool = False,
) -> CheckpointScores:
    """Metrics, tables of classes and worst mistakes of a run's best checkpoint, a named one, or a checkpoint file."""
    from .engine.checkpoints.evaluate import evaluate_checkpoint

    return evaluate_checkpoint(find_checkpoint(run, checkpoint, runs, trust_code), split=split, averaged=averaged)


def load_model(
    run: PathLike,
    *,
    checkpoint: str | None = None,
    averaged: bool = False,
    runs: PathLike | None = None,
    trust_code: bool = False,
) -> nn.Module:
    """The trained model of a run's best checkpoint, a named one, or a checkpoint file: on the CPU, in eval mode."""
    from .engine.checkpoints.restored import restore_model

    return restore_model(find_checkpoint(run, checkpoint, runs, trust_code), averaged=averaged).model


def open_run(run: PathLike, *, runs: PathLike | None = None) -> RunReader:
    """A reader of a run's directory, live or not: config, status, series, events, checkpoints. `poll` reads on."""
    from .engine.runs.on_disk.directory import find_run
    from .engine.runs.reader import RunReader

    reader = RunReader(find_run(runs_root(runs), str(run)))
    reader.poll()
    return reader


def list_runs(runs: PathLike | None = None) -> list[RunSummary]:
    """All runs of a folder, the newest first."""
    from .engine.runs.on_disk.directory import list_runs

    return list_runs(runs_root(runs))


def module_tree(
    model: nn.Module | str,
    input: Tensor | Sequence[int] | None = None,
    *,
    num_classes: int | None = None,
    **arguments: Any,
) -> ModelReport:
    """The modules of a model with parameter counts, output shapes and FLOPs.

    Args:
        model: a module, which runs once on `input`, or a name ("resnet18", "timm/convnext_tiny",
            "path/to/file.py:factory"), which is inspected without allocating its weights.
        input: one batch, or the shape of one sample without the batch; None for the default of a named model.
        num_classes: number of outputs of a named model; None for the model as published.
        arguments: further arguments of a named model.
    """
    import torch

    from .engine.config import ModelConfig
    from .engine.models.module_tree import inspect_instance, inspect_model

    if isinstance(model, str):
        shape = tuple(input.shape[1:]) if isinstance(input, torch.Tensor) else tuple(input) if input else None
        return inspect_model(ModelConfig(name=model, **arguments), num_classes, shape)
    if input is None:
        raise Error("module_tree: input is missing; give one batch, or the shape of one sample such as (3, 224, 224)")
    if not isinstance(input, torch.Tensor):
        weights = next(model.parameters(), torch.empty(0))
        input = torch.zeros(1, *input, device=weights.device, dtype=weights.dtype)
    return inspect_instance(model, input)


def build_loaders(config: RunConfig | PathLike, *, device: str = "cpu", **changes: Any) -> TrainingData:
    """The training and validation loaders of a config; `data.train.batches(epoch)` yields inputs and targets."""
    from .engine.data.loading.bad_files import open_usable
    from .engine.data.loading.loaders import build_loaders
    from .engine.machine.device import choose_device
    from .engine.progress import unreported

    resolved = load_config(config, **changes)
    sources, _ = open_usable(resolved, unreported)
    return build_loaders(sources, resolved, choose_device(device), unreported)


def runs_root(runs: PathLike | None) -> Path:
    """The folder of the runs: the named one, else $TORCHDECK_RUNS, else ./runs."""
    from .engine.runs.on_disk.directory import default_runs_root

    return Path(runs) if runs is not None else default_runs_root()


def find_checkpoint(run: PathLike, checkpoint: str | None, runs: PathLike | None, trust_code: bool) -> Path:
    """The checkpoint that is meant, whose code may run."""
    from .engine.checkpoints.code import check_code_of
    from .engine.runs.browsing.references import find_checkpoint as find_file

    path = find_file(runs_root(runs), str(run), checkpoint).path
    check_code_of([path], "trust_code=True", is_agreed=trust_code)
    return path
