"""The log pane: events of the watched run, what it printed, and the studio's own messages and output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from torchdeck.engine.run_files import LOG_FILE
from torchdeck.engine.runs.rank_states import rank_logs
from torchdeck.engine.user_path import user_path

from ..drawing import left, name, right, rule
from ..keys.bindings import bindings
from ..polling import Poll
from ..runs.watched_run import WatchedRun
from ..screens.ask import PromptScreen
from ..screens.lines import LinesScreen
from ..tailed_file import TailedFile
from ..widgets.filter_field import FilterField, ask_filter
from ..widgets.panel import Lines, nothing_here
from ..widgets.rows import Rows
from ..words.event_levels import GLYPHS, LEVELS, TONES, Level
from ..words.train.log_text import LogLine, clock, full_lines, log_lines, log_row, printed_lines
from ..working import Working
from .pane import Pane

if TYPE_CHECKING:
    from ..stage import Stage

_READ_EVERY, _READ_SELDOM = 0.25, 1.0  # seconds, while a file grows, and otherwise
_QUIET_READS = 8  # number of looks without anything new after which the sources count as idle


@dataclass(frozen=True)
class Source:
    """One source of lines.

    Attributes:
        title: its name.
        section: heading above it.
        where: name of the run, or path of the file that it is read from; empty for none.
        read: returns all of its lines.
        file: file that it is read from; None for none.
    """

    title: str
    section: str
    where: str
    read: Callable[[], Sequence[LogLine]]
    file: TailedFile | None = None


class LogPane(Working, Pane):
    """Sources on the left, the lines of one of them, and the line under the cursor in full."""

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = bindings("log")
    VIEWS = ("lines", "sources")
    BEGINS_IN = "#words"

    def __init__(self, file: Path | None, run: WatchedRun, id: str | None = None) -> None:
        """Create the pane.

        Args:
            file: log of the studio's own output; None if it is not captured.
            run: the watched run.
        """
        super().__init__(id=id)
        self._run = run
        self._own = file
        self._files: dict[Path, TailedFile] = {}
        self._opened: Path | None = None
        self._chosen = "events"
        self._level: Level = "info"
        self._searched = ""
        self._lines: list[LogLine] = []
        self._counts: dict[str, tuple[int, int]] = {}
        self._follows = True
        self._quiet = 0
        self._seen: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out the panels; the stylesheet says which of them a size shows."""
        with Vertical(id="left"):
            yield Rows("Sources", id="sources")
            yield Lines("Levels", id="levels")
        yield Rows("", id="words", classes="-lead")
        yield Lines("Line", id="full")

    def on_mount(self) -> None:
        """Look now, and while the pane is shown."""
        self._look()
        self._poll = Poll(self, self._look_when_seen, lambda: self._quiet < _QUIET_READS, _READ_EVERY, _READ_SELDOM)

    def on_show(self) -> None:
        """Catch up."""
        self._look()
        self._poll.hurry()

    def on_hide(self) -> None:
        """Read nothing while it is hidden."""
        self._poll.stop()

    def next_view(self, by: int) -> None:
        """Show the next source; at 80 columns, the list of sources or the lines."""
        if self.screen.has_class("-w80"):
            super().next_view(by)
            return
        keys = list(self.sources)
        self._chosen, self._follows = keys[(keys.index(self._chosen) + by) % len(keys)], True
        self._look()

    def run_changed(self) -> None:
        """Show the events and the output of another run from now on."""
        if self.is_mounted:
            self._quiet = 0
            self._look()

    @property
    def _words(self) -> Rows:
        return self.query_one("#words", Rows)

    @property
    def sources(self) -> dict[str, Source]:
        """What can be shown, by name."""
        sources = {}
        if (reader := self._run.reader) is not None:
            path = reader.path
            sources["events"] = Source("events", "Run", path.name, lambda: log_lines(reader.events()))
            sources["output"] = self._printed("output", "Run", path / LOG_FILE)
            for log in rank_logs(path):
                sources[f"rank {log.stem}"] = self._printed(f"rank {log.stem}", "Run", log)
        sources["messages"] = Source("messages", "Studio", "", self._told)
        if self._own is not None:
            sources["studio"] = self._printed("output", "Studio", self._own)
        if self._opened is not None:
            sources["file"] = self._printed(self._opened.name, "Opened", self._opened)
        return sources

    def _printed(self, title: str, section: str, path: Path) -> Source:
        file = self._files.setdefault(path, TailedFile(path))
        return Source(title, section, str(path), lambda: printed_lines(_whole(file)), file)

    def _told(self) -> list[LogLine]:
        told = cast("Stage", self.app).told
        return [
            LogLine(each.at, each.severity if each.severity in LEVELS else "info", each.title.lower()[:9], each.text)
            for each in told
        ]

    # Keys

    def action_choose(self) -> None:
        """Show the source under the cursor of the list."""
        names = self._listed()
        at = self.query_one("#sources", Rows).cursor
        if 0 <= at < len(names) and names[at]:
            self._chosen, self._follows = names[at], True
            self._look()
            if self.screen.has_class("-w80"):
                self.show_view("lines")
            self.screen.set_focus(self._words)

    def action_next_level(self) -> None:
        """Show everything, then warnings and errors, then errors only."""
        self._level = LEVELS[(LEVELS.index(self._level) + 1) % len(LEVELS)]
        self._look()

    async def action_search(self) -> None:
        """Show only lines with a text."""
        await ask_filter(self._words, self._searched, "part of a line")

    def action_end_search(self) -> None:
        """Show all lines again."""
        self._searched, self._level = "", "info"
        self._look()
        self.refresh_bindings()

    def action_next_problem(self, by: int) -> None:
        """Go to the next or previous warning or error."""
        rows = self._words
        places = [at for at, line in enumerate(self._lines) if line.is_problem]
        later = [at for at in places if at > rows.cursor] if by > 0 else [at for at in places if at < rows.cursor]
        if later:
            rows.cursor = later[0] if by > 0 else later[-1]
        else:
            self.app.notify("none " + ("below" if by > 0 else "above"), title="Problems")

    def action_inspect(self) -> None:
        """Show the line under the cursor in full."""
        if (line := self._line_under_cursor()) is not None:
            self.app.push_screen(LinesScreen(line.kind or "Line", lambda width: full_lines(line, width)))

    def action_copy(self) -> None:
        """Copy the line to the terminal's clipboard."""
        if (line := self._line_under_cursor()) is not None:
            self.app.copy_to_clipboard(line.text)
            self.app.notify(line.text, title="Copied")

    def _line_under_cursor(self) -> LogLine | None:
        if not self._lines:
            self.app.notify("v shows another source", title="No line here")
            return None
        return self._lines[self._words.cursor]

    @work(exclusive=True, group="open")
    async def action_open(self) -> None:
        """Follow a file by path."""
        typed = await self.app.push_screen_wait(
            PromptScreen("Follow a file", "path of a text file; it may still grow")
        )
        if typed:
            self._opened, self._chosen = user_path(typed), "file"
            self._look()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Escape to others while all lines are shown."""
        return bool(self._searched or self._level != "info") if action == "end_search" else True

    @on(FilterField.Typed)
    def _search(self, message: FilterField.Typed) -> None:
        message.stop()
        self._searched = message.text
        self._look()
        self.refresh_bindings()

    @on(Rows.Clicked, "#sources")
    def _choose_clicked(self, message: Rows.Clicked) -> None:
        message.stop()
        self.action_choose()

    @on(Rows.Moved, "#words")
    def _moved(self, message: Rows.Moved) -> None:
        message.stop()
        follows = message.rows.cursor >= message.rows.count - 1
        if follows != self._follows:
            self._follows = follows
            self._entitle()
        self._show_full()

    # Reading and drawing

    def _look_when_seen(self) -> None:
        if self.is_on_screen:
            self._look()

    def _look(self) -> None:
        sources = self.sources
        # Logs of runs that are no longer watched are dropped.
        self._files = {source.file.path: source.file for source in sources.values() if source.file is not None}
        for file in self._files.values():
            file.read()
        seen = self._signature()
        if seen == self._seen:
            self._quiet += 1
            return
        self._seen, self._quiet = seen, 0
        if self._chosen not in sources:
            self._chosen = next(iter(sources))
        everything = {key: source.read() for key, source in sources.items()}
        self._counts = {key: (len(lines), sum(line.is_problem for line in lines)) for key, lines in everything.items()}
        self._show_sources(sources)
        self._show_levels(everything[self._chosen])
        wanted = LEVELS[LEVELS.index(self._level) :]
        part = self._searched.casefold()
        of_level = [line for line in everything[self._chosen] if line.level in wanted]
        self._lines = [line for line in of_level if not part or part in line.text.casefold()]
        self._show_words()

    def _signature(self) -> tuple[object, ...]:
        """What the pane shows is made from this, and nothing is made again while it stays the same."""
        reader = self._run.reader
        read = tuple((file.path, file.count, file.unfinished, file.problem) for file in self._files.values())
        events = (reader.path, len(reader.events())) if reader is not None else ()
        # Not their number: of many, only the newest are kept.
        told = cast("Stage", self.app).told
        return read, events, told, self._chosen, self._level, self._searched, self._opened

    def _show_words(self) -> None:
        rows, lines, found = self._words, self._lines, self._searched
        cursor = len(lines) - 1 if self._follows else min(rows.cursor, max(0, len(lines) - 1))
        what = "no line has that text" if found else "nothing yet"
        ways = [("v", "another source"), *([("Esc", "all lines")] if found or self._level != "info" else [])]
        empty = nothing_here(what, "events come while a run trains" if self._chosen == "events" else "", ways)
        rows.set_rows(
            len(lines), lambda index, width: log_row(lines[index], width, found=found), empty=empty, cursor=cursor,
            position=self._position(),
        )  # fmt: skip
        self._entitle()
        self._show_full()

    def _position(self) -> str:
        level = {"info": "", "warning": "▲ and ✗ only · ", "error": "✗ only · "}[self._level]
        found = f"“{name(self._searched, 20)}” · " if self._searched else ""
        return f"{level}{found}{'follows · ' if self._follows else ''}{len(self._lines):,} lines"

    def _entitle(self) -> None:
        source = self.sources[self._chosen]
        problem = source.file.problem if source.file is not None else ""
        where = f"[$error]{name(problem)}[/]" if problem else name(source.where, 70)
        self._words.entitle(
            f"{name(source.section)} {name(source.title)}  [not b $text-muted]{where}[/]", self._position()
        )

    def _listed(self) -> list[str]:
        """Names of the sources in the order of the list, with an empty one for each heading."""
        listed: list[str] = []
        section = ""
        for key, source in self.sources.items():
            if source.section != section:
                section = source.section
                listed.append("")
            listed.append(key)
        return listed

    def _show_sources(self, sources: dict[str, Source]) -> None:
        listed = self._listed()
        counts, chosen = self._counts, self._chosen

        def row(index: int, width: int) -> str:
            key = listed[index]
            if not key:
                return rule(sources[listed[index + 1]].section, width)
            count, problems = counts[key]
            marks = f"▲{problems}" if problems else ""
            file = sources[key].file
            if file is not None and file.problem:
                marks = "✗"
            weight = "b" if key == chosen else "not b"
            title = left(sources[key].title, max(6, width - 12))
            return f"[{weight}]{title}[/] [$warning]{right(marks, 5)}[/][$text-muted]{right(f'{count:,}', 6)}[/]"

        headings = {at for at, key in enumerate(listed) if not key}
        self.query_one("#sources", Rows).set_rows(len(listed), row, headings=headings, position="")

    def _show_levels(self, lines: Sequence[LogLine]) -> None:
        counted = {level: sum(line.level == level for line in lines) for level in LEVELS}
        times = [line.at for line in lines if line.at is not None]

        def draw(width: int, height: int) -> list[str]:
            drawn = [
                f"[{TONES[level]}]{GLYPHS[level].strip() or '■'}[/] {left(level, 9)}[b]{counted[level]:,}[/]"
                for level in reversed(LEVELS)
            ]
            if times:
                begin, end = clock(times[0])[:5], clock(times[-1])[:5]
                drawn += ["", f"[$text-disabled]{left(begin, max(5, width - 5))}{end}[/]"]
            return drawn

        self.query_one("#levels", Lines).show(draw)

    def _show_full(self) -> None:
        at, lines = self._words.cursor, self._lines
        line = lines[at] if 0 <= at < len(lines) else None
        self.query_one("#full", Lines).show(lambda width, height: full_lines(line, width) if line is not None else [])


def _whole(file: TailedFile) -> list[str]:
    """The lines of a file, and the one that is not ended yet."""
    return [*file.lines, *([file.unfinished] if file.unfinished else [])]
