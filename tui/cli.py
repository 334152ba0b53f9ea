"""The command `torchdeck`: it opens the studio; with a verb, it works without a screen.

It starts in milliseconds: the studio's small parent process is forked before anything else is imported, and a verb's
module is imported when the verb is used.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .verbs.table import names_a_verb

if TYPE_CHECKING:
    from .process.parent import Parent

# Set by a shell that wants a command line completed.
COMPLETE_VARIABLE = "_TORCHDECK_COMPLETE"

_VERBS_WITH_SCREEN = {"attach"}
_OPTIONS_WITHOUT_SCREEN = {"--help", "-h", "--version"}


def main() -> int:
    """Run the command. Returns the exit status."""
    # Whatever the umask of the shell: what we, our libraries and our processes make, nobody else may write to.
    os.umask(os.umask(0o022) | 0o022)
    # CUDA's own order is by speed: a GPU has the number that nvidia-smi lists, in this process and those it starts.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    arguments = sys.argv[1:]
    if opens_studio(arguments):
        from .process.parent import run_behind_parent

        return run_behind_parent(lambda parent: run_command(arguments, parent))
    return run_command(arguments, None)


def opens_studio(arguments: list[str]) -> bool:
    """Whether a command line opens the studio, whose parent process must be forked before any import."""
    if _OPTIONS_WITHOUT_SCREEN & set(arguments) or COMPLETE_VARIABLE in os.environ:
        return False
    return not names_a_verb(arguments) or arguments[0] in _VERBS_WITH_SCREEN


def run_command(arguments: list[str], parent: Parent | None) -> int:
    """Parse and run a command line. Returns the exit status; an error is one message on stderr."""
    import click

    from torchdeck.engine.errors import ConfigError, TorchdeckError, UnknownRunError

    from .commands import torchdeck
    from .plain_text import printable_lines
    from .process.utf8 import print_utf8

    print_utf8()

    if COMPLETE_VARIABLE in os.environ:
        from .verbs import completion  # noqa: F401  # How bash is answered.

    try:
        result = torchdeck.main(args=arguments, prog_name="torchdeck", standalone_mode=False, obj=parent)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TorchdeckError as error:
        print(f"torchdeck: {printable_lines(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError | UnknownRunError) else 1
    except BrokenPipeError:
        # The reader of our output (head, less) has closed the pipe.
        sys.stderr.close()
        return 0
    return int(result or 0)
