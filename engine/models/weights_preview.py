"""Preview of loading a file's weights into the model of a config, before anything is loaded."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..config import ModelConfig
from ..inputs import one_sample
from ..randomness import generators_kept
from ..shapes import Shape
from .architecture import build_unloaded, check_architecture, takes_num_classes
from .module_tree import default_input_shape
from .tree.forward import trace_forward
from .tree.meta_build import build_weightless
from .weights import WeightsPreview, head_names, preview_weights

_ANY_CLASSES = 10


def preview_config_weights(
    config: ModelConfig, num_classes: int | None = None, input_shape: Shape | None = None
) -> WeightsPreview:
    """Compare the tensors of `config.weights` with those of the model, which is built without its weights.

    Reads the tables of the file and not its tensors, and runs nothing from it.

    Args:
        config: the model section, with a weights file.
        num_classes: number of classes; None for the model's own.
        input_shape: shape of one sample; None for the model's own.

    Raises:
        ConfigError, UserCodeError: the model can't be built.
        CheckpointError: the file can't be read safely, or holds no tensors of a model.
    """
    check_architecture(config)
    shape = input_shape if input_shape is not None else default_input_shape(config)

    def make(classes: int | None) -> nn.Module:
        return build_unloaded(config, classes, shape)[0]

    head: set[str] = set()
    if takes_num_classes(config):
        head = head_names(make, num_classes or _ANY_CLASSES)
    with generators_kept():
        model = build_weightless(lambda: make(num_classes))
        if any(is_lazy(parameter) for parameter in model.parameters()):
            with torch.device("meta"):
                trace_forward(model.eval(), one_sample(shape))
    return preview_weights(config.weights, config.weights_entry, model, head)
