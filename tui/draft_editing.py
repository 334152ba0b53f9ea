"""The draft of the next run: how it is changed, how a change is undone, and how it outlives the studio."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on, work
from textual.reactive import reactive

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import remove_argument, replace_value
from torchdeck.engine.config.secret_settings import with_secrets_kept
from torchdeck.engine.config.starting_weights import with_weights
from torchdeck.engine.errors import ConfigError

from .draft_form import change_lines
from .graphics.support import Wish
from .kept_draft import DraftFile, KeptDraft
from .messages import ArgumentRemoved, DraftEdited, DraftReplaced, WeightsChosen
from .process.terminal import Terminal
from .screens.kept_draft import KeptDraftScreen
from .stage import Stage

_MOST_UNDONE = 200
_SAID_CHANGES = 3


class DraftEditing(Stage):
    """An app with a draft. Every change goes through here, so that ctrl+z undoes it, whichever pane made it.

    Attributes:
        draft: the config of the next run.
        draft_error: error of the last edit of the draft; empty if it was valid.
        spec: preset or file that the draft was made from.
        parting_words: what to say in the shell about the draft when the studio has ended.
    """

    draft: reactive[RunConfig] = reactive(RunConfig, init=False)
    draft_error: reactive[str] = reactive("")
    spec: reactive[str] = reactive("", init=False)

    def __init__(self, config: RunConfig, spec: str, terminal: Terminal | None, *, graphics: Wish) -> None:
        """Create the app with its first draft.

        Args:
            config: the draft.
            spec: preset or file that it came from.
            terminal: terminal to show it on; None under a test's headless driver.
            graphics: how to show pictures.
        """
        super().__init__(terminal, graphics=graphics)
        # No field shows a secret, and no kept draft holds one.
        config = with_secrets_kept(config)
        self.set_reactive(DraftEditing.draft, config)
        self.set_reactive(DraftEditing.spec, spec)
        self.parting_words = ""
        self._past: list[KeptDraft] = []
        self._future: list[KeptDraft] = []
        # A draft that differs from neither has nothing to keep.
        self._settled = [config]
        self._draft_file = DraftFile(spec)
        self._is_kept_pending = False

    @on(DraftEdited)
    def _edit_draft(self, message: DraftEdited) -> None:
        try:
            changed = replace_value(self.draft, message.key, message.text)
        except ConfigError as error:
            self.draft_error = str(error)
            return
        self._change_draft(changed, self.spec)

    @on(ArgumentRemoved)
    def _remove_argument(self, message: ArgumentRemoved) -> None:
        self._change_draft(remove_argument(self.draft, message.key), self.spec)

    @on(WeightsChosen)
    def _choose_weights(self, message: WeightsChosen) -> None:
        self._change_draft(with_weights(self.draft, message.file), self.spec)

    @on(DraftReplaced)
    def _replace_draft(self, message: DraftReplaced) -> None:
        if message.spec:
            # The preset or file alone is no work of the user's.
            self._settled.append(with_secrets_kept(message.config))
        self._change_draft(message.config, message.spec or self.spec)

    def _change_draft(self, config: RunConfig, spec: str) -> None:
        config = with_secrets_kept(config)
        if config != self.draft:
            self._past = [*self._past, KeptDraft(self.draft, self.spec)][-_MOST_UNDONE:]
            self._future = []
        self._show_draft(KeptDraft(config, spec))

    def _show_draft(self, draft: KeptDraft) -> None:
        self.spec = draft.spec
        self.draft = draft.config
        self.draft_error = ""

    def action_undo(self) -> None:
        """Undo the last change of the draft: of a setting, the data, the model, what is frozen, or the whole."""
        self._step_back(self._past, self._future, "undone")

    def action_redo(self) -> None:
        """Make the change again that was undone last."""
        self._step_back(self._future, self._past, "redone")

    def _step_back(self, source: list[KeptDraft], target: list[KeptDraft], done: str) -> None:
        if not source:
            self.notify(f"no change of the draft to be {done}")
            return
        before = KeptDraft(self.draft, self.spec)
        target.append(before)
        self._show_draft(source.pop())
        words = _in_short(change_lines(before.config, self.draft))
        self.notify(f"{done}: {words}")

    # The draft of the last session

    def draft_started(self, config: RunConfig) -> None:
        """Note that a run holds this draft, so that it needs no keeping."""
        self._settled.append(config)

    @work(group="kept draft")
    async def offer_kept_draft(self) -> None:
        """Ask whether to continue with the draft of the last session, if one was kept."""
        try:
            kept = self._draft_file.read()
        except ConfigError as error:
            self.notify(str(error), severity="warning")
            return
        if kept is None or kept.config == self.draft:
            return
        self._is_kept_pending = True
        answer = await self.push_screen_wait(KeptDraftScreen(change_lines(self.draft, kept.config)))
        self._is_kept_pending = answer == "later"
        if answer == "continue":
            self._change_draft(kept.config, kept.spec)

    def keep_draft(self) -> None:
        """Keep the draft for the next session, unless it is as it was opened or as a run was started from it."""
        try:
            if self.draft not in self._settled:
                self._draft_file.keep(KeptDraft(self.draft, self.spec))
                self.parting_words = "your draft is kept: the studio offers it when it opens again"
            elif not self._is_kept_pending:
                self._draft_file.remove()
        except OSError as error:
            self.parting_words = f"your draft could not be kept in {self._draft_file.path}: {error.strerror or error}"


def _in_short(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _SAID_CHANGES} more" if len(lines) > _SAID_CHANGES else ""
    return "; ".join(lines[:_SAID_CHANGES]) + more
