"""Settings that can change while a run trains, as a small form over the pane."""

from __future__ import annotations

import math
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from torchdeck.engine.files.json_values import number
from torchdeck.engine.runs.commands import SetCommand, problem_with
from torchdeck.engine.runs.on_disk.state_file import StateFile

from ..drawing import name
from ..widgets.field import Field
from ..words.figures import figure
from .dialog import Answer, Dialog


@dataclass(frozen=True)
class LiveSetting:
    """One field of the form.

    Attributes:
        key: dotted key of the config.
        label: name on the screen.
        value: current value.
        is_whole: whether it is a whole number.
    """

    key: str
    label: str
    value: float
    is_whole: bool = False

    @property
    def text(self) -> str:
        """The value as text to edit."""
        return str(int(self.value)) if self.is_whole else figure(self.value)

    def command(self, text: str) -> SetCommand | str | None:
        """Parse a typed text. Returns a command, None if nothing changes, or an error message."""
        if text.strip() == self.text:
            return None
        try:
            value: float | str = float(text)
        except ValueError:
            value = text
        if problem := problem_with({"cmd": "set", "key": self.key, "value": value}):
            return problem
        return {"cmd": "set", "key": self.key, "value": int(value) if self.is_whole else float(value)}


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
        LiveSetting("training.clip_norm", "clip norm (0 = off)", math.nan if clip_norm is None else clip_norm),
    ]


class LiveSettingsScreen(Dialog[list[SetCommand]]):
    """Asks for new values; returns the commands that set the changed ones."""

    def __init__(self, settings: list[LiveSetting]) -> None:
        answers = [Answer[list[SetCommand]]("", "Change the run", [], "primary")]
        super().__init__("Edit the live run", answers, escape=[], way_out="changes nothing")
        self._settings = settings

    def body(self) -> ComposeResult:
        """A line per setting, with its present value."""
        for index, setting in enumerate(self._settings):
            with Horizontal(classes="field"):
                yield Static(setting.label, classes="label", markup=False)
                yield Field(setting.text, id=f"setting-{index}")
        yield Static("", id="words", classes="note")
        yield Static(
            "[$text-muted]Takes effect at the next step; a checkpoint is saved first.\n"
            "A new learning rate also scales the rest of the schedule.[/]\n\n"
            "[b $key]Enter[/] changes the run   [b $key]↑ ↓[/] next field"
        )

    def focus_first(self) -> None:
        """Focus the first field."""
        self.query(Input).first().focus()

    @on(Input.Submitted)
    def _submit(self, message: Input.Submitted) -> None:
        message.stop()
        self.action_answer(0)

    def action_answer(self, number: int) -> None:
        """Close with the commands, or say what is wrong with what was typed."""
        if number < 0:
            self.dismiss([])
            return
        commands = []
        for index, setting in enumerate(self._settings):
            field = self.query_one(f"#setting-{index}", Input)
            command = setting.command(field.value)
            if isinstance(command, str):
                self.query_one("#words", Static).update(f"[$text-error]{name(command)}[/]")
                field.focus()
                return
            if command is not None:
                commands.append(command)
        self.dismiss(commands)
