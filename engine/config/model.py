"""The network: its name, its weights, and what of it is trained."""

from __future__ import annotations

from pydantic import Field

from .section import CodeName, Component


class InitRule(Component):
    """One rule of initialisation: a scheme of torch.nn.init with its arguments, and the parameters that it fills."""

    name: str = Field(min_length=1, description="scheme of torch.nn.init: kaiming_normal, orthogonal, zeros, …")
    modules: str = Field(
        default="*", description='pattern of module paths, as in model.freeze: "layer4", "re:.*conv1"'
    )
    types: str = Field(default="*", description='pattern of class names: "Conv*", "Linear"')
    parameters: str = Field(default="weight", description="pattern of the modules' own parameters")


class ModelConfig(Component):
    """Which network, where its weights come from, and which of them are trained."""

    name: CodeName = Field(
        default="mlp",
        min_length=1,
        description="built-in name, torchvision model, or path/to/file.py:factory",
    )
    pretrained: bool = Field(default=False, description="start from the library's published weights")
    weights: str = Field(default="", description="start from the weights in this file")
    weights_entry: str = Field(
        default="",
        description="the entry of that file to take them from, such as state_dict_ema; empty finds the best fit",
    )
    freeze: list[str] = Field(
        default_factory=list,
        description='modules not trained, as patterns; the last match wins, "!" re-opens: ["*", "!fc"]; '
        '"re:" begins a regular expression',
    )
    freeze_norm: bool = Field(
        default=True, description="normalisation layers that are frozen keep their running statistics, too"
    )
    init: list[InitRule] = Field(
        default_factory=list,
        description='fill parameters anew: [{ name = "kaiming_normal", types = "Conv*" }]; '
        "trained weights only where modules names them",
    )
