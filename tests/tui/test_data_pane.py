"""The data pane as a researcher sees it: real keys, real data, the real worker process."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from campaign import is_full_campaign
from PIL import Image
from studio_pilot import screen_text, studio, until, until_shown
from textual.widgets import Input, OptionList

from torchdeck.tui.app import Studio
from torchdeck.tui.panes.data import DataPane
from torchdeck.tui.panes.data_transforms import TransformsView
from torchdeck.tui.screens.pick import PickScreen
from torchdeck.tui.screens.sample import SampleScreen
from torchdeck.tui.widgets.image_grid import ImageGrid
from torchdeck.tui.widgets.pipeline_list import PipelineList

SMALL, LARGE = (80, 24), (200, 60)
PLAIN = ["data.train_transforms=[]", "data.eval_transforms=[]"]


def told(app: Studio) -> str:
    """The text of all notifications, without line breaks."""
    return "\n".join(notice.message for notice in app._notifications)


def write_folder(root: Path, classes: int = 2, count: int = 6) -> Path:
    """Images of noise in one folder per class."""
    generator = np.random.default_rng(0)
    for name in range(classes):
        (root / f"class {name}").mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"class {name}" / f"{number}.png")
    return root


async def test_a_part_of_a_name_finds_a_data_set_and_its_facts_are_told_before_it_is_opened(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        await pilot.press("f", *"cfr1")
        names = app.query_one("#names", OptionList)
        await until(pilot, lambda: names.option_count < 5)
        assert names.get_option_at_index(0).id == "CIFAR10"
        await until_shown(pilot, "50,000 training samples")
        await pilot.press("escape")
        assert names.option_count > 30
        assert app.focused is names


async def test_the_next_draw_changes_the_augmented_images_only_and_one_class_can_be_chosen(tmp_path: Path) -> None:
    async with studio(tmp_path, size=LARGE) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        grid = app.query_one("#images", ImageGrid)
        first = [image.pixels for image in grid.images]
        await pilot.press("n")
        await until_shown(pilot, "epoch 2")
        second = [image.pixels for image in grid.images]
        assert all(np.array_equal(one, other) for one, other in zip(first[::2], second[::2], strict=True))
        assert not all(np.array_equal(one, other) for one, other in zip(first[1::2], second[1::2], strict=True))
        await pilot.press("N")
        await until_shown(pilot, "epoch 1")
        assert all(np.array_equal(one, image.pixels) for one, image in zip(first, grid.images, strict=True))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("7", "enter")
        await until_shown(pilot, "original of 7 →")
        assert {image.caption for image in grid.images} == {"7", "→ 7"}


async def test_enter_on_a_sample_shows_it_after_every_step(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        await pilot.press("g", "right", "enter")
        await until(pilot, lambda: isinstance(app.screen, SampleScreen))
        await until_shown(pilot, "float32")
        text = screen_text(app)
        assert all(words in text for words in ("as stored", "RandomCrop", "Normalize", "uint8", "µs", "epoch 1"))
        await pilot.press("n")
        await until_shown(pilot, "epoch 2")
        await pilot.press("escape")
        await until_shown(pilot, "epoch 2")


async def test_a_transform_is_found_by_typing_and_what_is_missing_or_wrong_is_said_at_its_step(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        await until(pilot, lambda: bool(app.query_one(TransformsView)._kinds))
        await pilot.press("t", "a")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"rotat")
        await until_shown(pilot, "degrees")
        await pilot.press("enter")
        field = app.query_one("#train_transforms Input", Input)
        await until(pilot, lambda: app.focused is field)
        assert field.value == "RandomRotation(degrees=)"
        assert "(required)" in screen_text(app)
        await pilot.press(*"30", "enter")
        await until(pilot, lambda: len(app.draft.data.train_transforms) == 3)
        assert app.draft.data.train_transforms[1].arguments == {"degrees": 30}
        await until_shown(pilot, "degrees=30  batched")
        await pilot.press("up", "enter", "end", "backspace", *", sise=3)", "enter")
        await until_shown(pilot, "'sise'; did you mean 'size'?")
        await pilot.press("d")
        await until_shown(pilot, "degrees=30  batched")


async def test_train_to_eval_leaves_out_what_is_random_and_measured_statistics_go_into_both_pipelines(
    tmp_path: Path,
) -> None:
    async with studio(
        tmp_path, 'data.train_transforms=[{name="RandomRotation", degrees=5}, {name="Pad", padding=1}]', size=SMALL
    ) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        await pilot.press("e")
        await until(pilot, lambda: [step.name for step in app.draft.data.eval_transforms] == ["Pad"])
        await until(pilot, lambda: "dropped (random): RandomRotation" in told(app))
        await pilot.press("w")
        await until(pilot, lambda: len(app.draft.data.eval_transforms) == 2)
        for steps in (app.draft.data.train_transforms, app.draft.data.eval_transforms):
            assert steps[-1].name == "Normalize"
            assert steps[-1].arguments == {"mean": [0.3052], "std": [0.3759]}
        await until(pilot, lambda: "mean and std of every training sample" in told(app))


async def test_the_batch_of_a_step_is_shown_as_the_run_makes_it(tmp_path: Path) -> None:
    async with studio(tmp_path, "loader.batch_size=100", "training.epochs=2", size=SMALL) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        await pilot.press("b")
        await until_shown(pilot, "step 1: epoch 1, batch 1 of 100 samples")
        await pilot.press("end", "backspace", *"17", "enter")
        await until_shown(pilot, "step 17: epoch 2, batch 2 of 100 samples")
        grid = app.query_one("#batch_images", ImageGrid)
        assert len(grid.images) == 64
        await pilot.press("end", "backspace", "backspace", *"99", "enter")
        await until_shown(pilot, "the run has steps 1 to 30")


async def test_copies_between_the_splits_are_found_and_shown(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_folder(root / "train")
    write_folder(root / "val")
    (root / "train" / "class 0" / "own.png").write_bytes((root / "train" / "class 1" / "0.png").read_bytes())
    overrides = [f"data.dataset={root}", "data.validation=test", *PLAIN]
    async with studio(tmp_path, *overrides, size=SMALL) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        await pilot.press("u")
        # Both folders are made of the same noise.
        await until_shown(pilot, "12 of 12 validation samples")
        assert "different labels" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "! train class 0/own.png is class 0, train class 1/0.png is class 1" in told(app))


async def test_files_that_cant_be_read_are_listed_and_the_pane_goes_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data")
    for number in range(4):
        (root / "class 0" / f"{number}.png").write_text("torn \x1b[31m")
    async with studio(tmp_path, f"data.dataset={root}", *PLAIN, size=LARGE) as (app, pilot):
        await until_shown(pilot, "checked can't be read:")
        await until_shown(pilot, "epoch 1")
        assert "0.png: " in screen_text(app)
        assert len(app.query_one("#images", ImageGrid).images) > 4


async def test_an_empty_folder_is_one_clear_message_and_another_data_set_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with studio(tmp_path, f"data.dataset={tmp_path / 'data'}", size=SMALL) as (app, pilot):
        await until_shown(pilot, "contains no folders")
        await pilot.press("f", *"digits", "enter")
        await until_shown(pilot, "1,438 training samples")
        shutil.rmtree(tmp_path / "data")
        assert app.query_one("#parts").is_on_screen


def fill_with_empty_files(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"e{number}.png").touch()


@pytest.mark.campaign
async def test_a_folder_of_many_files_is_counted_beside_the_screen_and_can_be_stopped(tmp_path: Path) -> None:
    count = 100_000 if is_full_campaign() else 12_000
    root = write_folder(tmp_path / "data", count=2)
    fill_with_empty_files(root / "class 0", count)
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        pane = app.query_one(DataPane)
        await until_shown(pilot, "epoch 1")
        # Images with color decide soon; images without headers are all read.
        for file in root.glob("*/[0-9].png"):
            file.write_bytes(b"")
        await pilot.press("f", *str(root), "enter")
        await until_shown(pilot, "Esc to stop")
        # It can't be done before the keys are pressed, however fast it is.
        beside = app.worker.pid
        assert beside is not None
        os.kill(beside, signal.SIGSTOP)
        # Another pane answers meanwhile.
        await pilot.press("6")
        assert app.query_one("#log").is_on_screen
        await pilot.press("1", "escape")
        await until_shown(pilot, "not open; press Enter to open it")
        assert not pane.has_class("-working")
        if app.worker.pid == beside:
            os.kill(beside, signal.SIGCONT)
        await pilot.press("enter")
        await until_shown(pilot, "Esc to stop")


async def test_the_views_are_chosen_with_the_mouse(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        await until_shown(pilot, "epoch 1")
        await pilot.click("#views", offset=(15, 0))
        await until(pilot, lambda: isinstance(app.focused, OptionList))
        assert isinstance(app.focused.parent, PipelineList)
        await pilot.click("#views", offset=(3, 0))
        await pilot.click("#images", offset=(30, 2))
        await until(pilot, lambda: isinstance(app.screen, SampleScreen))
