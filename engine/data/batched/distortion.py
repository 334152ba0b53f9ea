"""RandomPerspective and ElasticTransform of a whole batch, each sample with its own distortion.

The formulas are those of torchvision.transforms.v2 (`_geometry.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..random_keys import SampleKeys
from .affine import Interpolation, looked_up
from .blur import blur_kernel
from .color import apply_to
from .slices import joined, slices


@dataclass(frozen=True)
class Perspectives:
    """Random parameters of RandomPerspective for each sample.

    Attributes:
        happens: bool [n].
        coefficients: float32 [n, 8] of the map from a pixel of the result to the pixel it comes from.
    """

    happens: Tensor
    coefficients: Tensor


@dataclass(frozen=True)
class PerspectiveStep:
    """RandomPerspective; `distortion` is the share of half the image by which a corner may move."""

    slot: int
    probability: float
    distortion: float
    interpolation: Interpolation
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Perspectives:
        """Where the four corners go, as coefficients."""
        height, width = shape[2:]
        down, across = int(self.distortion * (height // 2)) + 1, int(self.distortion * (width // 2)) + 1
        moved = (keys.uniforms(self.slot, 8).view(-1, 4, 2) * torch.tensor([across, down])).floor()
        corners = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]).double()
        first = torch.tensor([[0, 0], [width - across, 0], [width - across, height - down], [0, height - down]])
        return Perspectives(keys.happens(self.slot + 1, self.probability), _coefficients(corners, first + moved))

    def apply(self, images: Tensor, drawn: Perspectives) -> Tensor:
        """The distorted images."""

        def distort(chosen: Tensor, positions: Tensor) -> Tensor:
            coefficients = drawn.coefficients[positions]
            return joined(
                looked_up(chosen[part], _grid(coefficients[part], chosen), self.interpolation, self.fill)
                for part in slices(chosen)
            )

        return apply_to(images, drawn.happens, distort)


def _coefficients(corners: Tensor, moved: Tensor) -> Tensor:
    """Coefficients float32 [n, 8] that take the moved corners [n, 4, 2] back to the corners [4, 2], both (x, y)."""
    x, y = moved.double().unbind(2)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    to_x, to_y = corners.unbind(1)
    rows_x = torch.stack((x, y, one, zero, zero, zero, -to_x * x, -to_x * y), dim=2)
    rows_y = torch.stack((zero, zero, zero, x, y, one, -to_y * x, -to_y * y), dim=2)
    matrix = torch.cat((rows_x, rows_y), dim=1)
    goal = torch.cat((to_x, to_y)).expand(len(moved), 8)
    found, failed = torch.linalg.solve_ex(matrix, goal)
    # On a few pixels three moved corners can lie on one line, which no perspective does: such an image stays as it is.
    unmoved = matrix.new_tensor([1, 0, 0, 0, 1, 0, 0, 0])
    return torch.where((failed == 0)[:, None], found, unmoved).float()


def _grid(coefficients: Tensor, images: Tensor) -> Tensor:
    """grid_sample's coordinates float32 [n, H, W, 2]."""
    height, width = images.shape[2:]
    device = images.device
    values = coefficients.to(device)
    base = torch.ones((height, width, 3), device=device)
    base[..., 0] = torch.arange(width, device=device) + 0.5
    base[..., 1] = (torch.arange(height, device=device) + 0.5)[:, None]
    base = base.view(1, height * width, 3).expand(len(values), -1, -1)
    half = torch.tensor([0.5 * width, 0.5 * height], device=device)
    above = base.bmm(values[:, :6].view(-1, 2, 3).transpose(1, 2) / half)
    below = base.bmm(torch.cat((values[:, 6:], torch.ones_like(values[:, :1])), dim=1)[:, :, None])
    return above.div_(below).sub_(1.0).view(len(values), height, width, 2)


@dataclass(frozen=True)
class ElasticStep:
    """ElasticTransform; alpha is how far pixels move, sigma how smoothly, both (across, down) in pixels."""

    slot: int
    alpha: tuple[float, float]
    sigma: tuple[float, float]
    interpolation: Interpolation
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Tensor:
        """Displacement of each pixel as a share of half the image, float32 [n, H, W, 2] as (x, y)."""
        height, width = shape[2:]
        noise = torch.empty((len(keys.base), 2, height, width))
        for sample, generator in zip(noise, keys.generators(self.slot), strict=True):
            sample.uniform_(-1.0, 1.0, generator=generator)
        axes = []
        for axis, length in ((0, width), (1, height)):
            moved = noise[:, axis]
            if self.sigma[axis] > 0:
                size = int(8 * self.sigma[axis] + 1) | 1
                down, across = _blurring(size, self.sigma[1], height), _blurring(size, self.sigma[0], width)
                moved = down @ moved @ across.T
            axes.append(moved * self.alpha[axis] / length)
        return torch.stack(axes, dim=3)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The displaced images."""
        height, width = images.shape[2:]
        grid = torch.empty((height, width, 2), device=images.device)
        grid[..., 0] = torch.linspace((1 - width) / width, (width - 1) / width, width)
        grid[..., 1] = torch.linspace((1 - height) / height, (height - 1) / height, height)[:, None]
        return joined(
            looked_up(images[part], grid + drawn[part].to(images.device), self.interpolation, self.fill)
            for part in slices(images)
        )


def _blurring(size: int, sigma: float, length: int) -> Tensor:
    """A Gaussian blur of `size` pixels along an axis, reflected at its ends: a matrix float32 [length, length]."""
    reach = size // 2
    weights = blur_kernel(size, torch.tensor([sigma]))[0]
    place = torch.arange(length)[:, None] + torch.arange(-reach, reach + 1)
    place = place.abs()
    place = torch.where(place >= length, 2 * (length - 1) - place, place)
    return torch.zeros(length, length).scatter_add_(1, place, weights.expand(length, size))
