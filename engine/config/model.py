"""Settings of the model: its name, its weights, and which of them are trained."""

from __future__ import annotations

from pydantic import Field

from .section import CodeName, Component


class InitRule(Component):
    """One initialization rule: a scheme of torch.nn.init with its arguments, and the parameters that it fills."""

    name: str = Field(min_length=1, description="scheme of torch.nn.init: kaiming_normal, orthogonal, zeros, …")
    modules: str = Field(
        default="*", description='pattern for module paths, as in model.freeze: "layer4", "re:.*conv1"'
    )
    types: str = Field(default="*", description='pattern for class names: "Conv*", "Linear"')
    parameters: str = Field(default="weight", description="pattern for the names of the modules' own parameters")


class ModelConfig(Component):
    """The model, the source of its weights, and which of them are trained."""

    name: CodeName = Field(
        default="mlp",
        min_length=1,
        description="built-in name, torchvision model, or path/to/file.py:factory",
    )
    pretrained: bool = Field(default=False, description="start from the library's published weights")
    weights: str = Field(default="", description="start from the weights in this file")
    weights_entry: str = Field(
        default="",
        description="entry of that file that holds the weights, such as state_dict_ema; empty: the best match",
    )
    freeze: list[str] = Field(
        default_factory=list,
        description='patterns for modules to freeze; the last match wins, "!" unfreezes: ["*", "!fc"]; '
        '"re:" starts a regular expression',
    )
    freeze_norm: bool = Field(
        default=True, description="frozen normalization layers keep their running statistics, too"
    )
    init: list[InitRule] = Field(
        default_factory=list,
        description='initialize parameters: [{ name = "kaiming_normal", types = "Conv*" }]; '
        "overwrites pretrained weights only where modules names them",
    )
