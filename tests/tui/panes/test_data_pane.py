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
from studio_pilot import paste, screen_text, studio, told, until, until_shown
from textual.widgets import Input, OptionList

from torchdeck.engine.machine.python_process import python_command
from torchdeck.tui.app import Studio
from torchdeck.tui.panes.data.catalog import DataCatalog
from torchdeck.tui.panes.data.pane import DataPane
from torchdeck.tui.panes.data.transforms import TransformsView
from torchdeck.tui.process import worker_process
from torchdeck.tui.screens.ask import ConfirmScreen
from torchdeck.tui.screens.pick import PickScreen
from torchdeck.tui.screens.sample import SampleScreen
from torchdeck.tui.screens.transform import TransformScreen
from torchdeck.tui.widgets.image_grid import ImageGrid

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 60)
PLAIN = ["data.train_transforms=[]", "data.eval_transforms=[]"]
OPEN = "draw of epoch 1"


def write_folder(root: Path, classes: int = 2, count: int = 6) -> Path:
    """Images of noise in one folder per class."""
    generator = np.random.default_rng(0)
    for name in range(classes):
        (root / f"class {name}").mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"class {name}" / f"{number}.png")
    return root


async def test_data_sets_that_are_here_come_first_and_a_part_of_a_name_or_title_finds_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "cifar-10-batches-py").mkdir(parents=True)
    async with studio(tmp_path, f"data.root={root}", size=LARGE) as (app, pilot):
        catalog = app.query_one(DataCatalog)
        await until_shown(pilot, OPEN)
        await until(pilot, lambda: catalog.is_here("CIFAR10"))
        await until_shown(pilot, "● CIFAR10")
        text = screen_text(app)
        assert text.index("Here") < text.index("● CIFAR10") < text.index("To download") < text.index("○ MNIST")
        assert text.index("○ MNIST") < text.index("By hand") < text.index("○ ImageNet")
        await pilot.press("slash", *"cfr1")
        await until(pilot, lambda: catalog.count < 5)
        assert catalog.name_under_cursor == "CIFAR10"
        await until_shown(pilot, "50,000 train")
        await pilot.press("enter")
        assert app.focused is catalog and catalog.is_filtered
        await pilot.press("slash", *["backspace"] * 4, *"dishes")
        await until(pilot, lambda: catalog.name_under_cursor == "Food101")
        await until_shown(pilot, "⏎ downloads it · 5.0 GB")
        await pilot.press(*["backspace"] * 6, *"usps")
        await until_shown(pilot, "⏎ downloads it · size unknown")
        await pilot.press("enter", "escape")
        await until(pilot, lambda: catalog.count > 30)
        assert catalog.name_under_cursor == "digits"


