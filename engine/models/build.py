"""From the model section of a config to a network ready to train."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..config import ModelConfig
from ..errors import ConfigError, UserCodeError
from ..inputs import Inputs, call_model, one_sample
from ..shapes import Shape, shape_words
from ..user_code import raise_user_error
from .architecture import build_architecture, check_architecture, plain_shape, source_of, takes_num_classes
from .freezing import apply_freeze, check_something_trains, freeze_notes
from .initialization import apply_init, plan_init
from .libraries.timm_models import build_pretrained_timm, published_classes
from .libraries.torchvision_models import adapt_stem, expect_published_normalization, published_weights
from .module_tree import REAL_FORWARD_PARAMS, inspect_model
from .published_weights import load_published_weights
from .weights import LoadedWeights, head_names, load_weights_file


@dataclass(frozen=True)
class BuiltModel:
    """A model ready to train.

    Attributes:
        model: on the CPU, in training mode.
        notes: remarks for the user: weights that were not loaded, freeze rules that matched nothing.
    """

    model: nn.Module
    notes: list[str]


def check_model(config: ModelConfig) -> None:
    """Check the name of a model, its arguments and its settings; allocates no weights.

    Imports the user's own file where the config names one.

    Raises:
        ConfigError: unknown name or argument, or settings that contradict each other; says what is allowed.
        UserCodeError: the user's file raised when it was imported.
    """
    check_architecture(config)


def build_model(config: ModelConfig, num_classes: int, input_shape: Shape) -> nn.Module:
    """`build_with_notes`, its notes given as warnings."""
    built = build_with_notes(config, num_classes, input_shape)
    for note in built.notes:
        warnings.warn(note, stacklevel=2)
    return built.model


def build_with_notes(
    config: ModelConfig, num_classes: int, input_shape: Shape, example: Inputs | None = None, *, load: bool = True
) -> BuiltModel:
    """Build a model on the CPU for a data set, with its weights loaded and its freeze rules applied.

    That it takes the data and returns a logit a class is checked first, without allocating its weights. Draws from
    torch's global generator: seed it before.

    Args:
        config: the model section.
        num_classes: number of logits.
        input_shape: shape of one sample after the transforms: (C, H, W) for images.
        example: a batch of one sample, where zeros of that shape would not do.
        load: whether to load pretrained weights and apply initialization rules: a resumed run has
            its weights from a checkpoint, and the files that it started from may be gone.

    Raises:
        ConfigError: the model can't be built for these data, or nothing of it would train.
        UserCodeError: the user's code raised.
        CheckpointError: the weights can't be read or don't fit.
    """
    check_model(config)
    _check_fit(config, num_classes, input_shape, example)
    trained: LoadedWeights | None = None
    if config.pretrained and source_of(config) == "timm" and load:
        image_shape = plain_shape(config, input_shape)
        model, note = build_pretrained_timm(config.name, config.arguments, num_classes, image_shape)
        fresh = _head(config, num_classes, input_shape) if num_classes != published_classes(config.name) else set()
        trained = LoadedWeights(set(model.state_dict()).difference(fresh), note)
    else:
        model = build_architecture(config, num_classes, input_shape)
    _initialize_lazy(model, config, input_shape, example)
    if config.pretrained and source_of(config) == "torchvision":
        expect_published_normalization(model)
        if load:
            weights = published_weights(config.name, plain_shape(config, input_shape)[1])
            head = _head(config, num_classes, input_shape)
            trained = load_published_weights(model, weights, config.name, head)
    if source_of(config) == "torchvision":
        adapt_stem(model, config.name, plain_shape(config, input_shape)[0])
    if config.weights and load:
        head = _head(config, num_classes, input_shape)
        trained = load_weights_file(model, config.weights, config.weights_entry, head)
    notes = [trained.note] if trained is not None else []
    if load:
        plans = plan_init(model, config.init, trained.names if trained is not None else ())
        apply_init(model, plans)
        notes += [plan.describe() for plan in plans]
    notes += freeze_notes(model, apply_freeze(model, config.freeze, hold_norms=config.freeze_norm))
    check_something_trains(model, config.freeze)
    return BuiltModel(model, notes)


def _head(config: ModelConfig, num_classes: int, input_shape: Shape) -> set[str]:
    if not takes_num_classes(config):
        return set()
    return head_names(lambda classes: build_architecture(config, classes, input_shape), num_classes)


def _check_fit(config: ModelConfig, num_classes: int, input_shape: Shape, example: Inputs | None) -> None:
    """Raise ConfigError when the model does not take the samples, or returns something else than a logit a class."""
    report = inspect_model(config, num_classes, input_shape, example)
    if report.error is not None:
        if source_of(config) == "user" and report.params > REAL_FORWARD_PARAMS:
            # It may only need the values of its weights; training will show it.
            return
        raise ConfigError(f"model {config.name}: can't process samples of {shape_words(input_shape)}: {report.error}")
    if report.prediction_shape != [1, num_classes]:
        returned = ", ".join(map(str, report.output_shapes)) or "no tensor"
        raise ConfigError(
            f"model {config.name}: returns {returned} for one sample; training needs one tensor of "
            f"[1, {num_classes}]: one output for each of the data's {num_classes} classes, labels or values (of "
            "several tensors, .logits, the key logits or out, or the first of a tuple is used)"
        )


def _initialize_lazy(model: nn.Module, config: ModelConfig, input_shape: Shape, example: Inputs | None) -> None:
    """Give lazy modules their shapes, by one forward in eval mode."""
    if not any(is_lazy(parameter) for parameter in model.parameters()):
        return
    model.eval()
    try:
        with torch.no_grad():
            call_model(model, one_sample(input_shape) if example is None else example)
    except Exception as error:
        raise_user_error(error, f"{config.name}: first forward")
    finally:
        model.train()
    if any(is_lazy(parameter) for parameter in model.parameters()):
        raise UserCodeError(f"{config.name}: has lazy modules that its forward does not reach")
