"""From the name in a config to a network without weights of its own: built-in, torchvision's, timm's or the user's."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..config import ModelConfig
from ..errors import ConfigError, TorchdeckError, UserCodeError, did_you_mean
from ..inputs import Inputs, call_model
from ..shapes import Shape, is_plain, shape_words
from ..user_code import (
    accepted_arguments,
    argument_default,
    call_user_code,
    check_arguments,
    is_user_spec,
    load_object,
)
from .catalog import ModelSource
from .freezing import FreezeRule, apply_freeze, check_freeze_rules
from .initialization import check_init_rules
from .libraries.timm_catalog import TIMM_PREFIX, is_timm, timm_modules
from .libraries.timm_models import build_timm, check_timm_arguments, check_timm_name
from .libraries.torchvision_models import adapt_stem, build_torchvision, check_torchvision_arguments, torchvision_names
from .nets.builtin import BUILTIN_MODELS, TAKES_SEVERAL, example_shape
from .tree.meta_build import build_weightless

_DEFAULT_CLASSES = 10
_WANTED = "a function or class that makes a torch.nn.Module"


def source_of(config: ModelConfig) -> ModelSource:
    """Who wrote the model that the config names.

    Raises:
        ConfigError: unknown name; the text has the nearest known one.
    """
    if is_user_spec(config.name):
        return "user"
    if config.name in BUILTIN_MODELS:
        return "built-in"
    if is_timm(config.name):
        check_timm_name(config.name)
        return "timm"
    names = torchvision_names()
    if config.name in names:
        return "torchvision"
    in_timm = [f"{TIMM_PREFIX}{name}" for name in timm_modules()]
    own = [f"{TIMM_PREFIX}{config.name}"] if f"{TIMM_PREFIX}{config.name}" in in_timm else []
    hint = f"; did you mean '{own[0]}'?" if own else did_you_mean(config.name, [*BUILTIN_MODELS, *names, *in_timm])
    raise ConfigError(
        f"model.name = {config.name!r}: not a built-in model, a torchvision model, timm/NAME "
        f"or path/to/file.py:name{hint}"
    )


def check_architecture(config: ModelConfig) -> None:
    """Check the name, the names of the arguments and how the settings agree; builds nothing.

    Imports the user's own file where the config names one.

    Raises:
        ConfigError, UserCodeError: the first thing that is wrong.
    """
    source = source_of(config)
    if config.pretrained and source not in ("torchvision", "timm"):
        raise ConfigError(
            f"model.pretrained: the {source} model {config.name} has no published weights; "
            "use model.weights to load them from a file"
        )
    if config.pretrained and config.weights:
        raise ConfigError("model.pretrained and model.weights: set only one of them")
    check_freeze_rules(config.freeze)
    check_init_rules(config.init)
    if source == "torchvision":
        check_torchvision_arguments(config.name, config.arguments)
    elif source == "timm":
        check_timm_arguments(config.name, config.arguments)
    elif source == "built-in":
        _check_builtin_arguments(config)
    else:
        _user_call(config, 1, (1, 1, 1))


def build_architecture(config: ModelConfig, num_classes: int | None, input_shape: Shape | None) -> nn.Module:
    """Build the network with the initialization of its author; without published or local weights, nothing frozen.

    A torchvision model still takes 3 channels: `adapt_stem` comes after its weights.

    Args:
        config: which model, and its arguments.
        num_classes: number of classes; None for the model's own, or 10 where its factory asks for a number.
        input_shape: shape of one sample; None for the model's own, 1×28×28 for a built-in one.

    Raises:
        ConfigError: arguments that the model refuses.
        UserCodeError: the user's code raised, or returned something else than a Module.
    """
    source = source_of(config)
    if config.name in TAKES_SEVERAL:
        return BUILTIN_MODELS[config.name](num_classes or _DEFAULT_CLASSES, input_shape, **config.arguments)
    if source != "user":
        shape = None if input_shape is None else plain_shape(config, input_shape)
        if source == "torchvision":
            return build_torchvision(config.name, config.arguments, num_classes, shape)
        if source == "timm":
            return build_timm(config.name, config.arguments, num_classes, shape)
        factory = BUILTIN_MODELS[config.name]
        return factory(num_classes or _DEFAULT_CLASSES, shape or example_shape(config.name), **config.arguments)
    user_factory, arguments = _user_call(config, num_classes, input_shape)
    model = call_user_code(user_factory, arguments, config.name)
    if not isinstance(model, nn.Module):
        raise UserCodeError(f"{config.name}: returned {type(model).__name__}; expected a torch.nn.Module")
    return unwrapped(model)


def build_unloaded(
    config: ModelConfig, num_classes: int | None, input_shape: Shape
) -> tuple[nn.Module, list[FreezeRule]]:
    """The network as a run trains it, but for its weights: for the data's channels, its freeze rules applied.

    Returns:
        The network, and what each freeze rule matched.

    Raises:
        ConfigError, UserCodeError: as `build_architecture`.
    """
    model = build_architecture(config, num_classes, input_shape)
    if source_of(config) == "torchvision":
        adapt_stem(model, config.name, plain_shape(config, input_shape)[0])
    return model, apply_freeze(model, config.freeze, hold_norms=config.freeze_norm)


def build_for_shapes(config: ModelConfig, num_classes: int, input_shape: Shape, sample: Inputs) -> nn.Module:
    """`build_unloaded` without weights where that can be, the shapes of lazy modules known.

    Args:
        config: the model section.
        num_classes: number of logits.
        input_shape: shape of one sample.
        sample: a batch of one, which lazy modules are run on.
    """

    def make() -> nn.Module:
        return build_unloaded(config, num_classes, input_shape)[0]

    try:
        model = build_weightless(make)
    except TorchdeckError:
        raise
    except Exception:
        # A constructor that computes with values.
        model = make()
    if any(is_lazy(parameter) for parameter in model.parameters()):
        model = make().eval()
        with torch.no_grad():
            call_model(model, sample)
    return model


def plain_shape(config: ModelConfig, shape: Shape) -> tuple[int, ...]:
    """The shape of a sample for a model that takes one tensor. Raises ConfigError for samples of several."""
    if isinstance(shape, dict) or not is_plain(shape):
        raise ConfigError(
            f"model {config.name}: takes one tensor, but the samples have several: {shape_words(shape)}; use "
            "your own model: model.name = 'path/to/file.py:factory'"
        )
    return shape


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside `torch.compile`, DataParallel or DistributedDataParallel: those wrappers prefix every name."""
    while True:
        # Asking for the class of `torch.compile`'s wrapper would import the compiler, which takes a second.
        inner = model._modules.get("_orig_mod")
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if inner is None:
            return model
        model = inner


