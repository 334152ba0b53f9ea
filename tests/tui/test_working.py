"""A result that arrives after its pane or screen has closed is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio_pilot import studio, until
from textual.app import App, ComposeResult
from textual.widget import Widget

from torchdeck.engine.config.file import load_config
from torchdeck.engine.data.exploration.look import look
from torchdeck.engine.errors import DataError
from torchdeck.engine.preflight.plan import plan_run
from torchdeck.tui.panes.data.pane import DataPane
from torchdeck.tui.process.worker_process import WorkerProcess
from torchdeck.tui.screens.plan import PlanScreen


class LateAside(WorkerProcess):
    """Answers when it is told to."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.is_time = asyncio.Event()
        self.is_asked = False
        self._answer = answer

    async def call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        return await self._late(function)

    async def follow(
        self, function: str, *arguments: Any, on_progress: Callable[[str, int, int], None], **keywords: Any
    ) -> Any:
        await self._late(function)
        on_progress("opening", 1, 2)
        return self._answer

    async def _late(self, function: str) -> Any:
        self.is_asked = True
        await self.is_time.wait()
        if function.endswith("list_transforms"):
            return []
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class LastToGo(Widget):
    """Is removed after all its siblings, and lets the answer arrive just then."""

    def __init__(self, worker: LateAside) -> None:
        super().__init__()
        self._worker = worker

    async def on_unmount(self) -> None:
        assert isinstance(self.parent, Widget)
        while len(self.parent.children) > 1:
            await asyncio.sleep(0)
        self._worker.is_time.set()
        for _ in range(10):
            await asyncio.sleep(0)


class PaneAlone(App[None]):
    def __init__(self, worker: LateAside) -> None:
        super().__init__()
        self._worker = worker

    def compose(self) -> ComposeResult:
        pane = DataPane(self._worker, id="data")
        pane.set_reactive(DataPane.draft, load_config("digits"))
        yield pane


async def answer_when_the_pane_goes(worker: LateAside) -> None:
    app = PaneAlone(worker)
    async with app.run_test() as pilot:
        pane = app.query_one(DataPane)
        await pane.mount(LastToGo(worker))
        await until(pilot, lambda: pane.is_mounted and worker.is_asked)
        await pilot.pause()
        await pane.remove()
        assert worker.is_time.is_set()
        # This would raise an error of the worker.
        await pilot.pause()


async def test_an_answer_and_progress_that_come_while_the_pane_is_taken_down_are_dropped() -> None:
    await answer_when_the_pane_goes(LateAside(look(load_config("digits"), is_fresh=False, progress=lambda *_: None)))


async def test_an_error_that_comes_while_the_pane_is_taken_down_is_dropped() -> None:
    await answer_when_the_pane_goes(LateAside(DataError("there is nothing")))


async def test_an_answer_that_comes_while_its_screen_is_dismissed_is_dropped(tmp_path: Path) -> None:
    worker = LateAside(plan_run(load_config("digits")))
    async with studio(tmp_path) as (app, pilot):
        screen = PlanScreen(load_config("digits"), worker)
        await app.push_screen(screen)
        await screen.mount(LastToGo(worker))
        await until(pilot, lambda: worker.is_asked)
        await pilot.press("escape")
        await until(pilot, lambda: not screen.is_attached)
        assert worker.is_time.is_set()
