"""What the palette finds: commands, panes, settings, runs, checkpoints, data sets, models, presets and themes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.data.datasets.catalog import list_datasets
from torchdeck.engine.models.catalog import list_models
from torchdeck.engine.run_files import CHECKPOINTS

from ..draft_form import draft_fields
from ..drawing import left, right
from ..keys.commands import COMMANDS
from ..keys.part_titles import key_text, part_title
from ..plain_text import printable
from ..widgets.key_line import Offers
from . import by_name

if TYPE_CHECKING:
    from ..run_control import RunControl

_NAME_CELLS, _WIDEST, _KEY_CELLS = 26, 72, 8
_MOST_RUNS = 500
# What a newcomer looks for.
_FIRST = {COMMANDS["studio"][name].does for name in ("start", "pause", "resume", "save", "live", "stop", "theme")}


@dataclass(frozen=True)
class Entry:
    """Something that the palette finds.

    Attributes:
        title: its name.
        does: what choosing it does.
        run: does it.
        key: keys that do the same; empty for none.
        is_offered: whether there is something to do; otherwise it says why not.
        weight: factor of its rank, so that a command comes before a model of the same name.
    """

    title: str
    does: str
    run: Callable[[], Awaitable[object]]
    key: str = ""
    weight: float = 1.0
    is_offered: bool = True


class Everything(Provider):
    """Entries of all kinds, best match first. Before anything is typed, the commands that work now."""

    async def startup(self) -> None:
        """Collect what is named in the studio's own tables; runs are read meanwhile."""
        commands = list(self._of_commands())
        self._commands = sorted(commands, key=lambda entry: (not entry.is_offered, entry.title not in _FIRST))
        self._entries = [*self._commands, *self._of_catalogs()]
        self._runs = asyncio.create_task(asyncio.to_thread(self._of_runs))

    async def shutdown(self) -> None:
        """Leave the runs unread."""
        self._runs.cancel()

    async def discover(self) -> Hits:
        """The commands that work now."""
        for entry in self._commands:
            yield DiscoveryHit(self._line(Content(entry.title), entry), entry.run, text=entry.title)

    async def search(self, query: str) -> Hits:
        """Everything whose name, or else description, matches."""
        matcher = self.matcher(query)
        for entry in [*self._entries, *await asyncio.shield(self._runs)]:
            score = max(matcher.match(entry.title), matcher.match(entry.does) * 0.6) * entry.weight
            if score > 0:
                yield Hit(score, self._line(matcher.highlight(entry.title), entry), entry.run, text=entry.title)

    @property
    def _studio(self) -> RunControl:
        return cast("RunControl", self.app)

    def _line(self, title: Content, entry: Entry) -> Content:
        """Name, what it does, key: one line, so that many are seen."""
        # Frames, margins and the scrollbar take the rest.
        width = min(_WIDEST, self.app.size.width * 96 // 100 - 6) - _KEY_CELLS
        # A command's name is a sentence, and needs no more words.
        room = max(_NAME_CELLS, width - len(entry.does) - 1)
        named = title.truncate(room, ellipsis=True)
        named = named.pad_right(max(0, room - named.cell_length))
        does = Content.from_markup(f"[not bold $text-muted] {left(entry.does, max(0, width - room - 1))}[/]")
        return named + does + Content.from_markup(f"[b $key]{right(entry.key, _KEY_CELLS)}[/]")

    def _of_commands(self) -> Iterator[Entry]:
        """Commands of the focus and its parents, and those without a key."""
        seen: set[str] = set()
        for key, active in list(self.screen.active_bindings.items()):
            binding, node = active.binding, active.node
            part, _, name = (binding.id or "").partition(".")
            command = COMMANDS.get(part, {}).get(name)
            if command is None or part == "rows" or not active.enabled or str(binding.id) in seen:
                continue
            seen.add(str(binding.id))
            shown = binding.key_display or key_text(key)
            is_offered = not isinstance(node, Offers) or node.offers(binding.action)
            yield Entry(command.does, part_title(part), self._runner(binding.action, node), shown, 1.2, is_offered)
        parts = {
            (each.binding.id or "").partition(".")[0]: each.node for each in list(self.screen.active_bindings.values())
        }
        for part, commands in COMMANDS.items():
            for command in commands.values():
                if not command.keys and part in parts:
                    yield Entry(command.does, part_title(part), self._runner(command.action, parts[part]), "", 1.2)

    def _runner(self, action: str, node: object) -> Callable[[], Awaitable[object]]:
        async def run() -> None:
            await self.app.run_action(action, node)  # type: ignore[arg-type]

        return run

    def _of_catalogs(self) -> Iterator[Entry]:
        studio = self._studio
        for field in draft_fields(studio.draft):
            yield Entry(
                field.key, field.help or "a setting", self._doing(by_name.go_to_setting, field.key), weight=0.9
            )
        for dataset in list_datasets():
            yield Entry(
                dataset.name,
                "data set: into the draft",
                self._doing(by_name.choose_data, dataset.name),
                weight=0.8,
            )
        for model in list_models():
            yield Entry(model.name, "model: into the draft", self._doing(by_name.choose_model, model.name), weight=0.7)
        for preset in list_presets():
            load = self._doing(by_name.load_preset, preset.name)
            yield Entry(preset.name, f"preset: {preset.description}", load, weight=0.8)
        for theme in sorted(studio.available_themes):
            yield Entry(theme, "theme", self._doing(by_name.use_theme, theme), weight=0.7)

    def _of_runs(self) -> list[Entry]:
        """Runs, newest first, with their best and newest checkpoints. Called in a thread."""
        from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
        from torchdeck.engine.runs.saving.checkpoint_index import list_checkpoints

        studio = self._studio
        entries = []
        catalog = RunCatalog(studio.runs_root)
        newest = sorted(catalog.look(_MOST_RUNS), key=lambda run: -run.modified)[:_MOST_RUNS]
        runs = [catalog.checked(run) for run in newest]
        for run in runs:
            does = f"run, {run.status}: show its curves"
            entries.append(Entry(printable(run.name), does, self._doing(by_name.show_run, run.path), weight=0.8))
        for run in runs[:50]:
            for checkpoint in list_checkpoints(run.path):
                title = f"{printable(run.name)}/{printable(checkpoint.file)}"
                open_it = self._doing(by_name.open_checkpoint, run.path / CHECKPOINTS / checkpoint.file)
                entries.append(Entry(title, "checkpoint: look inside", open_it, weight=0.6))
        return entries

    def _doing(self, do: Callable[..., Awaitable[object]], *arguments: object) -> Callable[[], Awaitable[object]]:
        async def run() -> None:
            await do(self._studio, *arguments)

        return run
