"""Starting from trained weights: those of a file, or those that torchvision publishes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNet, Inception3, WeightsEnum
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from engine.errors import CheckpointError, ConfigError
from engine.models.weightless import ValuelessOnMeta, untouched_randomness
from engine.runs.checkpoint import load_checkpoint

# Where programs keep a model's state_dict in a checkpoint; torch's tutorial first.
_STATE_DICT_KEYS = ("model_state_dict", "state_dict", "model", "net", "weights")
# What wrappers put before every name: torch.compile, DataParallel and DDP, Lightning modules.
_WRAPPERS = ("_orig_mod.", "module.", "model.")
_SHOWN = 5


@dataclass(frozen=True)
class WeightsMatch:
    """Tensors of a file against those of a model, by name and shape.

    Attributes:
        matched: name in the model, and the file's tensor.
        missing: names in the model that the file has not.
        unexpected: names in the file that the model has not.
        different: names in both, with the shape in the file and that in the model.
    """

    matched: dict[str, Tensor]
    missing: list[str]
    unexpected: list[str]
    different: list[tuple[str, tuple[int, ...], tuple[int, ...]]]

    def without(self, names: Collection[str]) -> WeightsMatch:
        """The match with the mismatches of `names` left out."""
        return WeightsMatch(
            self.matched,
            [name for name in self.missing if name not in names],
            self.unexpected,
            [entry for entry in self.different if entry[0] not in names],
        )

    def describe(self) -> str:
        """What does not match, in words; empty when all does."""
        parts = [
            _listed("missing in the file", self.missing),
            _listed(
                "of another shape",
                [f"{name} ({_shape(file)} in the file, {_shape(own)} here)" for name, file, own in self.different],
            ),
            _listed("in the file only", self.unexpected),
        ]
        return "; ".join(part for part in parts if part)


def load_weights_file(model: nn.Module, path: str, head: Collection[str]) -> list[str]:
    """Load the weights of a local file into a model, in place. No code from the file runs.

    Takes a state_dict, or a checkpoint that holds one, as torch or safetensors save it; the prefixes that wrappers
    put before names are stripped. The head may differ: it then keeps its fresh weights.

    Args:
        model: built, on the CPU.
        path: the file.
        head: names of the tensors whose shape follows from the number of classes.

    Returns:
        Notes: what stayed fresh, what of the file was not used.

    Raises:
        CheckpointError: the file can't be read safely, or something besides the head doesn't fit.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise CheckpointError(f"model.weights: no such file: {file.absolute()}")
    state = _strip_wrappers(_find_state_dict(load_checkpoint(file), file), model)
    match = match_weights(model, state)
    problems = match.without(head)
    if problems.missing or problems.different or not match.matched:
        raise CheckpointError(f"model.weights: {file} does not fit the model: {problems.describe()}")
    return _copy(model, match, file.name)


def load_published_weights(model: nn.Module, weights: WeightsEnum, name: str, head: Collection[str]) -> list[str]:
    """Load torchvision's published weights into a model that takes 3 channels, in place, all but a differing head.

    The file comes from torch's download cache, and is fetched into it when it is not there.

    Args:
        model: built, on the CPU.
        weights: which weights, from `published_weights`.
        name: what the config calls the model.
        head: names of the tensors whose shape follows from the number of classes.

    Returns:
        Notes: what stayed fresh, what of the file was not used.

    Raises:
        ConfigError: not in the cache and not to be had; or the arguments made another network.
        CheckpointError: the file in the cache is damaged.
    """
    file = _cached_file(weights)
    state: Mapping[str, Any] = {_modern_densenet_name(key): value for key, value in load_checkpoint(file).items()}
    if isinstance(model, VisionTransformer):
        state = interpolate_embeddings(model.image_size, model.patch_size, dict(state))
    if isinstance(model, GoogLeNet | Inception3):
        # These weights were trained on another normalisation; the model converts.
        model.transform_input = True
    match = match_weights(model, {key: value for key, value in state.items() if isinstance(value, Tensor)})
    problems = match.without(head)
    if problems.missing or problems.different:
        raise ConfigError(
            f"model.pretrained: with these arguments, {name} is not the network that {weights} fits: "
            f"{problems.describe()}"
        )
    return _copy(model, match, str(weights))


def head_names(make: Callable[[int], nn.Module], num_classes: int) -> set[str]:
    """Names of the tensors whose shape follows from the number of classes.

    Builds the model twice without weights, for `num_classes` and for one more, and compares.
    """
    with untouched_randomness(), ValuelessOnMeta():
        shapes, others = (
            {name: tuple(tensor.shape) for name, tensor in _tensors(make(classes)).items()}
            for classes in (num_classes, num_classes + 1)
        )
    return {name for name, shape in shapes.items() if others.get(name) != shape}


def match_weights(model: nn.Module, state: Mapping[str, Tensor]) -> WeightsMatch:
    """Compare a state_dict with a model by name and shape. Batch counts of batch norms may be missing."""
    own = _tensors(model)
    matched = {name: state[name] for name in own if name in state and state[name].shape == own[name].shape}
    different = [
        (name, tuple(state[name].shape), tuple(own[name].shape))
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    return WeightsMatch(matched, missing, [name for name in state if name not in own], different)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}


def _copy(model: nn.Module, match: WeightsMatch, origin: str) -> list[str]:
    own = _tensors(model)
    with torch.no_grad():
        for name, tensor in match.matched.items():
            own[name].copy_(tensor)
    left = match.describe()
    return [f"weights from {origin}: {len(match.matched)} of {len(own)} tensors" + (f"; {left}" if left else "")]


def _find_state_dict(content: Mapping[str, Any], file: Path) -> dict[str, Tensor]:
    """The tensors by name: the whole file, or the entry of it that programs keep them in."""
    candidates = [content, *(content[key] for key in _STATE_DICT_KEYS if isinstance(content.get(key), Mapping))]
    for candidate in candidates:
        tensors = {str(key): value for key, value in candidate.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    shown = ", ".join(map(str, list(content)[:_SHOWN])) or "nothing"
    raise CheckpointError(
        f"model.weights: {file} holds no state_dict: neither tensors nor one of {', '.join(_STATE_DICT_KEYS)}; "
        f"it holds {shown}"
    )


def _strip_wrappers(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The names as the model has them: prefixes of wrappers are stripped while that makes more of them match."""
    own = set(_tensors(model))
    state = {name.replace("_orig_mod.", ""): tensor for name, tensor in state.items()}
    while len(own & state.keys()) < len(own):
        shorter = [
            {name.removeprefix(prefix): tensor for name, tensor in state.items()}
            for prefix in _WRAPPERS
            if any(name.startswith(prefix) for name in state)
        ]
        best = max(shorter, key=lambda names: len(own & names.keys()), default=state)
        if len(own & best.keys()) <= len(own & state.keys()):
            # One wrapper may hide another, so that nothing matches until both are gone.
            best = next((names for names in shorter if not own & state.keys()), state)
        if best is state:
            break
        state = best
    return state


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
            f"model.pretrained: {file_name} is not in {folder} and can't be fetched ({error}). "
            f"Download {weights.url} on a machine with network and copy it into {folder}, "
            "or set model.pretrained = false"
        ) from error
    return file


def _modern_densenet_name(name: str) -> str:
    """DenseNet's published weights have names from when they still had a dot: `norm.1` for `norm1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name)


def _shape(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes)) or "scalar"


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}"