async def test_a_data_set_that_is_not_here_is_downloaded_only_after_a_question_with_its_size(tmp_path: Path) -> None:
    async with studio(tmp_path, f"data.root={tmp_path}", size=SMALL) as (app, pilot):
        catalog = app.query_one(DataCatalog)
        await until(pilot, lambda: catalog._here is not None)
        await pilot.press("slash", *"cifar100", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert all(words in screen_text(app) for words in ("Download CIFAR100?", "about 169 MB", "datasets"))
        await pilot.press("escape")
        await pilot.pause()
        assert app.draft.data.dataset == "digits"


async def test_the_next_draw_changes_the_augmented_images_only_and_one_class_can_be_chosen(tmp_path: Path) -> None:
    async with studio(tmp_path, size=LARGE) as (app, pilot):
        await until_shown(pilot, OPEN)
        grid = app.query_one("#images", ImageGrid)
        first = [image.pixels for image in grid.images]
        await pilot.press("n")
        await until_shown(pilot, "draw of epoch 2")
        second = [image.pixels for image in grid.images]
        assert all(np.array_equal(one, other) for one, other in zip(first[::2], second[::2], strict=True))
        assert not all(np.array_equal(one, other) for one, other in zip(first[1::2], second[1::2], strict=True))
        await pilot.press("N")
        await until_shown(pilot, OPEN)
        assert all(np.array_equal(one, image.pixels) for one, image in zip(first, grid.images, strict=True))
        grid.focus()
        await pilot.press("pagedown")
        await until(pilot, lambda: not np.array_equal(grid.images[0].pixels, first[0]))
        await pilot.press("pageup")
        await until(pilot, lambda: np.array_equal(grid.images[0].pixels, first[0]))
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("7", "enter")
        await until_shown(pilot, "class 7 · draw of epoch 1")
        assert {image.caption for image in grid.images} == {"7", "→ as trained on"}


async def test_enter_on_a_sample_shows_it_after_every_step(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        await until(pilot, lambda: bool(app.query_one("#images", ImageGrid).images))
        await pilot.press("tab", "right", "enter")
        await until(pilot, lambda: isinstance(app.screen, SampleScreen))
        await until_shown(pilot, "float32")
        text = screen_text(app)
        assert all(
            words in text for words in ("as stored", "RandomCrop", "Normalize", "uint8", "µs", "draw of epoch 1")
        )
        await pilot.press("n")
        await until_shown(pilot, "draw of epoch 2")
        await pilot.press("escape")
        assert app.query_one(DataPane).drawn == 1


async def test_a_transform_is_chosen_by_its_sentence_and_typed_into_fields_and_undone(tmp_path: Path) -> None:
    async with studio(tmp_path, size=MIDDLE) as (app, pilot):
        await until_shown(pilot, OPEN)
        app.query_one(TransformsView).focus()
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"randomrotat")
        await until_shown(pilot, "Rotate the input by angle")
        assert "needs degrees" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TransformScreen))
        await pilot.press("enter")
        await until_shown(pilot, "✗ degrees needs a value, e.g. degrees=15")
        await pilot.press(*"30", "enter")
        await until(pilot, lambda: len(app.draft.data.train_transforms) == 3)
        assert app.draft.data.train_transforms[1].arguments == {"degrees": 30}
        await until_shown(pilot, "2  RandomRotation degrees 30")
        await until(pilot, lambda: "≡" in line_with(app, "RandomRotation"))
        await pilot.press("u")
        await until(pilot, lambda: len(app.draft.data.train_transforms) == 2)
        await until(pilot, lambda: "RandomRotation" not in screen_text(app))


def line_with(app: Studio, text: str) -> str:
    """The first line of the screen with a text; empty without one."""
    return next((line for line in screen_text(app).splitlines() if text in line), "")


async def test_what_is_wrong_with_a_transform_of_a_config_is_said_below_it(tmp_path: Path) -> None:
    wrong = 'data.train_transforms=[{name="RandomCrop", sise=3}]'
    async with studio(tmp_path, wrong, size=MIDDLE) as (app, pilot):
        await until_shown(pilot, "did you mean 'size'?")
        app.query_one(TransformsView).focus()
        await pilot.press("d")
        await until(pilot, lambda: not app.draft.data.train_transforms)
        await until_shown(pilot, "a adds one")


async def test_train_to_eval_leaves_out_what_is_random_and_measured_statistics_go_into_both_pipelines(
    tmp_path: Path,
) -> None:
    async with studio(
        tmp_path, 'data.train_transforms=[{name="RandomRotation", degrees=5}, {name="Pad", padding=1}]', size=MIDDLE
    ) as (app, pilot):
        await until_shown(pilot, OPEN)
        app.query_one(TransformsView).focus()
        await pilot.press("w")
        await until(pilot, lambda: [step.name for step in app.draft.data.eval_transforms] == ["Pad"])
        await until(pilot, lambda: "dropped (random): RandomRotation" in told(app))
        app.query_one("#numbers").focus()
        await pilot.press("w")
        await until(pilot, lambda: len(app.draft.data.eval_transforms) == 2)
        for steps in (app.draft.data.train_transforms, app.draft.data.eval_transforms):
            assert steps[-1].name == "Normalize"
            assert steps[-1].arguments == {"mean": [0.3052], "std": [0.3759]}
        await until(pilot, lambda: "mean and std of every training sample" in told(app))


