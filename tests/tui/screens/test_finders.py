"""The finders as a user sees them: commands of the palette, and a verb that a signal ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from studio_pilot import choose_in_palette, screen_text, studio, until, until_shown
from warm_python import warm_python

from torchdeck.tui.panes.setup.pane import SetupPane
from torchdeck.tui.screens.lr_find import LearningRateScreen

ROOT = Path(__file__).parents[3]


async def test_the_palette_finds_the_search_for_a_rate_which_draws_the_curve_and_w_takes_the_rate(
    tmp_path: Path,
) -> None:
    async with studio(tmp_path, "model.name=mlp", size=(120, 40)) as (app, pilot):
        await pilot.press("4")
        await choose_in_palette(pilot, "Find a learning rate")
        await until_shown(pilot, "suggested ")
        assert "log₁₀ of the learning rate" in screen_text(app)
        assert "w  Write it into the draft" in screen_text(app)
        before = app.draft.optimizer.lr
        await pilot.press("w")
        await until(pilot, lambda: app.draft.optimizer.lr != before)
        assert app.draft_error == ""
        assert not (tmp_path / "runs").exists()
        # A canceled test ends and changes nothing.
        taken = app.draft.optimizer.lr
        await choose_in_palette(pilot, "Find a learning rate")
        await until(pilot, lambda: isinstance(app.screen, LearningRateScreen))
        await pilot.press("w")
        assert app.told[-1].text == "there is no suggested rate"
        await pilot.press("escape")
        await until(pilot, lambda: app.query_one(SetupPane).form.has_focus)
        assert app.draft.optimizer.lr == taken


def test_the_verb_prints_one_document_and_a_signal_ends_it_at_once(tmp_path: Path) -> None:
    command = ["-m", "torchdeck", "lr-find", "digits", "--set", "model.name=mlp", "--json", "--steps"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    twenty = [*warm_python(), *command, "20"]
    result = subprocess.run(twenty, capture_output=True, text=True, cwd=tmp_path, env=environment)
    found = json.loads(result.stdout)
    assert set(found) == {"learning_rates", "losses", "suggested", "diverged"}
    assert 10 <= len(found["learning_rates"]) <= 20
    without_end = [sys.executable, *command, "1000000", "--to", "1e-6"]
    process = subprocess.Popen(without_end, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
    while process.poll() is None and not _is_training(process.pid):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (143, "torchdeck: ended by SIGTERM; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def _is_training(pid: int) -> bool:
    """Whether torch's library is loaded, which happens after the handlers are set."""
    return "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text()


async def test_the_palette_tries_batches_and_enter_takes_the_largest_that_fits(tmp_path: Path) -> None:
    async with studio(tmp_path, "model.name=mlp", size=(80, 24)) as (app, pilot):
        await pilot.press("4")
        await choose_in_palette(pilot, "Find the largest batch")
        await until_shown(pilot, "the whole training split")
        assert "1,438" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.draft.loader.batch_size == 1438)
        assert app.draft_error == ""
        assert not (tmp_path / "runs").exists()
