"""The path of a process that `python -m` has started. Imports nothing that Python has not imported already."""

import os
import sys


def drop_working_directory() -> None:
    """Take the working directory off the path, where `python -m` has put it, in front.

    A `random.py` or `torch.py` in it is the user's. `python -P` leaves it out by itself.
    """
    if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]
