"""The draft that a studio leaves behind when it ends, to be offered when it opens again on the same preset or file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import dump_config, find_config, parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.files.durable import atomic_write
from torchdeck.engine.files.state_folder import state_folder

_MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class KeptDraft:
    """A draft with the preset or file that it was made from.

    Attributes:
        config: the draft.
        spec: preset or file that its changes count from.
    """

    config: RunConfig
    spec: str


class DraftFile:
    """The file in the user's state folder that keeps the draft of one preset or file."""

    def __init__(self, spec: str) -> None:
        """`spec`: preset or file that the studio was opened on."""
        try:
            name = str(find_config(spec).absolute())
        except ConfigError:
            name = spec
        self.path: Path = state_folder() / "drafts" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def read(self) -> KeptDraft | None:
        """The kept draft; None if there is none.

        Raises:
            ConfigError: the file can't be read; the message says where it is.
        """
        try:
            with self.path.open("rb") as opened:
                values = json.loads(opened.read(_MOST_BYTES))
            return KeptDraft(parse_config(values["config"], str(self.path)), str(values["spec"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"{self.path}: the draft kept there can't be read: {error}") from error

    def keep(self, draft: KeptDraft) -> None:
        """Replace the kept draft. Only its owner may read it, since a config may hold secrets. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = json.dumps({"spec": draft.spec, "config": dump_config(draft.config)}, indent=1).encode()
        atomic_write(self.path, content, mode=0o600)

    def remove(self) -> None:
        """Forget the kept draft, if there is one. Raises OSError."""
        self.path.unlink(missing_ok=True)
