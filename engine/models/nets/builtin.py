"""The networks that come with torchdeck: small, readable, and fit for samples of any size.

A factory takes the number of classes, the shape of one sample and its own arguments. What it returns maps a batch to
logits [B, num_classes]. Those for images are here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ...errors import ConfigError, did_you_mean
from ...shapes import shape_words
from .airbench import airbench
from .argument_checks import check_probability, check_stages, is_integer, positive_integers
from .signal_nets import cnn1d, cnn3d
from .text_nets import embedding_bag

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def mlp(
    num_classes: int,
    input_shape: Sequence[int],
    *,
    hidden: Sequence[int] = (512, 512),
    dropout: float = 0.0,
    activation: str = "relu",
) -> nn.Sequential:
    """A multilayer perceptron on the flattened sample, such as 784-512-512-10.

    Args:
        num_classes: number of logits.
        input_shape: shape of one sample; any number of dimensions.
        hidden: width of each hidden layer; an empty list makes a linear classifier.
        dropout: probability of dropping a hidden unit.
        activation: relu, gelu, silu or tanh.

    Raises:
        ConfigError: an argument out of its bounds.
    """
    widths = positive_integers("model.hidden", hidden, may_be_empty=True)
    check_probability("model.dropout", dropout)
    make_activation = _activation(activation)
    layers: list[nn.Module] = [nn.Flatten()]
    features = math.prod(input_shape)
    for width in widths:
        layers += [nn.Linear(features, width), make_activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        features = width
    layers.append(nn.Linear(features, num_classes))
    return nn.Sequential(*layers)


class ConvStage(nn.Sequential):
    """3×3 convolutions, each with batch norm and ReLU; keeps the height and width."""

    def __init__(self, in_channels: int, out_channels: int, convolutions: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers += [
                nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            ]
            in_channels = out_channels
        super().__init__(*layers)


class CNN(nn.Module):
    """Convolutional stages with 2×2 max pooling between them, global average pooling and a linear classifier."""

    def __init__(
        self, num_classes: int, in_channels: int, channels: Sequence[int], convolutions: int, dropout: float
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for index, width in enumerate(channels):
            if index:
                stages.append(nn.MaxPool2d(2))
            stages.append(ConvStage(in_channels, width, convolutions))
            in_channels = width
        self.features = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, num_classes] of images [B, C, H, W]."""
        features = self.pool(self.features(images)).flatten(1)
        return self.classifier(self.dropout(features))


def cnn(
    num_classes: int,
    input_shape: Sequence[int],
    *,
    channels: Sequence[int] = (32, 64, 128),
    convolutions: int = 2,
    dropout: float = 0.1,
) -> CNN:
    """A small convolutional network; height and width are halved between its stages.

    Args:
        num_classes: number of logits.
        input_shape: (C, H, W) of one sample; H and W at least 2 to the power of the stages after the first.
        channels: width of each stage.
        convolutions: 3×3 convolutions a stage.
        dropout: probability of dropping a feature before the classifier.

    Raises:
        ConfigError: an argument out of its bounds, or samples too small for the number of stages.
    """
    in_channels, height, width = _image_shape("cnn", input_shape)
    stages = positive_integers("model.channels", channels)
    positive_integers("model.convolutions", [convolutions])
    check_probability("model.dropout", dropout)
    check_stages((height, width), len(stages))
    return CNN(num_classes, in_channels, stages, convolutions, float(dropout))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions whose output is added to their input; the first may halve the height and width.

    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015, with a 1×1 convolution where the shape
    changes (their option B).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, out_channels, H / stride, W / stride] of features [B, in_channels, H, W]."""
        residual = self.relu(self.bn1(self.conv1(features)))
        residual = self.bn2(self.conv2(residual))
        return self.relu(residual + self.shortcut(features))


class ResNet(nn.Module):
    """The residual network for small images: a 3×3 stem, three stages of residual blocks, a linear classifier."""

    def __init__(self, num_classes: int, in_channels: int, blocks: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _residual_stage(width, width, blocks, stride=1)
        self.layer2 = _residual_stage(width, 2 * width, blocks, stride=2)
        self.layer3 = _residual_stage(2 * width, 4 * width, blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, num_classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, ResidualBlock):
                # Every block starts as the identity: Goyal et al., Accurate, Large Minibatch SGD, 2017, section 5.1.
                nn.init.zeros_(module.bn2.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, num_classes] of images [B, C, H, W]."""
        features = self.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        return self.fc(self.avgpool(features).flatten(1))


def resnet(num_classes: int, input_shape: Sequence[int], *, depth: int = 20, width: int = 32) -> ResNet:
    """A residual network for images of about 32×32, as section 4.2 of He et al. 2015 builds it for CIFAR-10.

    Args:
        num_classes: number of logits.
        input_shape: (C, H, W) of one sample.
        depth: layers with weights: 6n + 2, such as 8, 14, 20, 32, 44, 56 or 110.
        width: channels of the first stage; the second has twice, the third four times as many. 16 in the paper.

    Raises:
        ConfigError: an argument out of its bounds.
    """
    in_channels, _, _ = _image_shape("resnet", input_shape)
    positive_integers("model.width", [width])
    if not is_integer(depth) or depth < 8 or (depth - 2) % 6:
        raise ConfigError(f"model.depth = {depth}: must be 6n + 2, such as 8, 14, 20, 26, 32, 44, 56 or 110")
    return ResNet(num_classes, in_channels, (depth - 2) // 6, width)


def example_shape(name: str) -> tuple[int, ...]:
    """Shape of a sample that a model is shown for where no data say it."""
    shapes: dict[str, tuple[int, ...]] = {"cnn1d": (1, 256), "cnn3d": (1, 16, 32, 32), "embedding_bag": (64,)}
    return shapes.get(name, (1, 28, 28))


def _residual_stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = ResidualBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(ResidualBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)))


def _image_shape(name: str, input_shape: Sequence[int]) -> tuple[int, int, int]:
    if len(input_shape) != 3:
        shape = shape_words(input_shape)
        raise ConfigError(f"model {name}: takes samples of channels × height × width; the data's are {shape}")
    channels, height, width = input_shape
    return channels, height, width


def _activation(name: str) -> Callable[[], nn.Module]:
    if name not in _ACTIVATIONS:
        raise ConfigError(f"model.activation = {name!r}: unknown{did_you_mean(str(name), _ACTIVATIONS)}")
    return _ACTIVATIONS[name]


BUILTIN_MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet": resnet,
    "airbench": airbench,
    "cnn1d": cnn1d,
    "cnn3d": cnn3d,
    "embedding_bag": embedding_bag,
}
"""The factories by name."""

TAKES_SEVERAL = {"embedding_bag"}
"""Models that accept samples of several tensors, by position or by keyword; the others take one tensor."""
