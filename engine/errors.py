"""Errors that are shown to the user as one message, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TorchdeckError(Exception):
    """Something the user can act on. Its text says what, where, what is allowed and what to do."""


class ConfigError(TorchdeckError):
    """The configuration, or something it names, is not usable. Raised before anything is written."""


class RecordedRunError(ConfigError):
    """A run was trained by another program, so that it has no config of torchdeck's."""


class DataError(TorchdeckError):
    """The data set can't be read as configured; names the file or the index."""


class UserCodeError(TorchdeckError):
    """Code from the user's own file failed; the text holds the frames of that file and no others."""


class RunError(TorchdeckError):
    """A run directory can't be used as asked: not there, owned by a live process, nothing to resume from."""


class RankError(RunError):
    """Another process of the run failed.

    Attributes:
        kind: the type of what was raised there.
    """

    def __init__(self, rank: int, kind: str, text: str) -> None:
        super().__init__(rank, kind, text)
        self.kind = kind

    def __str__(self) -> str:
        return f"process {self.args[0]} of the run: {self.args[2] or self.kind}"


class PartsNeededError(RunError):
    """Memory ran out where a step of several processes can't begin again: they have to be started again.

    Attributes:
        largest_part: most samples that this process should put through its model at once from then on.
    """

    def __init__(self, largest_part: int, text: str) -> None:
        super().__init__(largest_part, text)
        self.largest_part = largest_part

    def __str__(self) -> str:
        return str(self.args[1])


class UnknownRunError(RunError):
    """A reference names no run, or several."""


class TorchUnavailableError(TorchdeckError):
    """torch can't be imported; the text, one line, names what needs it and why it can't.

    Attributes:
        failure: why it can't be imported.
    """

    def __init__(self, what: str, failure: str) -> None:
        super().__init__(what, failure)
        self.failure = failure

    def __str__(self) -> str:
        return f"{self.args[0]} needs torch, which can't be imported: {self.failure}"


class CheckpointError(TorchdeckError):
    """A checkpoint is damaged, foreign in a way that can't be loaded, or does not fit the model."""


def did_you_mean(name: str, known: Iterable[str], limit: int = 8) -> str:
    """The end of an error message about an unknown name: the nearest valid one, or the first few.

    Example: ``"; did you mean 'epochs'?"`` or ``"; known: SGD, Adam, …"``.
    """
    names = list(known)
    by_lower = {known_name.lower(): known_name for known_name in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{by_lower[close[0]]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:limit])
    return f"; known: {shown}{', …' if len(names) > limit else ''}"
