"""A model as a checkpoint of torchdeck holds it, built again from the config in the same file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..config import RunConfig
from ..config.file import parse_config
from ..data.loading.bad_files import open_usable
from ..data.loading.loaders import sample_shape
from ..errors import CheckpointError
from ..models.architecture import plain_shape
from ..models.build import build_with_notes
from ..progress import unreported
from ..randomness import generators_kept
from ..runs.browsing.references import run_of
from ..runs.on_disk.directory import read_info
from ..runs.saving.checkpoint import load_checkpoint
from ..runs.saving.checkpoint_format import is_own, require_known_format

WEIGHTS = "model_state_dict"
AVERAGED_WEIGHTS = "ema_state_dict"


@dataclass(frozen=True)
class RestoredModel:
    """A model with trained weights.

    Attributes:
        model: on the CPU, in eval mode.
        config: config of the run that saved it.
        input_shape: (C, H, W) of a sample.
        content: the whole checkpoint.
    """

    model: nn.Module
    config: RunConfig
    input_shape: tuple[int, ...]
    content: dict[str, Any]


def restore_model(path: Path, *, averaged: bool = False) -> RestoredModel:
    """Build the model of a checkpoint and load its weights.

    Args:
        path: a checkpoint that torchdeck saved.
        averaged: take the averaged (EMA) weights instead of the trained ones.

    Raises:
        CheckpointError: it is damaged, another program's, or holds no averaged weights.
        ConfigError, UserCodeError, DataError: the model can't be built, or no data define a sample's shape.
    """
    content = load_checkpoint(path)
    config = config_of(content, path)
    state = state_dict_of(content, path, averaged=averaged)
    shape = _input_shape(path, config)
    # Its weights are in the checkpoint: none are fetched, and what is frozen makes no difference.
    architecture = config.model.model_copy(update={"pretrained": False, "weights": "", "freeze": []})
    with generators_kept():
        model = build_with_notes(architecture, len(content.get("classes", ())) or _outputs(state), shape).model
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: does not fit the model {config.model.name} of its own config: {error}"
        ) from error
    return RestoredModel(model.eval(), config, shape, content)


def config_of(content: dict[str, Any], path: Path) -> RunConfig:
    """The config that a checkpoint was saved with. Raises CheckpointError when it isn't torchdeck's."""
    if not is_own(content) or not isinstance(content.get("config"), str):
        raise CheckpointError(
            f"{path}: not a torchdeck checkpoint, so its model is unknown; use model.weights to load its tensors into "
            "a model of your choice"
        )
    require_known_format(content, path)
    return parse_config(content["config"], str(path))


def state_dict_of(content: dict[str, Any], path: Path, *, averaged: bool) -> dict[str, Tensor]:
    """The trained or the averaged weights of a checkpoint. Raises CheckpointError when it has none."""
    state = content.get(AVERAGED_WEIGHTS if averaged else WEIGHTS)
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: has no {'averaged (EMA) ' if averaged else ''}weights")
    return state


def _input_shape(path: Path, config: RunConfig) -> tuple[int, ...]:
    """A sample's shape: from the run's record, or else from the data."""
    run = run_of(path)
    recorded = read_info(run).get("input_shape") if run is not None else None
    if isinstance(recorded, list) and recorded and all(isinstance(size, int) and size > 0 for size in recorded):
        return tuple(recorded)
    sources, _ = open_usable(config, unreported)
    return plain_shape(config.model, sample_shape(sources, config))


def _outputs(state: dict[str, Tensor]) -> int:
    """How many numbers a model without classes returns: the length of its last layer."""
    return next((tensor.shape[0] for tensor in reversed(state.values()) if tensor.ndim), 1)
