"""timm's models, built for the channels, the size and the classes of a data set; weights through timm's registry."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ConfigError, did_you_mean
from ...machine.installation import install_command
from ...runs.saving.checkpoint import load_checkpoint
from ...shapes import shape_words
from .timm_catalog import TIMM_PREFIX, timm_modules

# Arguments that are set from the data or from other settings, so the config can't set them.
_OURS = {
    "num_classes": "it is set from the data",
    "in_chans": "it is set from the data",
    "pretrained": "use model.pretrained",
    "pretrained_cfg": "the part of the name after the dot selects the weights",
    "pretrained_cfg_overlay": "use model.weights to load weights from a file",
    "checkpoint_path": "use model.weights to load weights from a file",
    "features_only": "a classifier is needed",
}
_ENDINGS = (".safetensors", ".pth", ".bin", ".npz")


def check_timm_name(name: str) -> None:
    """Check the name of one of timm's models, which may end in the tag of its weights; imports no timm for the first.

    Raises:
        ConfigError: timm isn't installed, or has no such model or no such weights; the text has the nearest.
    """
    known = timm_modules()
    if not known:
        raise ConfigError(f"model.name = {name!r}: {_not_installed()}")
    architecture, _, tag = name.removeprefix(TIMM_PREFIX).partition(".")
    if architecture not in known:
        hint = did_you_mean(architecture, known)
        raise ConfigError(f"model.name = {name!r}: timm has no model {architecture!r}{hint}")
    if tag:
        tags = [each.partition(".")[2] for each in _timm().models.get_arch_pretrained_cfgs(architecture)]
        if tag not in tags:
            hint = did_you_mean(tag, tags)
            raise ConfigError(f"model.name = {name!r}: timm has no weights {tag!r} for {architecture}{hint}")


def check_timm_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise ConfigError for an argument that torchdeck fills in; timm itself refuses unknown ones when it builds."""
    for argument in arguments:
        if argument in _OURS:
            raise ConfigError(f"model.{argument}: not allowed for {name}: {_OURS[argument]}")


def build_timm(
    name: str, arguments: Mapping[str, Any], num_classes: int | None, input_shape: Sequence[int] | None
) -> nn.Module:
    """Build one of timm's models with timm's own initialization.

    Its stem takes the channels of the data; a model that is bound to one image size is built for that of the data.

    Args:
        name: `timm/NAME` or `timm/NAME.WEIGHTS`.
        arguments: further keyword arguments of timm's factory.
        num_classes: number of logits; None for the model as timm publishes it.
        input_shape: (C, H, W) of one sample; None for what timm says of its weights.

    Raises:
        ConfigError: timm refuses to build it so.
    """
    return _create(name, arguments, num_classes, input_shape, {})


def build_pretrained_timm(
    name: str, arguments: Mapping[str, Any], num_classes: int, input_shape: Sequence[int]
) -> tuple[nn.Module, str]:
    """Like `build_timm`, with published weights in all but a head for other classes.

    timm adapts a stem for other channels and position embeddings for another image size. The file that the message
    of a failure names is read where it lies; else timm fetches the weights into its cache.

    Returns:
        The model, and a note of where the weights are from and what stayed fresh.

    Raises:
        ConfigError: timm publishes no weights for it, or they are not to be had.
        CheckpointError: a file put there is damaged or can't be read safely.
    """
    published = _published(name)
    if not (published.url or published.hf_hub_id or published.file):
        raise ConfigError(f"model.pretrained: timm publishes no weights for {name}; set model.pretrained = false")
    file = _local_file(published)
    source: dict[str, Any] = {"pretrained": True}
    if file is not None and file.suffix == ".npz":
        source["pretrained_cfg_overlay"] = {"file": str(file), "custom_load": published.custom_load}
    elif file is not None:
        source["pretrained_cfg_overlay"] = {"state_dict": _state_dict(file), "custom_load": False}
    model = _create(name, arguments, num_classes, input_shape, source)
    origin = file.name if file is not None else published.hf_hub_id or published.url
    note = f"weights from {origin}"
    if num_classes != published.num_classes:
        note += f", with a new head for {num_classes} classes instead of {published.num_classes}"
    if tuple(input_shape) != tuple(published.input_size):
        trained, given = map(shape_words, (published.input_size, input_shape))
        note += f"; trained on {trained}, but the data's samples are {given}"
    return model, note


