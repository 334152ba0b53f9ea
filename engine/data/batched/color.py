"""torchvision's color adjustments of a whole batch, each sample with its own factor.

The formulas, and where they round, are those of torchvision.transforms.v2.functional (`_color.py`), whose functions
take one factor for everything they are given. Images are [n, C, H, W] with 1 or 3 channels, uint8 or float between 0
and 1; factors are float64 [n]. Products are added in two operations: fused, they would round differently at the end
of a vector register, and a sample's bits would depend on its place in the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torchvision.transforms.v2 import functional

from .slices import joined, slices

_RED, _GREEN, _BLUE = 0.2989, 0.587, 0.114


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply by the factor: 0 is black, 1 the image itself."""
    return _as(images.dtype, images * _per_image(factors, images))


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean of the gray image: 0 is uniformly gray, 1 the image itself."""
    gray = _gray(images) if images.shape[1] == 3 else images.float()
    return _blend(images, gray.mean((1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the gray image: 0 is gray, 1 the image itself. Images of one channel stay as they are."""
    return images if images.shape[1] == 1 else _blend(images, _gray(images), factors)


def adjust_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Turn the hue by `shifts` of a full circle, from -0.5 to 0.5. Images of one channel stay as they are."""
    if images.shape[1] == 1:
        return images
    return joined(_hue_turned(images[part], shifts[part]) for part in slices(images))


def _hue_turned(images: Tensor, shifts: Tensor) -> Tensor:
    hue, saturation, value = _to_hsv(functional.to_dtype(images, torch.float32, scale=True))
    hue.add_(_per_image(shifts, hue)).remainder_(1.0)
    return functional.to_dtype(_to_rgb(hue, saturation, value), images.dtype, scale=True)


def adjust_sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with a blurred copy: 0 is blurred, 1 the image itself, 2 sharpened. The outermost pixels stay."""
    channels, height, width = images.shape[1:]
    if height <= 2 or width <= 2:
        return images
    sharpened = images.to(torch.float32, copy=True)
    side, center = 1.0 / 13.0, 5.0 / 13.0
    kernel = sharpened.new_tensor([[side, side, side], [side, center, side], [side, side, side]])
    blurred = conv2d(sharpened, kernel.expand(channels, 1, 3, 3), groups=channels)
    if not images.is_floating_point():
        blurred.round_()
    inner = sharpened[:, :, 1:-1, 1:-1]
    inner.add_(blurred.sub_(inner).mul_(_per_image(1.0 - factors, images)))
    return _as(images.dtype, sharpened)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest `bits` (int64 [n], 0 to 8) bits of each uint8 pixel."""
    masks = (256 - (1 << (8 - bits))).to(torch.uint8).to(images.device)
    return images & masks[:, None, None, None]


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the pixels of uint8 images that are at least the threshold (in levels)."""
    return torch.where(images >= _per_image(thresholds, images), functional.invert(images), images)


def inverted_from(images: Tensor, level: int) -> Tensor:
    """Invert the pixels of uint8 images that are at least `level`: solarize with one threshold for all."""
    if level > 255:
        return images
    # 255 - x has the bits of x turned round, and 0 - 1 is 255.
    return images ^ (images >= level).view(torch.uint8).neg_()


def apply_to(images: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Change some images of a batch and leave the others as they are.

    Args:
        images: [n, C, H, W].
        chosen: bool [n] in the machine's memory, so that no device has to be waited for.
        change: called with the chosen images and their positions (int64 [m], on the CPU); keeps shape and dtype.
    """
    positions = chosen.nonzero()[:, 0]
    if not len(positions):
        return images
    if len(positions) == len(images):
        return change(images, positions)
    there = positions.to(images.device)
    return images.index_copy(0, there, change(images.index_select(0, there), positions))


def _per_image(factors: Tensor, images: Tensor) -> Tensor:
    """One float32 factor an image, to be multiplied with it."""
    return factors.float().to(images.device).view(-1, *(1,) * (images.ndim - 1))


def _as(dtype: torch.dtype, pixels: Tensor) -> Tensor:
    """Clamp float pixels to the range of their dtype; uint8 cuts off, as torchvision does."""
    return pixels.clamp_(0, 255).to(dtype) if dtype == torch.uint8 else pixels.clamp_(0, 1)


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    blended = images * _per_image(factors, images)
    return _as(images.dtype, blended.add_(others * _per_image(1.0 - factors, images)))


def _gray(images: Tensor) -> Tensor:
    """Float [n, 1, H, W] of images with 3 channels; whole levels for uint8."""
    red, green, blue = images.unbind(1)
    gray = red.mul(_RED).add_(green, alpha=_GREEN).add_(blue, alpha=_BLUE)[:, None]
    return gray if images.is_floating_point() else gray.floor_()


def _to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation, value of float images [n, 3, H, W], each [n, H, W] between 0 and 1."""
    red, green, blue = images.unbind(1)
    lowest, highest = torch.aminmax(images, dim=1)
    is_gray = highest == lowest
    spread = highest - lowest
    saturation = spread / highest.masked_fill(is_gray, 1.0)
    divisor = spread.masked_fill(is_gray, 1.0)
    from_red, from_green, from_blue = ((highest - channel) / divisor for channel in (red, green, blue))
    # The sector comes from the largest channel; red wins over green, green over blue.
    in_blue = from_green.add(4.0).sub_(from_red)
    in_green = from_red.add_(2.0).sub_(from_blue)
    in_red = from_blue.sub_(from_green)
    hue = torch.where(highest == red, in_red, torch.where(highest == green, in_green, in_blue))
    return hue.mul_(1.0 / 6.0).add_(1.0).fmod_(1.0), saturation, highest


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Float images [n, 3, H, W] of hue, saturation and value, each [n, H, W]."""
    sixths = hue.mul(6)
    sector = sixths.floor()
    part = sixths.sub_(sector)
    scaled = saturation * part
    rest = 1.0 - saturation
    falling = (1.0 - scaled).mul_(value).clamp_(0.0, 1.0)
    rising = scaled.add_(rest).mul_(value).clamp_(0.0, 1.0)
    low = rest.mul_(value).clamp_(0.0, 1.0)
    choices = torch.stack((value, low, falling, rising), dim=1)
    # Which of the four each channel takes, by sector; a hue that rounds up to 1 is the first sector again.
    table = torch.tensor([[0, 2, 1, 1, 3, 0, 0], [3, 0, 0, 2, 1, 1, 3], [1, 1, 3, 0, 0, 2, 1]], device=hue.device)
    index = torch.stack([row[sector.to(torch.int32)] for row in table], dim=1)
    return choices.gather(1, index)
