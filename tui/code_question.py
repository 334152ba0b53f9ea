"""Asks whether the user's own code and commands may run: once for each file and content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from torchdeck.engine.config import RunConfig
from torchdeck.engine.user_trust import CodeTrust, Runnable, TrustStore, files_in_words, notifications_in_words

from .process import worker_calls
from .screens.trust import TrustScreen


class CodeQuestion:
    """Guards every function that would run code named by a config."""

    def __init__(self, app: App[Any], named: Sequence[str]) -> None:
        """Create the guard; it asks nothing yet.

        Args:
            app: app that shows the question.
            named: words of the command line; code and commands that they name may run without a question.
        """
        self._app = app
        self._trust = CodeTrust(TrustStore(), [*files_in_words(named), *notifications_in_words(named)])
        self._declined: set[str] = set()

    async def refusal(self, function: str, arguments: Any) -> str:
        """Why a function may not be called: it would run code that the user has not approved. Empty if it may.

        Before a checkpoint is evaluated or exported, the user is asked about the code that builds its model.
        """
        if of_checkpoint := _builds_a_checkpoint(function, arguments):
            # Not at the start: it reads files of other programs.
            from torchdeck.engine.checkpoints.code import configs_of_checkpoints

            unknown = self._trust.unknown(configs_of_checkpoints(arguments))
            if not unknown or await self._ask(unknown):
                return ""
        else:
            # Functions that read a config's data run no code of its model.
            unknown = self._trust.unknown(
                _data_of(arguments) if function in worker_calls.READ_DATA_ONLY else arguments
            )
        names = ", ".join(str(file.path) for file in unknown)
        way = "try again to be asked again" if of_checkpoint else "press S to be asked again"
        return f"not run: {names} holds code that you have not approved yet; {way}" if names else ""

    async def ask_about(self, draft: RunConfig) -> bool:
        """Ask about code that is new and was not declined before. Returns whether the user approved it just now.

        A draft runs no shell command, so its commands are asked about only when it is about to train.
        """
        files = self._trust.unknown(draft)
        return not {file.digest for file in files} <= self._declined and await self._ask(files)

    async def may_train(self, config: RunConfig) -> bool:
        """Whether the code, commands and addresses that a config names may be used; asks if they are not approved.

        Call it in a worker.
        """
        unknown = self._trust.unknown_to_train(config)
        return not unknown or await self._ask(unknown)

    async def _ask(self, files: Sequence[Runnable]) -> bool:
        if any(isinstance(screen, TrustScreen) for screen in self._app.screen_stack):
            return False
        if not await self._app.push_screen_wait(TrustScreen(files)):
            self._declined.update(file.digest for file in files)
            return False
        try:
            self._trust.agree(files)
        except OSError as error:
            reason = error.strerror or str(error)
            self._app.notify(f"the code runs, but your answer can't be saved: {reason}", severity="warning")
        return True


def _builds_a_checkpoint(function: str, arguments: Any) -> bool:
    """Whether a function builds the model named by a checkpoint's config."""
    if function == worker_calls.EXPORT_CHECKPOINT:
        from torchdeck.engine.checkpoints.code import PROGRAM_SUFFIXES

        return any(isinstance(value, Path) and value.suffix in PROGRAM_SUFFIXES for value in arguments[0])
    return function == worker_calls.EVALUATE_CHECKPOINT


def _data_of(value: Any) -> Any:
    if isinstance(value, RunConfig):
        return value.data, value.loader
    if isinstance(value, dict):
        return {key: _data_of(item) for key, item in value.items()}
    return [_data_of(item) for item in value] if isinstance(value, list | tuple) else value
