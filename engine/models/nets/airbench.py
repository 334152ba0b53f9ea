"""The network of airbench94, the fastest to 94 % on CIFAR-10 of its day: small, wide early, and begun from the data.

Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024 (arXiv:2404.00498), `airbench94.py`. What
belongs to the training (label smoothing, Nesterov momentum, a triangular schedule, 64 times the rate for the norms'
biases) is in the preset `cifar10-fast`. Left out: test-time augmentation, Lookahead, alternating flips, and that the
bias of the whitening layer is only trained for three epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...shapes import shape_words
from .argument_checks import positive_integers

# Added to the variances, so that directions with next to none are not blown up.
_WHITENING_EPS = 5e-4
_SMALLEST_SIDE = 9


class DiracConv2d(nn.Conv2d):
    """A 3×3 convolution that begins by passing its input on: as many of its outputs as there are inputs."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=False)
        nn.init.dirac_(self.weight.data[:in_channels])


class BiasBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose scale stays 1, and whose running statistics follow quickly: a run has few steps."""

    def __init__(self, channels: int) -> None:
        # torch's momentum is the share of the new value.
        super().__init__(channels, eps=1e-12, momentum=0.4)
        self.weight.requires_grad_(False)


class ConvGroup(nn.Sequential):
    """Two convolutions with batch norm and GELU; the first one's output is pooled to half the height and width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            DiracConv2d(in_channels, out_channels),
            nn.MaxPool2d(2),
            BiasBatchNorm2d(out_channels),
            nn.GELU(),
            DiracConv2d(out_channels, out_channels),
            BiasBatchNorm2d(out_channels),
            nn.GELU(),
        )


class Airbench(nn.Module):
    """A frozen 2×2 whitening convolution, three groups of convolutions, the largest of each map, a scaled linear head.

    Attributes:
        whiten: its filters make neighboring pixels uncorrelated once `init_from_data` has seen some; its bias learns.
    """

    def __init__(self, num_classes: int, in_channels: int, channels: Sequence[int], scale: float) -> None:
        super().__init__()
        # Both signs of every direction in a patch: GELU would lose one.
        width = 2 * in_channels * 2 * 2
        self.whiten = nn.Conv2d(in_channels, width, 2)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]
        widths = [width, *channels]
        self.activation = nn.GELU()
        self.groups = nn.Sequential(*(ConvGroup(*pair) for pair in pairwise(widths)))
        # Of 3×3 positions where images are 32×32.
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(widths[-1], num_classes, bias=False)
        self.scale = scale

    def init_from_data(self, images: Tensor) -> None:
        """Set the whitening filters: the eigenvectors of the covariance of 2×2 patches, by their standard deviations.

        Args:
            images: images after the eval transforms, float [N, C, H, W].
        """
        patches = nn.functional.unfold(images.float(), 2).transpose(1, 2).flatten(0, 1)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (directions / (variances + _WHITENING_EPS).sqrt()).T.flip(0)
        with torch.no_grad():
            self.whiten.weight.copy_(torch.cat((filters, -filters)).view_as(self.whiten.weight))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, num_classes] of images [B, C, H, W]."""
        features = self.groups(self.activation(self.whiten(images)))
        return self.head(self.pool(features).flatten(1)) * self.scale


def airbench(
    num_classes: int,
    input_shape: Sequence[int],
    *,
    channels: Sequence[int] = (64, 256, 256),
    scale: float = 1 / 9,
) -> Airbench:
    """The network of airbench94, for images of about 32×32.

    Args:
        num_classes: number of logits.
        input_shape: (C, H, W) of one sample, H and W at least 9.
        channels: width of each of the three groups.
        scale: factor of the logits, which keeps the first steps small.

    Raises:
        ConfigError: an argument out of its bounds, or samples that are not images or too small.
    """
    widths = positive_integers("model.channels", channels)
    if len(widths) != 3:
        raise ConfigError(f"model.channels = {list(widths)}: must be three widths, one for each group")
    if len(input_shape) != 3 or min(input_shape[1:]) < _SMALLEST_SIDE:
        shape = shape_words(input_shape)
        raise ConfigError(
            f"model airbench: takes samples of channels × height × width, at least {_SMALLEST_SIDE} high and wide; "
            f"the data's are {shape}"
        )
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale > 0:
        raise ConfigError(f"model.scale = {scale!r}: must be a number above 0")
    return Airbench(num_classes, input_shape[0], widths, float(scale))
