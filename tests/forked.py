"""A piece of a test in a fork of its process, which is to be killed or to become another user."""

import os
import traceback
from collections.abc import Callable

FAILED = 99


def status_of_fork(work: Callable[[], object]) -> int:
    """Fork a child that does `work` and ends, wait for it, and return the exit status that `work` returned, 0 if none.

    Whatever happens in it the child ends here: one that an exception brought out of the test would run the rest of
    the tests once more, and report them.
    """
    child = os.fork()
    if child == 0:
        status = FAILED
        try:
            result = work()
            status = result if isinstance(result, int) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
