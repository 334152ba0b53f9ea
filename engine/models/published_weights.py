"""torchvision's published weights: from torch's download cache into a model."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from ..errors import ConfigError
from ..runs.saving.checkpoint import load_checkpoint
from .weights import LoadedWeights, copy_weights, model_shapes
from .weights_mapping import map_weights


def load_published_weights(model: nn.Module, weights: WeightsEnum, name: str, head: Collection[str]) -> LoadedWeights:
    """Load torchvision's published weights into a model that takes 3 channels, in place, all but a differing head.

    The file comes from torch's download cache, and is fetched into it when it is not there.

    Args:
        model: built, on the CPU.
        weights: which weights, from `published_weights`.
        name: name of the model in the config.
        head: names of the tensors whose shape follows from the number of classes.

    Raises:
        ConfigError: not in the cache and not to be had; or the arguments made another network.
        CheckpointError: the file in the cache is damaged.
    """
    file = _cached_file(weights)
    state: Mapping[str, Any] = load_checkpoint(file)
    if isinstance(model, VisionTransformer):
        state = interpolate_embeddings(model.image_size, model.patch_size, dict(state))
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    mapping = map_weights({key: tuple(tensor.shape) for key, tensor in tensors.items()}, model_shapes(model))
    problems = mapping.without(head)
    if problems.missing or problems.different:
        raise ConfigError(
            f"model.pretrained: with these arguments, {name} does not match {weights}: {problems.describe()}"
        )
    return copy_weights(model, tensors, mapping, str(weights))


def _cached_file(weights: WeightsEnum) -> Path:
    """The file of published weights in torch's download cache, fetched into it when it is not there."""
    file_name = os.path.basename(urlparse(weights.url).path)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / file_name
    if file.is_file():
        return file
    hash_prefix = re.search(r"-([0-9a-f]{8,})\.", file_name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            weights.url, str(file), hash_prefix.group(1) if hash_prefix else None, progress=False
        )
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"model.pretrained: {file_name} is not in {folder} and can't be downloaded ({error}). "
            f"Download {weights.url} on a machine with network access and copy it into {folder}, "
            "or set model.pretrained = false"
        ) from error
    return file
