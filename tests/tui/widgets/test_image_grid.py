"""Images as quadrant blocks."""

from __future__ import annotations

import numpy as np
import pytest
from textual.app import App, ComposeResult

from torchdeck.tui.graphics.blocks import fitted_cells, quadrant_blocks
from torchdeck.tui.graphics.pixels import area_averaged
from torchdeck.tui.widgets.image_grid import GridImage, ImageGrid


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


async def test_up_to_a_cell_per_pixel_every_pixel_is_seen(app_with) -> None:
    checkered = np.zeros((28, 28), np.uint8)
    checkered[::2, 1::2] = checkered[1::2, ::2] = 200
    grid = ImageGrid()
    async with app_with(grid).run_test(size=(40, 18)):
        grid.set_images([GridImage(checkered, "a board")])
        for row in range(14):
            text = grid.render_line(row).text
            assert text.strip() == "▄▀" * 14
        assert grid.render_line(14).text.strip() == "▸ a board"


async def test_the_four_pixels_of_a_cell_are_shown_in_two_colors(app_with) -> None:
    red, black = [255, 0, 0], [0, 0, 0]
    # Cells are twice as high as wide, and so are their four pixels.
    pixels = np.array([*[[red, black] * 8] * 2, *[[black, black] * 8] * 2] * 4, np.uint8)
    line, *_ = quadrant_blocks(pixels, 8, 4)
    assert "".join(segment.text for segment in line) == "▘" * 8
    assert [segment.style.color.triplet for segment in line] == [(255, 0, 0)]
    assert [segment.style.bgcolor.triplet for segment in line] == [(0, 0, 0)]


def test_equal_neighbors_are_one_run() -> None:
    pixels = np.full((32, 32, 3), 118, np.uint8)
    pixels[:, 16:] = 121
    # Both are shown as one color, since nobody could tell them apart.
    assert [len(line) for line in quadrant_blocks(pixels, 32, 16)] == [1] * 16


def test_of_a_photograph_areas_are_averaged() -> None:
    pixels = np.zeros((640, 640, 3), np.uint8)
    pixels[::2, ::2] = 200
    (segment,) = {segment.style for line in quadrant_blocks(pixels, 16, 8) for segment in line}
    assert segment.bgcolor.triplet == (50, 50, 50)
    tall = np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3)
    assert np.allclose(area_averaged(tall, 7, 5), tall)
    assert np.allclose(area_averaged(tall, 1, 1)[0, 0], tall.reshape(-1, 3).mean(axis=0))
    # Every part counts by its area: 5 columns as 2 are the first two and a half, and the others.
    expected = (tall[:, 0].astype(float) + tall[:, 1] + tall[:, 2] / 2) / 2.5
    assert np.allclose(area_averaged(tall, 7, 2)[:, 0], expected)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (480, 640), (60, 20), (8, 200)])
@pytest.mark.parametrize("box", [(20, 40), (5, 80), (30, 6)])
def test_a_picture_keeps_its_shape_and_stays_in_its_box(height: int, width: int, box: tuple[int, int]) -> None:
    lines, columns = fitted_cells(height, width, *box)
    assert 1 <= lines <= box[0] and 1 <= columns <= box[1]
    assert lines == box[0] or columns == box[1]
    drawn = quadrant_blocks(noise(height, width), box[1], box[0])
    assert [sum(segment.cell_length for segment in line) for line in drawn] == [columns] * lines


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (28, 28, 3), (28, 28, 4)])
def test_gray_rgb_and_rgba_are_drawn(shape: tuple[int, ...]) -> None:
    (style,) = {segment.style for line in quadrant_blocks(np.full(shape, 200, np.uint8), 28, 14) for segment in line}
    assert style.bgcolor.triplet == (200, 200, 200)


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
        captions = " ".join(line for line in lines_of(app) if "#" in line).replace("▸", "").split()
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


async def test_the_size_is_the_one_that_uses_most_of_the_room(app_with) -> None:
    grid = ImageGrid(group=2, least=2)
    app = app_with(grid)
    async with app.run_test(size=(53, 30)) as pilot:
        grid.set_images([GridImage(noise(28, 28)) for _ in range(40)])
        await pilot.pause()
        # Two pairs: 26 cells and a gap and 26 cells are as wide as the room.
        assert (grid.shown, lit(app)) == (4, 4 * 26 * 13)
        await pilot.resize_terminal(128, 48)
        await pilot.pause()
        assert (grid.shown, lit(app)) == (12, 12 * 28 * 14)
        # A picture of few pixels is enlarged by a whole factor.
        grid.set_images([GridImage(noise(8, 8)) for _ in range(40)])
        await pilot.pause()
        assert lit(app) == grid.shown * 24 * 12


def lit(app: App[None]) -> int:
    """Number of cells that are part of pictures."""
    strips = app.screen._compositor.render_strips(app.size)
    around = app.query_one(ImageGrid).rich_style.bgcolor
    colored = [part for strip in strips for part in strip if part.style is not None and part.style.bgcolor != around]
    return sum(part.cell_length for part in colored)


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
        places = {
            caption: (y, line.index(caption))
            for y, line in enumerate(lines_of(app))
            for caption in ("0a", "0b", "1a", "1b", "2a", "2b")
            if caption in line
        }
        for number in range(app.query_one(ImageGrid).shown // 2):
            (y, x), (other_y, other_x) = places[f"{number}a"], places[f"{number}b"]
            assert (y == other_y) != (x == other_x)
        await pilot.press("right", "right", "right", "enter", "left", "enter")
        assert app.chosen == [2, 1]


async def test_a_second_click_chooses_the_images_under_the_mouse() -> None:
    app = GridApp()
    async with app.run_test(size=(50, 40)) as pilot:
        await pilot.pause()
        await pilot.click(ImageGrid, offset=(8, 2))
        assert app.chosen == []
        await pilot.click(ImageGrid, offset=(8, 2), times=2)
        assert app.chosen == [0]
        await pilot.click(ImageGrid, offset=(49, 39), times=2)
        assert app.chosen == [0]


async def test_the_cursor_is_seen_only_while_the_pictures_are_focused(app_with) -> None:
    grid = ImageGrid()
    async with app_with(grid).run_test(size=(40, 18)) as pilot:
        grid.set_images([GridImage(noise(8, 8), "noise")])
        caption = grid._layout.rows
        assert "▸" in grid.render_line(caption).text
        pilot.app.screen.set_focus(None)
        await pilot.pause()
        assert "▸" not in grid.render_line(caption).text
        grid.focus()
        await pilot.pause()
        assert "▸" in grid.render_line(caption).text
