"""From the model section of a config to a network ready to train."""

from __future__ import annotations

import warnings

from torch import nn

from engine.config import ModelConfig
from engine.models.architecture import build_architecture, check_architecture, source_of
from engine.models.torchvision_models import adapt_stem
from engine.models.transfer import apply_freeze, check_something_trains, freeze_notes


def check_model(config: ModelConfig) -> None:
    """Check the name of a model, its arguments and its settings; allocates no weights.

    Imports the user's own file where the config names one.

    Raises:
        ConfigError: unknown name or argument, or settings that contradict each other; says what is allowed.
        UserCodeError: the user's file raised when it was imported.
    """
    check_architecture(config)


def build_model(config: ModelConfig, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """Build a model on the CPU for a data set, with its weights loaded and its freeze rules applied.

    Draws from torch's global generator: seed it first. What deserves a word, such as a freeze rule that matches
    nothing, is given as a warning.

    Args:
        config: the model section.
        num_classes: number of logits.
        input_shape: (C, H, W) of one sample after the transforms.

    Raises:
        ConfigError, UserCodeError, CheckpointError: what is wrong, in one message.
    """
    check_model(config)
    model = build_architecture(config, num_classes, input_shape)
    if source_of(config) == "torchvision":
        adapt_stem(model, config.name, input_shape[0])
    for note in freeze_notes(model, apply_freeze(model, config.freeze)):
        warnings.warn(note, stacklevel=2)
    check_something_trains(model, config.freeze)
    return model
