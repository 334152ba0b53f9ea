"""Edits what a user says of a run: its name, tags and note."""

from __future__ import annotations

import re
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.runs.on_disk.run_labels import RunLabels, parse_tags

from ..drawing import name
from ..widgets.field import Field
from .dialog import Answer, Dialog

# A note may have several lines; a field has one.
_LINE_BREAK = " ⏎ "


@dataclass(frozen=True)
class EditedRun:
    """What the user wants a run to be called and labeled."""

    name: str
    labels: RunLabels


class RunLabelsScreen(Dialog[EditedRun | None]):
    """A small form; returns None if the user cancels or changes nothing."""

    def __init__(self, run_id: str, given: str, labels: RunLabels) -> None:
        """Create the form.

        Args:
            run_id: name of the run's directory.
            given: the name that it was given.
            labels: its tags and note.
        """
        answers = [Answer[EditedRun | None]("", "Apply", None, "primary")]
        super().__init__(f"Edit {run_id}", answers, escape=None, way_out="changes nothing")
        self._before = EditedRun(given, labels)

    def body(self) -> ComposeResult:
        """A line per field, with its present value."""
        labels = self._before.labels
        note = _LINE_BREAK.join(labels.note.splitlines())
        for label, value, hint in (
            ("name", self._before.name, "letters, digits, '.', '_' and '-'; date and number after it stay"),
            ("tags", " ".join(labels.tags), "words to filter by: tag=baseline"),
            ("note", note, "what there is to know about this run"),
        ):
            with Horizontal(classes="field"):
                yield Static(label, classes="label", markup=False)
                yield Field(value, placeholder=hint, id=f"run-{label}", select_on_focus=False)
        yield Static("", id="words", classes="note")
        yield Static("[b $key]Enter[/] applies   [b $key]Tab[/] next field")

    def focus_first(self) -> None:
        """Focus the tags, which are what changes most often."""
        self.query_one("#run-tags", Input).focus()

    @on(Input.Submitted)
    def _submit(self, message: Input.Submitted) -> None:
        message.stop()
        self.action_answer(0)

    def action_answer(self, number: int) -> None:
        """Close with what was typed, or say what is wrong with it."""
        if number < 0:
            self.dismiss(None)
            return
        note = re.sub(rf"\s*{_LINE_BREAK.strip()}\s*", "\n", self._text("note"))
        try:
            edited = EditedRun(self._text("name"), RunLabels(parse_tags(self._text("tags")), note))
        except ConfigError as error:
            self.query_one("#words", Static).update(f"[$text-error]{name(str(error))}[/]")
            return
        self.dismiss(edited if edited != self._before else None)

    def _text(self, field: str) -> str:
        return self.query_one(f"#run-{field}", Input).value.strip()