async def test_measuring_says_how_long_an_epoch_is_read(tmp_path: Path) -> None:
    async with studio(tmp_path, size=MIDDLE) as (app, pilot):
        await until_shown(pilot, OPEN)
        await until_shown(pilot, "m measures")
        await pilot.press("m")
        await until(pilot, lambda: app.query_one(DataPane).seconds is not None)
        await until_shown(pilot, f"an epoch is read in {app.query_one(DataPane).seconds:.2f} s")


async def test_the_batch_of_a_step_is_shown_as_the_run_makes_it(tmp_path: Path) -> None:
    async with studio(tmp_path, "loader.batch_size=100", "training.epochs=2", size=MIDDLE) as (app, pilot):
        await until_shown(pilot, OPEN)
        await pilot.press("V")
        await until_shown(pilot, "step 1: epoch 1, batch 1 of 100 samples")
        grid = app.query_one("#batch_images", ImageGrid)
        await pilot.press("n")
        await until_shown(pilot, "step 2: epoch 1, batch 2 of 100 samples")
        grid.focus()
        for typed, answer in (("17", "step 17: epoch 2, batch 2 of 100 samples"), ("99", "the run has steps 1 to 30")):
            await pilot.press("e")
            await until(pilot, lambda: isinstance(app.focused, Input))
            await pilot.press("end", "backspace", "backspace", *typed, "enter")
            await until_shown(pilot, answer)
            assert len(grid.images) == (64 if typed == "17" else 0)


async def test_copies_between_the_splits_are_found_and_shown(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_folder(root / "train")
    write_folder(root / "val")
    (root / "train" / "class 0" / "own.png").write_bytes((root / "train" / "class 1" / "0.png").read_bytes())
    overrides = [f"data.dataset={root}", "data.validation=test", *PLAIN]
    async with studio(tmp_path, *overrides, size=LARGE) as (app, pilot):
        await until_shown(pilot, OPEN)
        await pilot.press("v")
        await until_shown(pilot, "the splits are not compared yet")
        await pilot.press("c")
        # Both folders are made of the same noise.
        await until_shown(pilot, "12 of 12 validation samples")
        assert "different labels" in screen_text(app)
        assert "▲ 12 copies across splits" in screen_text(app)
        app.query_one("#copied", ImageGrid).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "! train class 0/own.png is class 0, train class 1/0.png is class 1" in told(app))
        await pilot.press("c")
        await until_shown(pilot, "compared by decoded pixels")


async def test_files_that_cant_be_read_are_listed_and_the_pane_goes_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data")
    for number in range(4):
        (root / "class 0" / f"{number}.png").write_text("torn \x1b[31m")
    async with studio(tmp_path, f"data.dataset={root}", *PLAIN, size=LARGE) as (app, pilot):
        await until_shown(pilot, "checked can't be read:")
        await until_shown(pilot, OPEN)
        assert "0.png: " in screen_text(app)
        assert "▲ " in line_with(app, "can't be read")
        assert len(app.query_one("#images", ImageGrid).images) > 4


