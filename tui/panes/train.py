"""The live panel: a run's curves, progress and epochs, read from its directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from engine.config import RunConfig
from engine.runs.reader import RunReader
from tui.run_text import epoch_table, headline, last_words, marks, progress_line
from tui.widgets.chart import Chart
from tui.widgets.plain_text import printable

if TYPE_CHECKING:
    from engine.launch import LaunchedRun

_POLL_SECONDS = 0.5
_LIVE = ("preparing", "running", "paused")


class TrainPane(Widget, can_focus=True):
    """Shows one run, live or not.

    Attributes:
        draft: the config that `s` starts.
        watched: the directory of the run that is shown.
        run_status: the shown run's status; empty while there is none.
    """

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")

    draft: reactive[RunConfig | None] = reactive(None)
    watched: reactive[Path | None] = reactive(None)

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.run_status = ""
        self._reader: RunReader | None = None
        self._launched: LaunchedRun | None = None
        self._shown: dict[str, Any] = {}

    def compose(self) -> ComposeResult:
        """Words above, curves in the middle, epochs below."""
        yield Static(id="headline")
        yield Static(id="progress")
        yield Static(id="words")
        with Horizontal(id="charts"):
            yield Chart("loss", budget=0.005, id="loss")
            yield Chart("accuracy", budget=0.005, id="accuracy")
        yield Static(id="epochs")

    def on_mount(self) -> None:
        """One timer for the whole pane; it does nothing while nothing changed."""
        self._invite()
        self.set_interval(_POLL_SECONDS, self._poll)

    def on_show(self, event: events.Show) -> None:
        """What happened while the pane was hidden is shown at once."""
        self._poll()

    def on_resize(self, event: events.Resize) -> None:
        """The words fit one width only."""
        self._shown.clear()
        self._show()

    def prepare(self, run: LaunchedRun) -> None:
        """Show a run that is being prepared and has no directory yet."""
        self._launched, self._reader = run, None
        self.run_status = "preparing"
        self._forget()
        self._poll()

    def refused(self, reason: str) -> None:
        """Show why a run could not be started. Nothing was written."""
        self._launched = None
        self.run_status = ""
        self._put("headline", "● not started")
        self._put("progress", "")
        self._put("words", printable(reason))

    def watch_watched(self, path: Path | None) -> None:
        """Show another run."""
        self._reader = RunReader(path) if path is not None else None
        self._launched = None
        if self.is_mounted:
            self._forget()
            self._poll()

    def watch_draft(self) -> None:
        """The invitation names what would be started."""
        if self.is_mounted and self._reader is None and self._launched is None:
            self._invite()

    def _invite(self) -> None:
        name = self.draft.name if self.draft is not None else ""
        self._put("headline", f"no run is shown: s starts {printable(name)}, 5 chooses another")

    def _forget(self) -> None:
        self._shown.clear()
        for chart in self.query(Chart):
            chart.clear()
        for name in ("headline", "progress", "words", "epochs"):
            self._put(name, "")

    def _poll(self) -> None:
        if not self.is_on_screen:
            return
        if self._launched is not None and self._reader is None:
            self._put("headline", f"● preparing  {printable(self._launched.message)}")
            return
        if self._reader is None:
            return
        status = self._reader.status()
        if self._reader.poll() or status != self.run_status:
            self.run_status = status
            self._show()

    def _show(self) -> None:
        reader = self._reader
        if reader is None or not self.is_mounted:
            return
        progress, state, events_so_far = reader.progress(), reader.state(), reader.events()
        is_live = self.run_status in _LIVE
        self._put("headline", headline(reader.path.name, self.run_status, progress, state))
        self._put("progress", progress_line(progress, self.size.width, is_live=is_live))
        self._put("words", last_words(self.run_status, state, events_so_far))
        self._put("epochs", epoch_table(reader.epoch_records(), rows=max(3, self.size.height // 4 - 1)))
        for name in ("loss", "accuracy"):
            chart = self.query_one(f"#{name}", Chart)
            for split, legend, color in (("train", "train", "$primary"), ("validation", "val.", "$warning")):
                x, y = reader.series(f"{split}/{name}")
                if len(x):
                    chart.set_series(legend, x, y, color, is_smoothed=split == "train")
            chart.set_marks(marks(events_so_far))
            chart.request_redraw()

    def _put(self, name: str, content: Any) -> None:
        """Update a line if it changed: what did not change costs no byte on the terminal."""
        if self._shown.get(name) != content:
            self._shown[name] = content
            self.query_one(f"#{name}", Static).update(content)
