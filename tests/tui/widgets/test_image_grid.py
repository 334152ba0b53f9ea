"""Images as half blocks."""

from __future__ import annotations

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.color import Color

from torchdeck.tui.widgets.image_grid import GridImage, ImageGrid


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


async def test_each_cell_shows_two_pixels(app_with) -> None:
    pixels = noise(32, 32)
    grid = ImageGrid()
    async with app_with(grid).run_test(size=(32, 17)):
        grid.set_images([GridImage(pixels, "a frog")])
        for row in range(16):
            column = 0
            for segment in grid.render_line(row):
                assert segment.style is not None
                for character in segment.text:
                    assert character == "▀"
                    assert tuple(segment.style.color.triplet) == tuple(pixels[2 * row, column])
                    assert tuple(segment.style.bgcolor.triplet) == tuple(pixels[2 * row + 1, column])
                    column += 1
            assert column == 32
        assert grid.render_line(16).text.strip() == "a frog"


async def test_an_odd_height_ends_in_the_background(app_with) -> None:
    grid = ImageGrid()
    async with app_with(grid).run_test(size=(31, 20)):
        grid.set_images([GridImage(noise(31, 31))])
        assert all(s.style.bgcolor is None for s in grid.render_line(15) if "▀" in s.text)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (28, 28, 3), (28, 28, 4)])
async def test_grey_rgb_and_rgba_are_drawn(app_with, lines_of, shape: tuple[int, ...]) -> None:
    grid = ImageGrid()
    app = app_with(grid)
    async with app.run_test(size=(80, 24)) as pilot:
        grid.set_images([GridImage(np.full(shape, 200, np.uint8))])
        await pilot.pause()
        (segment,) = [segment for segment in grid.render_line(0) if "▀" in segment.text]
        assert segment.style.color.triplet == Color(200, 200, 200).rich_color.triplet


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 12), (20, 6), (13, 4)])
@pytest.mark.parametrize("count", [1, 5, 16, 200])
@pytest.mark.parametrize("shape", [(32, 32), (20, 60), (60, 20)])
async def test_as_many_as_fit_are_shown_whole(app_with, lines_of, size, count, shape) -> None:
    grid = ImageGrid()
    app = app_with(grid)
    async with app.run_test(size=size) as pilot:
        grid.set_images([GridImage(noise(*shape, seed=index), f"#{index}") for index in range(count)])
        await pilot.pause()
        assert 1 <= grid.shown <= count
        assert all(grid.render_line(y).cell_length == size[0] for y in range(size[1]))
        captions = " ".join(line for line in lines_of(app) if "#" in line).split()
        assert captions == [f"#{index}" for index in range(grid.shown)]
        if size == (200, 50) and count <= 16:
            assert grid.shown == count


async def test_captions_are_cut_and_cannot_control_the_terminal(app_with, lines_of) -> None:
    grid = ImageGrid()
    app = app_with(grid)
    async with app.run_test(size=(30, 8)) as pilot:
        grid.set_images([GridImage(noise(8, 8), "\x1b[2J[b]" + "long " * 30)] * 2)
        await pilot.pause()
        text = "".join(lines_of(app))
        assert "\x1b" not in text
        assert "…" in text


async def test_without_images_it_says_so(app_with, lines_of) -> None:
    grid = ImageGrid(empty="no data yet")
    app = app_with(grid)
    async with app.run_test(size=(80, 24)) as pilot:
        grid.set_images([])
        await pilot.pause()
        assert lines_of(app)[0].strip() == "no data yet"


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)]
)
async def test_what_is_no_image_is_an_error(app_with, pixels: np.ndarray) -> None:
    grid = ImageGrid()
    async with app_with(grid).run_test():
        with pytest.raises(ValueError, match="an image must be uint8"):
            grid.set_images([GridImage(pixels)])


async def test_large_images_are_averaged_down(app_with) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[::2, ::2] = 200
    grid = ImageGrid()
    async with app_with(grid).run_test(size=(16, 9)):
        grid.set_images([GridImage(pixels)])
        colors = {segment.style.color.triplet for segment in grid.render_line(0) if "▀" in segment.text}
        assert colors == {(50, 50, 50)}


async def test_fewer_images_are_shown_where_all_of_them_would_be_small(app_with) -> None:
    grid = ImageGrid(least=4)
    async with app_with(grid).run_test(size=(64, 40)):
        grid.set_images([GridImage(noise(24, 24)) for _ in range(40)])
        # 24 pixels are 24 cells and 12 lines, a caption and a gap.
        assert grid.shown == 4
        grid.set_images([GridImage(noise(8, 8)) for _ in range(40)])
        assert grid.shown == 20


class GridApp(App[None]):
    """Three pairs of images, and which of them were chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[int] = []

    def compose(self) -> ComposeResult:
        yield ImageGrid(group=2)

    def on_ready(self) -> None:
        images = [GridImage(noise(8, 8), f"{number}{half}") for number in range(3) for half in "ab"]
        self.query_one(ImageGrid).set_images(images)

    def on_image_grid_chosen(self, message: ImageGrid.Chosen) -> None:
        self.chosen.append(message.group)


async def test_images_that_belong_together_stay_in_one_row_and_the_cursor_moves_over_them(lines_of) -> None:
    app = GridApp()
    async with app.run_test(size=(50, 40)) as pilot:
        await pilot.pause()
        rows = [line.split() for line in lines_of(app) if "0a" in line or "1a" in line or "2a" in line]
        assert rows
        assert all(len(row) % 2 == 0 for row in rows)
        await pilot.press("right", "right", "right", "enter", "left", "enter")
        assert app.chosen == [2, 1]


async def test_a_click_chooses_the_images_under_the_mouse() -> None:
    app = GridApp()
    async with app.run_test(size=(50, 40)) as pilot:
        await pilot.pause()
        await pilot.click(ImageGrid, offset=(3, 2))
        assert app.chosen == [0]
        await pilot.click(ImageGrid, offset=(49, 39))
        assert app.chosen == [0]