def published_classes(name: str) -> int:
    """Number of classes of the weights that timm publishes for a model; 0 for weights without a head."""
    return int(_published(name).num_classes)


def timm_input_shape(name: str) -> tuple[int, int, int]:
    """(C, H, W) that timm says its weights of a model take."""
    channels, height, width = _published(name).input_size
    return channels, height, width


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ConfigError(f"{_not_installed()} ({error})") from error


def _published(name: str) -> Any:
    """timm's own description of a model's weights: its `PretrainedCfg`."""
    return _timm().models.get_pretrained_cfg(name.removeprefix(TIMM_PREFIX))


def _create(
    name: str,
    arguments: Mapping[str, Any],
    num_classes: int | None,
    input_shape: Sequence[int] | None,
    source: Mapping[str, Any],
) -> nn.Module:
    timm, published = _timm(), _published(name)
    derived: dict[str, Any] = {}
    if num_classes is not None:
        derived["num_classes"] = num_classes
    if input_shape is not None:
        if len(input_shape) != 3:
            shape = shape_words(input_shape)
            raise ConfigError(f"model {name}: takes samples of channels × height × width; the data's are {shape}")
        derived["in_chans"] = input_shape[0]
        if published.fixed_input_size and tuple(input_shape[1:]) != tuple(published.input_size[1:]):
            derived["img_size"] = tuple(input_shape[1:])
    try:
        return timm.create_model(name.removeprefix(TIMM_PREFIX), **{**derived, **source, **arguments})
    except Exception as error:
        if source and "pretrained_cfg_overlay" not in source and not isinstance(error, TypeError | ValueError):
            raise ConfigError(_how_to_get(name, published, error)) from error
        given = ", ".join(f"{key} = {value}" for key, value in {**derived, **arguments}.items()) or "its defaults"
        raise ConfigError(
            f"model {name}: timm can't build it with {given}: {type(error).__name__}: {error}"
        ) from error


def _how_to_get(name: str, published: Any, error: Exception) -> str:
    if published.hf_hub_id:
        what = f"model.safetensors of {published.hf_hub_id} (Hugging Face)"
        place = _with_ending(_file_stem(published), _ENDINGS[0])
    else:
        what, place = str(published.url), _checkpoints() / os.path.basename(str(published.url))
    return (
        f"model.pretrained: the weights of {name} can't be downloaded ({str(error).splitlines()[0]}). "
        f"Download {what} on a machine with network access and copy it to {place}, or set model.pretrained = false"
    )


def _local_file(published: Any) -> Path | None:
    """Weights of a model that the user put into torch's download cache; None if there are none."""
    stem = _file_stem(published)
    candidates = [_with_ending(stem, ending) for ending in _ENDINGS]
    if published.url:
        candidates.append(_checkpoints() / os.path.basename(str(published.url)))
    return next((file for file in candidates if file.is_file()), None)


def _file_stem(published: Any) -> Path:
    tag = f".{published.tag}" if published.tag else ""
    return _checkpoints() / f"{published.architecture}{tag}"


def _with_ending(stem: Path, ending: str) -> Path:
    # A tag may hold dots: `with_suffix` would cut it.
    return stem.with_name(stem.name + ending)


def _checkpoints() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _state_dict(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, read safely: at its top, or in the entry that programs put them in."""
    content = load_checkpoint(file)
    inner = next((content[key] for key in ("state_dict_ema", "state_dict", "model") if key in content), content)
    return {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}


def _not_installed() -> str:
    return f"timm is not installed: {install_command(extra='timm')}"
