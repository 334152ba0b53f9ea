"""Convolutional networks for what has one dimension, such as sound and sensors, or three: volumes and video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from ...errors import ConfigError
from ...shapes import shape_words
from .argument_checks import check_probability, check_stages, positive_integer, positive_integers


class _Layers(NamedTuple):
    """torch's layers for samples with a number of dimensions besides their channels."""

    convolution: Callable[..., nn.Module]
    norm: Callable[[int], nn.Module]
    max_pool: Callable[[int], nn.Module]
    average_pool: Callable[[int], nn.Module]


_LAYERS = {
    1: _Layers(nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d, nn.AdaptiveAvgPool1d),
    3: _Layers(nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d, nn.AdaptiveAvgPool3d),
}


class SignalCNN(nn.Module):
    """Stages of convolutions, each halving the sample, then an average over what is left and a linear classifier.

    A convolution looks at `kernel` neighboring values at a time. After every pooling the same kernel covers twice
    as much of the sample, so the last stage sees patterns that are long; the average at the end makes the network
    indifferent to where in the sample they lie, and lets it take samples of other lengths.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        dimensions: int,
        channels: Sequence[int],
        convolutions: int,
        kernel: int,
        dropout: float,
    ) -> None:
        super().__init__()
        layers = _LAYERS[dimensions]
        stages: list[nn.Module] = []
        for index, width in enumerate(channels):
            if index:
                stages.append(layers.max_pool(2))
            for _ in range(convolutions):
                # The norm that follows would cancel a bias.
                stages.append(layers.convolution(in_channels, width, kernel, padding=kernel // 2, bias=False))
                stages += [layers.norm(width), nn.ReLU(inplace=True)]
                in_channels = width
        self.features = nn.Sequential(*stages)
        self.pool = layers.average_pool(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, samples: Tensor) -> Tensor:
        """Logits [B, num_classes] of samples [B, C, L] or [B, C, D, H, W]."""
        features = self.pool(self.features(samples)).flatten(1)
        return self.classifier(self.dropout(features))


def cnn1d(
    num_classes: int,
    input_shape: Sequence[int],
    *,
    channels: Sequence[int] = (32, 64, 128),
    convolutions: int = 2,
    kernel: int = 7,
    dropout: float = 0.1,
) -> SignalCNN:
    """A convolutional network for signals: sound, sensors, time series.

    Args:
        num_classes: number of logits.
        input_shape: (C, L) of one sample: channels, such as the sensors or left and right, and steps in time.
        channels: width of each stage; the length is halved between stages.
        convolutions: convolutions a stage.
        kernel: steps that one convolution sees; odd.
        dropout: probability of dropping a feature before the classifier.

    Raises:
        ConfigError: an argument out of its bounds, or samples too short for the number of stages.
    """
    return _network("cnn1d", num_classes, input_shape, 1, channels, convolutions, kernel, dropout)


def cnn3d(
    num_classes: int,
    input_shape: Sequence[int],
    *,
    channels: Sequence[int] = (16, 32, 64),
    convolutions: int = 1,
    kernel: int = 3,
    dropout: float = 0.1,
) -> SignalCNN:
    """A convolutional network for volumes such as CT scans, and for video with its frames as the depth.

    Args:
        num_classes: number of logits.
        input_shape: (C, D, H, W) of one sample: channels, depth, height, width.
        channels: width of each stage; depth, height and width are halved between stages. A volume has many voxels:
            activations fill the memory long before the weights do, so the first stages are narrow.
        convolutions: convolutions a stage.
        kernel: voxels that one convolution sees in each direction; odd.
        dropout: probability of dropping a feature before the classifier.

    Raises:
        ConfigError: an argument out of its bounds, or samples too small for the number of stages.
    """
    return _network("cnn3d", num_classes, input_shape, 3, channels, convolutions, kernel, dropout)


def _network(
    name: str,
    num_classes: int,
    input_shape: Sequence[int],
    dimensions: int,
    channels: Sequence[int],
    convolutions: int,
    kernel: int,
    dropout: float,
) -> SignalCNN:
    if len(input_shape) != dimensions + 1:
        wanted = "channels × length" if dimensions == 1 else "channels × depth × height × width"
        shape = shape_words(input_shape)
        raise ConfigError(f"model {name}: takes samples of {wanted}; the data's are {shape}")
    stages = positive_integers("model.channels", channels)
    positive_integer("model.convolutions", convolutions)
    if positive_integer("model.kernel", kernel) % 2 == 0:
        raise ConfigError(f"model.kernel = {kernel}: must be odd, so that the kernel is centered on a value")
    check_probability("model.dropout", dropout)
    check_stages(input_shape[1:], len(stages))
    return SignalCNN(num_classes, input_shape[0], dimensions, stages, convolutions, kernel, float(dropout))