def own_input_shape(config: ModelConfig) -> tuple[int, ...] | None:
    """The default of the `input_shape` argument of the user's factory; None where it has none."""
    shape = argument_default(load_object(config.name, _WANTED), "input_shape")
    if isinstance(shape, tuple | list) and all(isinstance(size, int) and size > 0 for size in shape):
        return tuple(shape)
    return None


def takes_num_classes(config: ModelConfig) -> bool:
    """Whether the number of logits follows from the data: not so for a user's factory without `num_classes`."""
    if source_of(config) != "user":
        return True
    factory = load_object(config.name, _WANTED)
    return "num_classes" in accepted_arguments(factory, {"num_classes": 1}) and "num_classes" not in config.arguments


def _check_builtin_arguments(config: ModelConfig) -> None:
    for name in ("num_classes", "input_shape"):
        if name in config.arguments:
            raise ConfigError(f"model.{name}: not allowed for the built-in {config.name}: it is set from the data")
    supplied = {"num_classes": 1, "input_shape": (1, 1, 1)}
    check_arguments(BUILTIN_MODELS[config.name], config.arguments, f"model {config.name}", supplied)


def _user_call(config: ModelConfig, num_classes: int | None, input_shape: Shape | None) -> tuple[Any, dict[str, Any]]:
    """The user's factory and the keyword arguments it is called with, checked against its signature."""
    factory = load_object(config.name, _WANTED)
    if isinstance(factory, nn.Module):
        raise ConfigError(f"{config.name}: is an instance of a model; expected {_WANTED}")
    offered: dict[str, Any] = {}
    if num_classes is not None or argument_default(factory, "num_classes") is inspect.Parameter.empty:
        offered["num_classes"] = num_classes or _DEFAULT_CLASSES
    if input_shape is not None:
        offered["input_shape"] = input_shape
    arguments = {**accepted_arguments(factory, offered), **config.arguments}
    check_arguments(factory, arguments, f"model {config.name}")
    return factory, arguments
