"""Images resized for the screen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from torchdeck.tui.graphics.pixels import as_rgb, fitted_size, for_scaling, png, resized


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1, 3), (17, 5, 3), (64, 64, 3)])
def test_png_keeps_every_pixel(shape: tuple[int, ...]) -> None:
    smooth = np.cumsum(noise(*shape) % 3, axis=0, dtype=np.uint8)
    for rgb in (noise(*shape), smooth):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(rgb)))), rgb)


def test_png_of_a_smooth_image_is_small() -> None:
    slope = np.add.outer(np.arange(100), np.arange(100)).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    assert len(png(slope)) < slope.nbytes / 50


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 3), (4, 4, 4)])
def test_grey_and_alpha_become_rgb(shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    assert np.array_equal(as_rgb(pixels)[:, :, 0], pixels if pixels.ndim == 2 else pixels[:, :, 0])
    assert as_rgb(pixels).shape == (4, 4, 3)


def test_the_aspect_ratio_is_kept() -> None:
    assert fitted_size(10, 20, 100, 100) == (50, 100)
    assert fitted_size(20, 10, 100, 100) == (100, 50)
    assert fitted_size(1, 1000, 10, 100) == (1, 100)


def test_enlarging_repeats_pixels_and_shrinking_averages_them() -> None:
    rgb = noise(4, 6, 3)
    assert np.array_equal(resized(rgb, 12, 18), rgb.repeat(3, axis=0).repeat(3, axis=1))
    assert np.array_equal(resized(rgb.repeat(3, axis=0).repeat(3, axis=1), 4, 6), rgb)


def test_a_terminal_that_scales_gets_whole_multiples_and_no_more_than_it_can_show() -> None:
    assert for_scaling(noise(8, 8, 3), 100, 100, 320).shape == (96, 96, 3)
    assert for_scaling(noise(500, 400, 3), 100, 100, 320).shape == (100, 80, 3)
    assert for_scaling(noise(500, 400, 3), 2000, 2000, 320).shape == (320, 256, 3)
    assert for_scaling(noise(300, 300, 3), 2000, 2000, 320).shape == (300, 300, 3)
