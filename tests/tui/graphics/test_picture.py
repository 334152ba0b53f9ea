"""The image grid on a terminal that shows pictures."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from kitty_terminal import KittyTerminal, drawn_cells
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import ContentSwitcher, Static

from torchdeck.tui.graphics.graphics import Graphics
from torchdeck.tui.graphics.pixels import fitted_size, resized
from torchdeck.tui.graphics.support import Support, Way
from torchdeck.tui.process.terminal import TerminalApp
from torchdeck.tui.widgets.image_grid import GridImage, ImageGrid

CELL = (8, 16)


class Dialog(ModalScreen[None]):
    """Covers a part of the screen and dims the rest."""

    DEFAULT_CSS = "Dialog { align: center middle; } Dialog Static { width: 20; height: 5; }"

    def compose(self) -> ComposeResult:
        yield Static("a question")


class GridApp(TerminalApp[None]):
    """A grid in one of two panes."""

    def compose(self) -> ComposeResult:
        with ContentSwitcher(initial="first"):
            yield ImageGrid(id="first", group=2)
            yield Static("nothing", id="second")

    @property
    def grid(self) -> ImageGrid:
        return self.query_one(ImageGrid)

    def strips(self) -> list:
        return self.screen._compositor.render_strips(self.size)


def noise(seed: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def images(*seeds: int) -> list[GridImage]:
    return [GridImage(noise(seed), f"#{seed}") for seed in seeds]


def has_blocks(app: GridApp, strips: list[Strip]) -> bool:
    """Whether a cell has another color than the background, as a block of a picture has."""
    backgrounds = {segment.style.bgcolor for strip in strips for segment in strip if segment.style is not None}
    return bool(backgrounds - {app.grid.rich_style.bgcolor, None})


def kitty(write: Callable[[str], None], *, truecolor: bool = True) -> Graphics:
    return Graphics(Support("kitty", CELL), write, is_truecolor=truecolor)


@pytest.mark.parametrize("truecolor", [True, False])
async def test_each_picture_is_sent_once_and_drawn_by_cells_that_name_its_parts(truecolor: bool) -> None:
    app, terminal = GridApp(), KittyTerminal()
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(kitty(terminal.take, truecolor=truecolor))
        await pilot.pause()
        app.grid.set_images(images(1, 2, 3, 4))
        await pilot.pause()
        cells = drawn_cells(app.strips(), truecolor=truecolor)
        assert {cell.image for cell in cells.values()} == terminal.images.keys()
        assert terminal.transmissions == 4
        for image, (columns, rows) in terminal.placements.items():
            at = {(y, x): cell for (y, x), cell in cells.items() if cell.image == image}
            top, left = min(at)
            assert {(cell.row, cell.column) for cell in at.values()} == {
                (row, column) for row in range(rows) for column in range(columns)
            }
            assert all((cell.row, cell.column) == (y - top, x - left) for (y, x), cell in at.items())
            # Cells of 8x16 pixels: a square picture is twice as many columns wide as it is lines high.
            assert columns == 2 * rows
        sent = sorted(picture.tobytes() for picture in terminal.images.values())
        size = next(iter(terminal.images.values())).shape[0]
        assert sent == sorted(resized(noise(seed), size, size).tobytes() for seed in (1, 2, 3, 4))


async def test_pictures_that_stay_are_not_sent_again_and_others_are_forgotten() -> None:
    app, terminal = GridApp(), KittyTerminal()
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(kitty(terminal.take))
        app.grid.set_images(images(1, 2, 3, 4))
        await pilot.pause()
        before = dict(terminal.images)
        app.grid.set_images(images(1, 5, 3, 6))
        await pilot.pause()
        assert terminal.transmissions == 6
        assert len(before.keys() & terminal.images.keys()) == 2
        assert len(terminal.images) == 4


async def test_the_cursor_other_panes_and_dialogs_send_nothing() -> None:
    app, terminal, sent = GridApp(), KittyTerminal(), []
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(kitty(lambda sequence: (sent.append(sequence), terminal.take(sequence))))
        app.grid.set_images(images(1, 2, 3, 4))
        await pilot.pause()
        drawn = drawn_cells(app.strips())
        sent.clear()
        app.grid.focus()
        await pilot.press("right", "left", "right")
        app.query_one(ContentSwitcher).current = "second"
        await pilot.pause()
        assert not drawn_cells(app.strips())
        app.query_one(ContentSwitcher).current = "first"
        await pilot.pause()
        assert drawn_cells(app.strips()) == drawn
        app.push_screen(Dialog())
        await pilot.pause()
        # Dimmed colors would be the numbers of other pictures.
        assert not drawn_cells(app.screen_stack[0]._compositor.render_strips(app.size))
        strips = app.screen_stack[0]._compositor.render_strips(app.size)
        assert has_blocks(app, strips)
        app.pop_screen()
        await pilot.pause()
        assert drawn_cells(app.strips()) == drawn
        assert sent == []


async def test_another_size_places_the_pictures_anew() -> None:
    app, terminal = GridApp(), KittyTerminal()
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(kitty(terminal.take))
        # Large enough to be sent in their original size.
        app.grid.set_images([GridImage(noise(seed, 300, 300)) for seed in (1, 2)])
        await pilot.pause()
        await pilot.resize_terminal(120, 50)
        await pilot.pause()
        cells = drawn_cells(app.strips())
        for image, (columns, rows) in terminal.placements.items():
            shown = [(cell.row, cell.column) for cell in cells.values() if cell.image == image]
            assert max(shown) == (rows - 1, columns - 1)
        assert len(terminal.images) == 2


async def test_a_picture_that_is_cut_off_shows_the_rest_of_it() -> None:
    app, terminal = GridApp(), KittyTerminal()
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(kitty(terminal.take))
        app.grid.set_images(images(1, 2))
        await pilot.pause()
        before = drawn_cells(app.strips())
        left = min(x for _, x in before)
        app.grid.styles.offset = (-left - 3, -2)
        await pilot.pause()
        cells = drawn_cells(app.strips())
        assert (cells[0, 0].row, cells[0, 0].column) == (2, 3)


async def test_what_is_sent_of_a_photograph_is_limited() -> None:
    app, terminal = GridApp(), KittyTerminal()
    async with app.run_test(size=(200, 60)) as pilot:
        app.use_graphics(kitty(terminal.take))
        app.grid.set_images([GridImage(noise(1, 1000, 600))])
        await pilot.pause()
        (picture,) = terminal.images.values()
        assert picture.shape[:2] == fitted_size(1000, 600, 320, 320)


async def test_the_terminal_forgets_the_pictures_in_the_end() -> None:
    app, terminal = GridApp(), KittyTerminal()
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(kitty(terminal.take))
        app.grid.set_images(images(1, 2, 3, 4))
        await pilot.pause()
        assert terminal.images
    assert terminal.images == {}


async def test_giving_the_terminal_back_forgets_them_too_and_then_nothing_is_sent() -> None:
    terminal = KittyTerminal()
    graphics = kitty(terminal.take)
    app = GridApp()
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(graphics)
        app.grid.set_images(images(1, 2))
        await pilot.pause()
        graphics.end()
        assert terminal.images == {}
        sent = terminal.transmissions
        app.grid.set_images(images(3, 4))
        await pilot.pause()
        assert terminal.transmissions == sent


class Screenful:
    """A terminal that draws over its cells; records where each picture was drawn."""

    def __init__(self) -> None:
        self.drawn: list[tuple[int, int]] = []

    def take(self, sequence: str) -> None:
        found = re.fullmatch(r"\x1b7\x1b\[(\d+);(\d+)H(.*)\x1b8", sequence, re.DOTALL)
        assert found is not None
        assert found[3].startswith(("\x1bP0;1;0q", "\x1b]1337;File="))
        self.drawn.append((int(found[1]) - 1, int(found[2]) - 1))

    def fresh(self) -> list[tuple[int, int]]:
        """Where pictures were drawn since the last call, once or several times."""
        drawn, self.drawn = self.drawn, []
        return sorted(set(drawn))


@asynccontextmanager
async def overlaid(way: Way = "sixel") -> AsyncIterator[tuple[GridApp, Pilot[None], Screenful]]:
    """Two rows of two pictures, at (0, 0), (0, 24), … on the screen."""
    app, screen = GridApp(), Screenful()
    async with app.run_test(size=(60, 26), notifications=True) as pilot:
        app.use_graphics(Graphics(Support(way, CELL), screen.take))
        app.grid.set_images(images(1, 2, 3, 4))
        await settled(pilot)
        yield app, pilot, screen


async def settled(pilot: Pilot[None]) -> None:
    """Wait until pictures have been encoded, and drawn after the last frame."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause(0.3)