async def test_classes_that_are_not_balanced_are_bars_and_enter_shows_samples_of_one(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", count=10)
    for number in range(8):
        (root / "class 1" / f"{number}.png").unlink()
    async with studio(tmp_path, f"data.dataset={root}", "data.validation=0.2", *PLAIN, size=LARGE) as (app, pilot):
        await until_shown(pilot, "▲ classes")
        await until(pilot, lambda: any("class 1" in line and "━━" in line for line in screen_text(app).splitlines()))
        app.query_one("#numbers").focus()
        await pilot.press("end", "enter")
        await until_shown(pilot, "class class 1 · draw of epoch 1")


async def test_an_empty_folder_is_one_clear_message_and_another_data_set_can_be_opened_by_path(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    other = write_folder(tmp_path / "other")
    async with studio(tmp_path, f"data.dataset={tmp_path / 'data'}", size=SMALL) as (app, pilot):
        await until_shown(pilot, "tries again")
        # Where the lines are broken depends on the length of the path.
        assert all(word in screen_text(app) for word in ("contains", "folders;", "class,", "data/<class>/*.jpg"))
        assert "o  opens a folder" in screen_text(app)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await paste(pilot, str(other))
        await pilot.press("enter")
        await until_shown(pilot, "10 train")
        shutil.rmtree(tmp_path / "data")
        assert app.query_one("#samples").is_on_screen
        assert "● other" in screen_text(app)


def fill_with_empty_files(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"e{number}.png").touch()


@pytest.mark.campaign
async def test_a_folder_of_many_files_is_counted_beside_the_screen_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The process itself is stopped here, not one that stands for it.
    monkeypatch.setattr(worker_process, "python_command", python_command)
    count = 100_000 if is_full_campaign() else 12_000
    root = write_folder(tmp_path / "data", count=2)
    fill_with_empty_files(root / "class 0", count)
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        await until(pilot, lambda: app.query_one(DataPane).found is not None)
        # Images with color decide soon; images without headers are all read.
        for file in root.glob("*/[0-9].png"):
            file.write_bytes(b"")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await paste(pilot, str(root))
        # It can't be done before the keys are pressed, however fast it is.
        await until(pilot, lambda: not app.worker._turn.locked())

        def waits() -> bool:
            # A process that doesn't answer a call which the keys abandoned is replaced.
            if (beside := app.worker.pid) is not None:
                os.kill(beside, signal.SIGSTOP)
            return "Esc stops it" in screen_text(app)

        waits()
        await pilot.press("enter")
        await until(pilot, waits)
        # Another pane answers meanwhile.
        await pilot.press("2")
        assert app.query_one("#model").is_on_screen
        await pilot.press("1", "escape")
        await until_shown(pilot, "⏎ opens it")
        if (beside := app.worker.pid) is not None:
            os.kill(beside, signal.SIGCONT)
        await pilot.press("enter")
        await until(pilot, lambda: "⏎ opens it" not in screen_text(app))


async def test_v_shows_one_view_after_the_other_where_there_is_no_room_for_all(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        panels = ["#samples", "#transforms", "#numbers", "#copies", "#batch"]
        for panel in [*panels[1:], panels[0]]:
            await pilot.press("v")
            await pilot.pause()
            assert [each for each in panels if app.query_one(each).is_on_screen] == [panel]
        await pilot.resize_terminal(*LARGE)
        await pilot.pause()
        for panel in ("#copies", "#batch", "#samples"):
            await pilot.press("v")
            await pilot.pause()
            shown = {each for each in panels if app.query_one(each).is_on_screen}
            assert shown == {panel, "#transforms", "#numbers"}


async def test_the_mouse_chooses_a_data_set_and_enlarges_a_sample(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        await until(pilot, lambda: bool(app.query_one("#images", ImageGrid).images))
        await pilot.click("#images", offset=(8, 2), times=2)
        await until(pilot, lambda: isinstance(app.screen, SampleScreen))
        await pilot.press("escape")
        await pilot.click("#catalog", offset=(6, 4), times=2)
        await until(pilot, lambda: app.draft.data.dataset != "digits")


async def test_a_list_of_names_is_no_text_field_so_that_letters_stay_keys(tmp_path: Path) -> None:
    async with studio(tmp_path, size=SMALL) as (app, pilot):
        assert isinstance(app.focused, DataCatalog)
        assert not app.query("DataPane Input") and not app.query("DataPane OptionList")
        await pilot.press("S")
        await until_shown(pilot, "Start the run digits?")
        assert not isinstance(app.focused, OptionList)
