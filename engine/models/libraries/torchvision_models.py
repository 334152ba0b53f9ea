"""torchvision's classification models, built for the classes and the sample shape of a data set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torchvision.models
from torch import nn
from torchvision.models import GoogLeNet, Inception3, WeightsEnum

from ...errors import ConfigError, did_you_mean
from ...shapes import shape_words

# Arguments that are set from the data or from other settings, so the config can't set them.
_OURS = {
    "num_classes": "it is set from the data",
    "weights": "set model.pretrained = true, or model.weights to a file",
    "progress": "it has no effect here",
    "aux_logits": "auxiliary classifiers are not trained",
    "transform_input": "it is set from model.pretrained",
    "init_weights": "it is set from model.pretrained",
}


def torchvision_names() -> list[str]:
    """Names of torchvision's classification models."""
    return torchvision.models.list_models(module=torchvision.models)


def check_torchvision_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Check the names of a model's arguments against torchvision's builder and class.

    Raises:
        ConfigError: an unknown argument, or one that torchdeck fills in.
    """
    allowed = [parameter for parameter in _class_parameters(name) if parameter not in _OURS]
    for argument in arguments:
        if argument in _OURS:
            raise ConfigError(f"model.{argument}: not allowed for torchvision's {name}: {_OURS[argument]}")
        if argument not in allowed:
            hint = did_you_mean(argument, allowed)
            raise ConfigError(f"model.{argument}: torchvision's {name} has no such argument{hint}")


def build_torchvision(
    name: str, arguments: Mapping[str, Any], num_classes: int | None, input_shape: Sequence[int] | None
) -> nn.Module:
    """Build a torchvision model for a data set, with torchvision's own initialization.

    Its stem takes 3 channels; `adapt_stem` makes it take 1. Models with auxiliary classifiers are built without them:
    they return logits alone, in training as well.

    Args:
        name: a torchvision classification model.
        arguments: keyword arguments of its class.
        num_classes: number of logits; None for the model as torchvision publishes it, auxiliary classifiers included.
        input_shape: (C, H, W) of one sample; None for the size that torchvision's default weights were measured at.

    Raises:
        ConfigError: arguments that torchvision rejects, or samples other than images of 1 or 3 channels.
    """
    size = _image_size(name, input_shape)
    parameters = _class_parameters(name)
    derived: dict[str, Any] = {"image_size": size[0], "input_size": size}
    if num_classes is not None:
        derived |= {"num_classes": num_classes, "aux_logits": False}
    if "init_weights" in parameters:
        # The default draws the same weights, but warns that the default may change.
        derived["init_weights"] = True
    if "image_size" in parameters and size[0] != size[1]:
        raise ConfigError(f"model {name}: takes square images; the data's are {size[0]}×{size[1]}")
    fitting = {key: value for key, value in derived.items() if key in parameters}
    try:
        return torchvision.models.get_model(name, weights=None, **{**fitting, **arguments})
    except Exception as error:
        given = ", ".join(f"{key} = {value}" for key, value in arguments.items()) or f"images of {size[0]}×{size[1]}"
        raise ConfigError(f"model {name}: torchvision can't build it with {given}: {error}") from error


def adapt_stem(model: nn.Module, name: str, in_channels: int) -> None:
    """Make the first convolution of a torchvision model take `in_channels` channels, in place.

    For one channel, the weights are summed over red, green and blue: the model computes what it computed for the
    same gray image in three channels, with fresh weights as with published ones.

    Raises:
        ConfigError: neither 1 nor 3 channels.
    """
    if in_channels == 3:
        return
    if in_channels != 1:
        raise ConfigError(
            f"model {name}: torchvision's models take images with 3 channels or 1; the data's have {in_channels}. "
            "Choose a built-in model or your own"
        )
    stem = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        weight = stem.weight.sum(1, keepdim=True)
    stem.in_channels = 1
    stem.weight = nn.Parameter(weight.contiguous())
    if isinstance(model, GoogLeNet | Inception3):
        # It converts between normalizations of red, green and blue.
        model.transform_input = False


def expect_published_normalization(model: nn.Module) -> None:
    """Make a model whose published weights were trained on another normalization convert to it, in place."""
    if isinstance(model, GoogLeNet | Inception3):
        model.transform_input = True


def published_weights(name: str, image_height: int) -> WeightsEnum:
    """The published weights to start from: torchvision's default, or those trained at this image height.

    Only where the model is bound to one image size (vision transformers) does the height choose among them.
    """
    choices = torchvision.models.get_model_weights(name)
    default = choices.DEFAULT
    if "image_size" not in _class_parameters(name) or _crop_size(default) == image_height:
        return default
    return next((weights for weights in choices if _crop_size(weights) == image_height), default)


def default_image_size(name: str) -> int:
    """Height and width at which torchvision measured the accuracy of a model's default weights."""
    return _crop_size(torchvision.models.get_model_weights(name).DEFAULT)


def _crop_size(weights: WeightsEnum) -> int:
    return weights.transforms.keywords["crop_size"]


def _image_size(name: str, input_shape: Sequence[int] | None) -> tuple[int, int]:
    if input_shape is None:
        side = default_image_size(name)
        return side, side
    if len(input_shape) != 3:
        shape = shape_words(input_shape)
        raise ConfigError(f"model {name}: takes samples of channels × height × width; the data's are {shape}")
    return input_shape[1], input_shape[2]


def _class_parameters(name: str) -> list[str]:
    """Parameters of the class that a builder returns, which the builder passes on, and of the builder itself."""
    builder: Callable[..., nn.Module] = torchvision.models.get_model_builder(name)
    signature = inspect.signature(builder, eval_str=True)
    own = [key for key, parameter in signature.parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
    parameters = inspect.signature(signature.return_annotation).parameters
    return own + [
        key for key, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD and key not in own
    ]
