"""What each pane looks like, with real digits and with a run of fixed records and a frozen clock.

Accept a wanted change with `pytest --snapshot-update`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from studio_pilot import screen_text, until
from textual.pilot import Pilot
from written_runs import NOW, run_with_checkpoints

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.preflight.memory_estimate import MemoryEstimate
from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.app import Studio
from torchdeck.tui.panes.model.memory import MemoryPanel
from torchdeck.tui.panes.setup.plan import PlanPanel
from torchdeck.tui.stage import Told

SIZES = [(80, 24), (200, 60)]


@pytest.fixture
def runs_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a fixed name, since the panes show it."""
    monkeypatch.chdir(tmp_path)
    return Path("runs")


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOW)


def shown(pane: str, *texts: str) -> Callable[[Pilot[None]], object]:
    """Go to a pane; wait until these words are on the screen and no "…" marks current work."""

    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press(pane)
        await until(pilot, lambda: all(text in screen_text(pilot.app) for text in texts))
        await pilot.pause()

    return prepare


def studio_on(root: Path, *overrides: str) -> Studio:
    app = Studio(load_config("digits", overrides), root, spec="digits")
    # The status at the end of the tab line depends on a timer, so it might or might not be there.
    app._look_after_run = lambda: None  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize("size", SIZES)
def test_data(snap_compare, runs_root, size, monkeypatch) -> None:
    # The amount of memory differs between machines.
    monkeypatch.setattr("torchdeck.tui.panes.data.numbers.data_words.storage", lambda *_: ["236 kB in memory"])
    # So does the time of a transform.
    monkeypatch.setattr("torchdeck.tui.panes.data.transforms.TransformsView.show_costs", lambda *_: None)
    assert snap_compare(
        studio_on(runs_root), terminal_size=size, run_before=shown("1", "1,438 train", "✓ balanced", "→ as trained")
    )


@pytest.mark.parametrize("size", SIZES)
def test_model(snap_compare, runs_root, size, monkeypatch) -> None:
    # The memory that there is differs between machines, and its estimate takes its time.
    monkeypatch.setattr(MemoryPanel, "_say", lambda self, *_, **__: self.show(lambda *_: ["8.4 MB of 24 GB"]))
    assert snap_compare(studio_on(runs_root), terminal_size=size, run_before=shown("2", "features"))


@pytest.fixture
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Free memory and free disk of the plan, which differ from hour to hour."""
    asked = PlanPanel._asked

    async def asked_of_known(panel: PlanPanel, function: str, draft: RunConfig, doing: str) -> tuple[object, str]:
        found, why = await asked(panel, function, draft, doing)
        return (replace(found, free=16 * 10**9) if isinstance(found, MemoryEstimate) else found), why

    monkeypatch.setattr(PlanPanel, "_asked", asked_of_known)
    monkeypatch.setattr("torchdeck.tui.panes.setup.plan.free_disk", lambda folder: 100 * 10**9)


@pytest.mark.parametrize(
    ("size", "views", "words"),
    [((80, 24), "3", ["batch_size"]), ((80, 24), "3v", ["saves"]), ((200, 60), "3", ["saves", "amsgrad"])],
)
def test_setup(snap_compare, runs_root, known_machine, size, views, words) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press(*views)
        await until(pilot, lambda: all(word in screen_text(pilot.app) for word in words))
        await pilot.pause()

    app = studio_on(runs_root, "training.device=cpu", "training.epochs=7")
    assert snap_compare(app, terminal_size=size, run_before=prepare)


def test_setup_with_an_error(snap_compare, runs_root) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press("3", *["down"] * 8)
        words = "no GPU that torch can use"
        await until(pilot, lambda: words in " ".join(screen_text(pilot.app).split()))
        await pilot.pause()

    app = studio_on(runs_root, "training.device=cuda:7")
    assert snap_compare(app, terminal_size=(80, 24), run_before=prepare)


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize("size", SIZES)
def test_runs(snap_compare, runs_root, size) -> None:
    run_with_checkpoints(runs_root, "first", 4, "finished")
    died = run_with_checkpoints(runs_root, "second", 2, "stopped")
    state = died / "state.json"
    state.write_text(state.read_text().replace('"stopped"', '"running"'))
    assert RunReader(died).status() == "died"
    assert snap_compare(
        studio_on(runs_root),
        terminal_size=size,
        run_before=shown("5", "1 of 2", "★ best", "Validation accuracy")
        if size[0] > 80
        else shown("5", "✗ died", "★ best"),
    )


def test_no_runs(snap_compare, runs_root) -> None:
    assert snap_compare(studio_on(runs_root), terminal_size=(80, 24), run_before=shown("5", "No runs in"))


@pytest.mark.parametrize("pane", ["1", "2", "4"])
def test_the_keys_of_a_pane(snap_compare, runs_root, pane) -> None:
    words = {"1": "Data sets", "2": "features", "4": "Start"}[pane]

    async def prepare(pilot: Pilot[None]) -> None:
        await shown(pane, words)(pilot)
        await pilot.press("question_mark")
        await pilot.pause()

    assert snap_compare(studio_on(runs_root), terminal_size=(80, 24), run_before=prepare)


def some_messages(app: Studio) -> None:
    app.told = [
        Told(NOW - 60, "information", "Copied", "runs/first"),
        Told(NOW - 30, "warning", "Run stalled", "first: no step for five minutes"),
        Told(NOW - 5, "error", "Run failed", "second: ValueError: 3 classes, 4 outputs"),
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("frozen_clock")
def test_log(snap_compare, runs_root, size) -> None:
    app = studio_on(runs_root)
    some_messages(app)
    assert snap_compare(app, terminal_size=size, run_before=shown("7", "4 outputs"))


OTHER_COLORS = [("torchdeck-light", (120, 40)), ("ansi-dark", (80, 24))]
WORDS = {
    "1": ["1,438 train", "✓ balanced", "→ as trained"],
    "2": ["features"],
    "3": ["batch_size", "saves"],
    "5": ["★ best"],
    "7": ["4 outputs"],
}


@pytest.mark.parametrize(("theme", "size"), OTHER_COLORS, ids=["light", "16 colors"])
@pytest.mark.parametrize("pane", WORDS)
@pytest.mark.usefixtures("frozen_clock", "known_machine")
def test_a_pane_in_other_colors(snap_compare, runs_root, monkeypatch, pane, theme, size) -> None:
    monkeypatch.setattr("torchdeck.tui.panes.data.numbers.data_words.storage", lambda *_: ["236 kB in memory"])
    monkeypatch.setattr("torchdeck.tui.panes.data.transforms.TransformsView.show_costs", lambda *_: None)
    monkeypatch.setattr(MemoryPanel, "_say", lambda self, *_, **__: self.show(lambda *_: ["8.4 MB of 24 GB"]))
    if pane == "5":
        run_with_checkpoints(runs_root, "first", 2, "finished")
    app = studio_on(runs_root, "training.device=cpu")
    app.theme = theme
    some_messages(app)
    prepare = shown(pane, *[word for word in WORDS[pane] if word != "saves" or size[0] > 80])
    assert snap_compare(app, terminal_size=size, run_before=prepare)
