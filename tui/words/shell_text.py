"""Shell commands for messages, ready to be copied into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

from torchdeck.engine.runs.on_disk.directory import default_runs_root


def shell_command(verb: str, run: Path, *further: str) -> str:
    """Write `torchdeck VERB RUN …`, with `--runs` if the run is not in the default folder.

    Args:
        verb: verb of the command, such as "resume".
        run: directory of the run.
        further: words after the run's name.
    """
    is_found = run.parent.absolute() == default_runs_root().absolute()
    return shlex.join(["torchdeck", verb, run.name, *further, *([] if is_found else ["--runs", str(run.parent)])])
