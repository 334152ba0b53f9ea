"""GPUs to train on are chosen in Setup from a list that says what occupies each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from studio_pilot import go_to_field, screen_text, studio, told, until, until_shown

from torchdeck.engine.detached.gpus import GpuState
from torchdeck.tui.panes.setup import keys
from torchdeck.tui.widgets.config_form import ConfigForm
from torchdeck.tui.words.setup.gpu_text import share_line

GB = 1 << 30


class FourGpus:
    """A machine with four GPUs: on the third this process computes, on the fourth one that can't be seen."""

    def look(self) -> list[GpuState]:
        idle = [GpuState(number, f"GPU-{number}", 79 * GB, 80 * GB, (), "NVIDIA A100-SXM4-80GB") for number in (0, 1)]
        used = GpuState(2, "GPU-2", 18 * GB, 80 * GB, (os.getpid(),), "NVIDIA A100-SXM4-80GB", (61 * GB,))
        return [*idle, used, GpuState(3, "GPU-3", 40 * GB, 80 * GB, (), "NVIDIA A100-SXM4-80GB")]


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "NvmlGpus", FourGpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_gpus_are_switched_on_in_a_list_that_says_what_occupies_each(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with studio(tmp_path, "training.device=cpu", "parallel.processes=2", size=size) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "parallel.devices")
        await pilot.press("enter")
        await until_shown(pilot, "GPUs to train on")
        text = screen_text(app)
        assert text.count("✓ idle") == 2 and text.count("▲") >= 2
        assert "A100-SXM4-80GB" in text and "19.3 GB free" in text
        assert "none chosen" in text
        await pilot.press("asterisk")
        await until_shown(pilot, "4 processes · batch 64 in all, 16 each")
        await pilot.press("space")
        await until_shown(pilot, "can't be divided into 3 equal parts; nearest: 63 or 66")
        await pilot.press("down", "down", "space", "enter")
        await until(pilot, lambda: app.draft.parallel.devices == [1, 3])
        assert (app.draft.parallel.processes, app.draft.training.device) == (1, "auto")
        await pilot.press("u")
        await until(pilot, lambda: app.draft.parallel.devices == [])
        assert (app.draft.parallel.processes, app.draft.training.device) == (2, "cpu")


@pytest.mark.usefixtures("four_gpus")
async def test_escape_leaves_the_gpus_as_they_were(tmp_path: Path) -> None:
    async with studio(tmp_path, "parallel.devices=[1]") as (app, pilot):
        before = app.draft
        await pilot.press("3")
        await go_to_field(pilot, "parallel.devices")
        await pilot.press("enter")
        await until_shown(pilot, "one process, batch 64")
        await pilot.press("space", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.draft is before


async def test_where_gpus_can_not_be_looked_at_it_is_said_and_their_numbers_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "parallel.devices")
        await pilot.press("enter")
        await until(pilot, lambda: "type their numbers" in told(app))
        form = app.query_one("SetupPane ConfigForm", ConfigForm)
        await until(pilot, lambda: form.editor is not None)
        await pilot.press("ctrl+u", *"[0,2]", "enter")
        await until(pilot, lambda: app.draft.parallel.devices == [0, 2])


def test_a_batch_that_divides_and_one_that_does_not() -> None:
    assert "2 processes · batch 128 in all, 64 each" in share_line(2, 128)
    assert "nearest: 3" in share_line(3, 2)
