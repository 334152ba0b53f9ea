"""How torchdeck starts Python processes of its own."""

import sys


def python_command() -> tuple[str, ...]:
    """What starts this Python again.

    With -P the working directory is not on the path: a `random.py` or `torch.py` in it is the user's, and would
    otherwise stand in for the library's in a process that has nothing to do with it.
    """
    return sys.executable, "-P"


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of torchdeck in a process of its own."""
    return [*python_command(), "-m", module, *arguments]
