"""The data pane's summary: what the data set under the cursor is, or how far its opening is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchdeck.engine.data.datasets.catalog import find_dataset

from ...drawing import marked, name
from ...widgets.panel import Lines
from ...widgets.progress_line import progress_line
from ...words.data import data_text as data_words

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DataLook, SampleLook


class AboutPanel(Lines):
    """Title, counts and findings, in as many lines as there are; the facts come first."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", id=id, classes="-lead")

    def show_opened(self, dataset: str, look: DataLook, samples: SampleLook | None, found: list[str]) -> None:
        """Describe the opened data set."""
        self.entitle(_title(dataset))
        self.show(lambda width, height: _least(data_words.opened(dataset, look, samples, found, width), height))

    def show_listed(self, dataset: str, *, is_here: bool) -> None:
        """Describe a data set of the catalog that is not open."""
        entry = find_dataset(dataset)
        self.entitle(_title(dataset))
        if entry is None:
            self.show(lambda width, height: [name(dataset, width), "[b $key]⏎[/] [$text-muted]opens it[/]"])
        else:
            self.show(lambda width, height: _least(data_words.listed(entry, width, is_here=is_here), height))

    def show_progress(self, dataset: str, what: str, done: int, total: int) -> None:
        """Show how far the opening or the download is."""
        self.entitle(_title(dataset))
        self.show(
            lambda width, height: [progress_line(what, done, total, width), data_words.title_line(dataset, width)]
        )

    def show_wrong(self, dataset: str, reason: str, ways: list[tuple[str, str]]) -> None:
        """Show why the data set is not open, and the keys that help."""
        self.entitle(_title(dataset))

        def draw(width: int, height: int) -> list[str]:
            helping = [f"[b $key]{key}[/]  {does}" for key, does in ways]
            return [*marked("[$error]✗[/]", reason, width, "$text-error"), "", *helping]

        self.show(draw)

    def show_stopped(self, dataset: str) -> None:
        """Show that the opening was stopped."""
        self.entitle(_title(dataset))
        self.show(lambda width, height: ["[$text-muted]not open[/]", "[b $key]⏎[/] [$text-muted]opens it[/]"])


def _title(dataset: str) -> str:
    return name(dataset if find_dataset(dataset) is not None else dataset.rstrip("/").rpartition("/")[2], 40)


def _least(lines: list[str], height: int) -> list[str]:
    """Without room for all, the facts and findings come before the title, which the frame names."""
    return lines if height >= 3 else lines[1:]
