"""The question whether the user's own code and commands may run, asked once for each file and content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from torchdeck.engine.checkpoints.code import PROGRAM_SUFFIXES, configs_of_checkpoints
from torchdeck.engine.config import RunConfig
from torchdeck.engine.user_trust import CodeTrust, Runnable, TrustStore, commands_in_words, files_in_words

from .plain_text import printable
from .process import worker_calls
from .screens.trust import TrustScreen


class CodeQuestion:
    """Stands between a config and whatever would run the code that it names."""

    def __init__(self, app: App[Any], named: Sequence[str]) -> None:
        """Nothing is asked yet.

        Args:
            app: where the question is shown.
            named: words of the command line; the code and the commands that they name may run without a question.
        """
        self._app = app
        self._trust = CodeTrust(TrustStore(), [*files_in_words(named), *commands_in_words(named)])
        self._declined: set[str] = set()

    async def refusal(self, function: str, arguments: Any) -> str:
        """Why a function may not be called: it would run code that nobody has agreed to. Empty when it may.

        Who evaluates or exports a checkpoint is asked whether the code that its model is made of may run.
        """
        if of_checkpoint := _builds_a_checkpoint(function, arguments):
            unknown = self._trust.unknown(configs_of_checkpoints(arguments))
            if not unknown or await self._ask(unknown):
                return ""
        else:
            # What reads the data of a config runs nothing of its model.
            unknown = self._trust.unknown(
                _data_of(arguments) if function in worker_calls.READ_DATA_ONLY else arguments
            )
        names = ", ".join(str(file.path) for file in unknown)
        way = "trying again asks again" if of_checkpoint else "s asks again"
        return f"not run: {names} holds code that was not run from here before; {way}" if names else ""

    async def ask_about(self, draft: RunConfig) -> bool:
        """Ask about code that is new, and was not declined before. Returns whether it was agreed to just now.

        Nothing of a draft gives its commands to the shell: they are asked about when it is to be trained.
        """
        files = self._trust.unknown(draft)
        return not {file.digest for file in files} <= self._declined and await self._ask(files)

    async def may_train(self, config: RunConfig) -> bool:
        """Whether the code and the commands that a config names may run; asks when nobody has agreed to them.

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
            reason = printable(error.strerror or str(error))
            self._app.notify(f"it runs, but the answer can't be kept: {reason}", severity="warning", markup=False)
        return True


def _builds_a_checkpoint(function: str, arguments: Any) -> bool:
    """Whether a function builds the model that a checkpoint's config names."""
    is_program = any(isinstance(value, Path) and value.suffix in PROGRAM_SUFFIXES for value in arguments[0])
    return function == worker_calls.EVALUATE_CHECKPOINT or (function == worker_calls.EXPORT_CHECKPOINT and is_program)


def _data_of(value: Any) -> Any:
    if isinstance(value, RunConfig):
        return value.data, value.loader
    if isinstance(value, dict):
        return {key: _data_of(item) for key, item in value.items()}
    return [_data_of(item) for item in value] if isinstance(value, list | tuple) else value