@pytest.mark.parametrize("way", ["sixel", "iterm"])
async def test_pictures_are_drawn_over_blocks_and_nothing_is_sent_at_rest(way: Way) -> None:
    async with overlaid(way) as (app, pilot, screen):
        drawn = screen.fresh()
        assert len(drawn) == 4
        await settled(pilot)
        assert screen.fresh() == []
        strips = app.strips()
        assert all(has_blocks(app, [strips[y].crop(x, x + 1)]) for y, x in drawn)


async def test_pictures_are_drawn_again_only_when_their_cells_were_written() -> None:
    async with overlaid() as (app, pilot, screen):
        drawn = screen.fresh()
        app.grid.focus()
        await settled(pilot)
        screen.fresh()
        await pilot.press("right", "left")
        await settled(pilot)
        assert screen.fresh() == []
        app.grid.refresh()
        await settled(pilot)
        assert screen.fresh() == drawn
        app.query_one(ContentSwitcher).current = "second"
        await settled(pilot)
        assert screen.fresh() == []
        app.query_one(ContentSwitcher).current = "first"
        await settled(pilot)
        assert screen.fresh() == drawn


async def test_behind_a_dialog_blocks_stay() -> None:
    async with overlaid() as (app, pilot, screen):
        drawn = screen.fresh()
        app.push_screen(Dialog())
        await settled(pilot)
        app.screen_stack[0].refresh()
        await settled(pilot)
        assert screen.fresh() == []
        app.pop_screen()
        await settled(pilot)
        assert screen.fresh() == drawn


async def test_a_picture_that_is_cut_off_or_covered_keeps_its_blocks() -> None:
    async with overlaid() as (app, pilot, screen):
        drawn = screen.fresh()
        app.notify("a message over the lower right one", timeout=60)
        await settled(pilot)
        app.grid.refresh()
        await settled(pilot)
        assert drawn[-1] not in screen.fresh()
        app.clear_notifications()
        await settled(pilot)
        screen.fresh()
        app.grid.styles.offset = (0, -1)
        await settled(pilot)
        assert screen.fresh() == [(y - 1, x) for y, x in drawn if y > 0]


async def test_blocks_need_no_escape_sequences() -> None:
    app, sent = GridApp(), []
    async with app.run_test(size=(60, 20)) as pilot:
        app.use_graphics(Graphics(Support("blocks"), sent.append))
        app.grid.set_images(images(1, 2))
        await pilot.pause()
    assert sent == []
