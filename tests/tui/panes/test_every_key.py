"""Every key that the last line and the help offer does something, or says why not, in every pane."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_pilot import screen_text, studio, until, until_shown
from textual.binding import Binding
from textual.pilot import Pilot
from textual.screen import Screen

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.tui.app import Studio
from torchdeck.tui.keys.commands import COMMANDS, command_id
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.panes.data.pane import DataPane
from torchdeck.tui.panes.model.pane import ModelPane
from torchdeck.tui.panes.runs.pane import RunsPane
from torchdeck.tui.widgets.charts.chart import Chart
from torchdeck.tui.widgets.modules.module_tree import ModuleTree
from torchdeck.tui.widgets.rows import Rows

SMALL = ("training.epochs=1", "schedule.warmup_epochs=0", "loader.batch_size=128")
# They leave the studio or the pane, start work that takes long, or paint the same again.
_SKIPPED = {command_id("studio", name) for name in ("leave", "quit", "start", "redraw", "next_pane", "previous_pane")}
_SKIPPED |= {command_id("data", "measure"), command_id("data", "compare"), command_id("setup", "measure")}
# No text is selected.
_SKIPPED |= {command_id("selection", "copy")}
# At its end, a cursor stays where it is.
_SKIPPED |= {command_id("rows", name) for name in COMMANDS["rows"]}
_SKIPPED |= {command_id("chart", name) for name in ("right", "far_left", "far_right")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = launch(load_config("digits", list(SMALL)), tmp_path_factory.mktemp("every_key") / "runs")
    run.join(60)
    assert run.path is not None
    return run.path


def _bindings(screen: Screen[object]) -> dict[str, Binding]:
    """The commands that work where the focus is, each with one of its keys."""
    known = {
        command_id(part, name) for part, commands in COMMANDS.items() for name, each in commands.items() if each.keys
    }
    found: dict[str, Binding] = {}
    for active in screen.active_bindings.values():
        name = str(active.binding.id)
        # One step back is none where there is nothing to leave.
        is_back = active.binding.key == "escape"
        is_pane = active.binding.action.startswith("show(")
        if name in known - _SKIPPED and active.enabled and not is_back and not is_pane:
            found.setdefault(name, active.binding)
    return found


def _state(app: Studio) -> tuple[object, ...]:
    strips = app.screen._compositor.render_strips(app.size)
    cells = [(segment.text, segment.style) for strip in strips for segment in strip]
    return cells, app.draft, len(app.told), app.focused, app.clipboard


def _is_ready(app: Studio) -> bool:
    """Whether the pane shows what it has to read first."""
    pane = app.pane
    if isinstance(pane, DataPane):
        return pane.samples is not None
    if isinstance(pane, RunsPane):
        # Its side is laid out later than its tables.
        has_curves = any("━" in str(chart._border_title) for chart in pane.query(Chart))
        return bool(pane.query_one("#checkpoints", Rows).count and has_curves)
    return not isinstance(pane, ModelPane) or pane.query_one(ModuleTree).count > 1


async def _back(app: Studio, pilot: Pilot[None], pane: str) -> None:
    """Close what a key has opened, and show the pane again."""
    for _ in range(8):
        if len(app.screen_stack) == 1 and not app.query("FilterField, FieldEditor"):
            break
        await pilot.press("escape")
    assert len(app.screen_stack) == 1, screen_text(app)
    app.clear_notifications()
    app.screen.minimize()
    if app.pane.id != pane:
        await app.action_show(pane)
    await pilot.pause()


async def _press_all(app: Studio, pilot: Pilot[None], pane: str) -> list[str]:
    """Press every key of every panel of the pane; return those that did nothing and said nothing."""
    silent: list[str] = []
    pressed: set[str] = set()
    panels = [widget for widget in app.screen.focus_chain if app.pane in widget.ancestors]
    for panel in panels:
        if not panel.is_attached:
            continue
        app.screen.set_focus(panel)
        await pilot.pause()
        for name, binding in _bindings(app.screen).items():
            if name in pressed:
                continue
            pressed.add(name)
            if panel.is_attached and app.focused is not panel:
                app.screen.set_focus(panel)
                await pilot.pause()
            before = _state(app)
            await pilot.press(binding.key)
            # What the worker process answers comes later.
            for _ in range(40):
                if _state(app) != before:
                    break
                await pilot.pause(0.05)
            else:
                silent.append(f"{name} ({binding.key}) on {panel.id}")
            await _back(app, pilot, pane)
    return silent


@pytest.mark.parametrize("pane", ["data", "model", "setup", "train", "runs", "sweeps", "log"])
async def test_every_key_does_something_or_says_why_not(finished: Path, pane: str) -> None:
    async with studio(finished.parents[1], *SMALL, size=(120, 40)) as (app, pilot):
        app.post_message(WatchRequested(finished))
        await until(pilot, lambda: app.pane.id == "train")
        await until_shown(pilot, "finished")
        await app.action_show(pane)
        await until(pilot, lambda: str(app.pane.id) == pane)
        await until(pilot, lambda: _is_ready(app))
        await pilot.pause(0.5)
        silent = await _press_all(app, pilot, pane)
        assert not silent, "\n".join(silent)
