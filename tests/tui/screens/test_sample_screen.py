"""A sample's way through its transforms, over the data pane."""

from typing import Any

import numpy as np
from textual.app import App
from textual.containers import Vertical

from torchdeck.engine.config import RunConfig
from torchdeck.engine.data.exploration.findings import SampleTrace, TraceStep
from torchdeck.tui.screens.sample import SampleScreen


class FixedAside:
    """Answers every call with one trace."""

    def __init__(self, trace: SampleTrace) -> None:
        self._trace = trace

    async def call(self, function: str, *arguments: Any, **keywords: Any) -> SampleTrace:
        return self._trace


async def test_names_of_files_and_classes_are_text_and_not_markup() -> None:
    step = TraceStep("as stored", np.zeros((2, 2, 3), np.uint8), (1, 2, 2), "uint8", 0.0, 255.0, 9.0, None)
    trace = SampleTrace("a[/b]/[red]0\x1b.png", "a[/b]", True, [step])
    app: App[None] = App()
    async with app.run_test() as pilot:
        worker: Any = FixedAside(trace)
        await app.push_screen(SampleScreen(worker, RunConfig(), [0], 0, 0))
        await pilot.pause()
        await app.workers.wait_for_complete()
        title = app.screen.query_one(Vertical)._border_title
        assert title is not None
        assert title.plain == "a[/b]/[red]0\\x1b.png · a[/b] · draw of epoch 1"
