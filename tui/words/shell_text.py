"""Commands as a message prints them, to be typed or copied into a shell as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

from torchdeck.engine.runs.on_disk.directory import default_runs_root


def shell_command(verb: str, run: Path, *further: str) -> str:
    """`torchdeck VERB RUN …`, with `--runs` where the run isn't where the command would look.

    Args:
        verb: such as "resume".
        run: the run's directory.
        further: words after its name.
    """
    is_found = run.parent.absolute() == default_runs_root().absolute()
    return shlex.join(["torchdeck", verb, run.name, *further, *([] if is_found else ["--runs", str(run.parent)])])
