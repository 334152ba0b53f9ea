"""Settings that can change while a run trains, as a small form over the train pane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static

from torchdeck.engine.files.json_values import number
from torchdeck.engine.runs.commands import SetCommand
from torchdeck.engine.runs.on_disk.state_file import StateFile

from ..screens.overlay import OverScreen
from ..words.figures import figure


@dataclass(frozen=True)
class LiveSetting:
    """One field of the form.

    Attributes:
        key: dotted key of the config.
        label: name on the screen.
        value: current value.
        is_whole: whether only whole numbers are allowed.
        may_be_zero: whether 0 is allowed.
    """

    key: str
    label: str
    value: float
    is_whole: bool = False
    may_be_zero: bool = False

    @property
    def text(self) -> str:
        """The value as text to edit."""
        return str(int(self.value)) if self.is_whole else figure(self.value)

    def command(self, text: str) -> SetCommand | str | None:
        """Parse a typed text. Returns a command, None if nothing changes, or an error message."""
        if text.strip() == self.text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        is_allowed = math.isfinite(value) and (value > 0 or (self.may_be_zero and value == 0))
        if not is_allowed or (self.is_whole and value != int(value)):
            kind = "a whole number" if self.is_whole else "a number"
            return f"{self.label}: must be {kind} {'of at least' if self.may_be_zero else 'above'} 0"
        return {"cmd": "set", "key": self.key, "value": int(value) if self.is_whole else value}


def live_settings(state: StateFile, epochs: int) -> list[LiveSetting]:
    """Make the fields with their current values.

    Args:
        state: state of the run.
        epochs: number of epochs that it will train.
    """
    rate, clip_norm = number(state.get("learning_rate")), number(state.get("clip_norm"))
    return [
        LiveSetting("optimizer.lr", "learning rate", math.nan if rate is None else rate),
        LiveSetting("training.epochs", "epochs", epochs, is_whole=True),
        LiveSetting(
            "training.clip_norm",
            "clip norm (0 = off)",
            math.nan if clip_norm is None else clip_norm,
            may_be_zero=True,
        ),
    ]


class LiveSettingsScreen(OverScreen[list[SetCommand]]):
    """Asks for new values; returns the commands that set the changed ones."""

    DEFAULT_CSS = """
    LiveSettingsScreen { align: center middle; }
    LiveSettingsScreen > Vertical {
        width: 60; max-width: 100%; height: auto; padding: 0 2;
        border: round $primary; background: $surface;
    }
    LiveSettingsScreen Horizontal { height: 1; }
    LiveSettingsScreen Label { width: 20; }
    LiveSettingsScreen Input { width: 1fr; }
    LiveSettingsScreen #words { height: auto; color: $text-muted; margin: 1 0 0 0; }
    LiveSettingsScreen #words.-bad { color: $error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]

    def __init__(self, settings: list[LiveSetting]) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        """Lay out a line per setting."""
        with Vertical() as box:
            box.border_title = "Change the run"
            box.border_subtitle = "Enter apply · Esc cancel"
            for index, setting in enumerate(self._settings):
                with Horizontal():
                    yield Label(setting.label)
                    yield Input(setting.text, id=f"setting-{index}", compact=True)
            yield Static(
                "Takes effect at the next step; a checkpoint is saved first. A new learning rate also scales the rest "
                "of the schedule.",
                id="words",
                markup=False,
            )

    @on(Input.Submitted)
    def _take_over(self) -> None:
        commands = []
        for index, setting in enumerate(self._settings):
            command = setting.command(self.query_one(f"#setting-{index}", Input).value)
            if isinstance(command, str):
                words = self.query_one("#words", Static)
                words.update(command)
                words.add_class("-bad")
                self.query_one(f"#setting-{index}", Input).focus()
                return
            if command is not None:
                commands.append(command)
        self.dismiss(commands)

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss([])
