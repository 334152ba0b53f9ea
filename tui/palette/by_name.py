"""What choosing something by name does."""

from __future__ import annotations

from pathlib import Path

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import TorchdeckError

from ..messages import DraftReplaced, WatchRequested
from ..panes.data.catalog import data_of
from ..run_control import RunControl


async def go_to_setting(studio: RunControl, key: str) -> None:
    """Put the cursor on a field of the setup pane."""
    from ..panes.setup.pane import SetupPane

    await studio.run_action("show('setup')")
    studio.query_one(SetupPane).go_to(key)


async def choose_data(studio: RunControl, name: str) -> None:
    """Put a data set into the draft, and show it."""
    studio.post_message(DraftReplaced(studio.draft.model_copy(update={"data": data_of(name)})))
    await studio.run_action("show('data')")


async def choose_model(studio: RunControl, name: str) -> None:
    """Put a model into the draft, and show it."""
    studio.post_message(DraftReplaced(studio.draft.model_copy(update={"model": ModelConfig(name=name)})))
    await studio.run_action("show('model')")


async def load_preset(studio: RunControl, name: str) -> None:
    """Make a preset the draft, and show it."""
    try:
        studio.post_message(DraftReplaced(load_config(name), spec=name))
    except TorchdeckError as error:
        studio.notify(str(error), severity="warning")
        return
    await studio.run_action("show('setup')")


async def use_theme(studio: RunControl, name: str) -> None:
    """Switch to a theme."""
    studio.theme = name


async def show_run(studio: RunControl, path: Path) -> None:
    """Show a run in the train pane."""
    studio.post_message(WatchRequested(path))


async def open_checkpoint(studio: RunControl, path: Path) -> None:
    """Show what is inside a checkpoint."""
    from ..panes.runs.pane import RunsPane

    await studio.run_action("show('runs')")
    studio.query_one(RunsPane).look_inside(path)
