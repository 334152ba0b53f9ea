"""A small process that waits in the shell's foreground, so that the studio can leave the shell and train on.

A shell waits for the process that it started. The studio therefore runs in a child, forked before anything else is
imported. The shell waits for the parent, which has no thread and no library and only waits. When the child detaches,
the parent says so and ends, and the child keeps running in its own session: the same process, with the same threads
and the same GPU memory.

Everything the parent waits for arrives through one pipe, so that nothing can be missed between a check and a wait:
the bytes of Python's signal wake-up, which are signal numbers, and the child's message between two NUL bytes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

# What asks a process to end and reaches only the one that it was sent to. Batch systems send SIGUSR1, SIGUSR2 or
# SIGALRM before a job's time is over, the kernel sends SIGXCPU at a soft limit on processor time.
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU)

_HANDLED = {signal.SIGCHLD, *PASSED_ON}
_LEFT_TO_CHILD = {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP}
_MESSAGE_BYTES = 4000  # below PIPE_BUF: one write is one piece in the pipe


class Parent:
    """The child's handle on the process that waits for it.

    Attributes:
        is_detached: whether `detach` was called, so that this process no longer belongs to a terminal.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self.is_detached = False

    def detach(self, message: str, log: str | os.PathLike[str] | None = None) -> None:
        """Return the shell's prompt and keep running without a terminal; threads are not disturbed.

        Call it once the terminal is restored and nothing reads or writes it any more.

        Args:
            message: text that the parent prints before it ends.
            log: file for descriptors 1 and 2 from now on. Without it, a descriptor that is a terminal goes to
                /dev/null and a redirected one stays as it is.

        Raises:
            OSError: the log can't be opened; nothing has changed then.
        """
        if self.is_detached:
            return
        # Here and not above: the parent itself, which only waits, imports next to nothing.
        from pathlib import Path

        from torchdeck.engine.files.regular_file import open_for_appending

        null = os.open(os.devnull, os.O_RDWR)
        output = null if log is None else open_for_appending(Path(log))
        sys.stdout.flush()
        sys.stderr.flush()
        self.is_detached = True
        os.setsid()
        os.dup2(null, 0)
        for descriptor in (1, 2):
            if log is not None or os.isatty(descriptor):
                os.dup2(output, descriptor)
        for descriptor in {null, output}:
            os.close(descriptor)
        text = message.replace("\0", "").encode(errors="replace")[:_MESSAGE_BYTES]
        try:
            os.write(self._pipe, b"\0" + text + b"\0")
        except BrokenPipeError:
            # The parent ended with the terminal (a hang-up), so nothing reads the message.
            return
        finally:
            os.close(self._pipe)


def run_behind_parent(main: Callable[[Parent], int]) -> int:
    """Fork, run `main` in the child, wait in the parent. Returns in both: pass the result to `sys.exit`.

    Call it before any other import and before any thread. In the child the result is that of `main`. In the parent it
    is the child's exit status (128 + n if signal n killed it), or 0 after `Parent.detach`. Meanwhile the parent leaves
    Ctrl+C, Ctrl+\\ and Ctrl+Z to the child, stops when the child stops (so that the shell's job control works), passes
    on SIGTERM and whatever else asks to end, and dies of SIGHUP, as the child outlives the terminal by itself.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # A signal during the fork is held until both processes can handle it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED | _LEFT_TO_CHILD)
    child = os.fork()
    if child == 0:
        os.close(read_end)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return main(Parent(write_end))
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in _HANDLED:
        # The handler does nothing: the parent waits for the wake-up byte in the pipe.
        signal.signal(number, lambda *_: None)
    for number in _LEFT_TO_CHILD:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _wait_for(child, read_end)


def _wait_for(child: int, read_end: int) -> int:
    """Wait until the child ends or detaches. Returns the exit status for the shell."""
    exit_status = _look_at(child)
    while exit_status is None:
        signals, *message = os.read(read_end, 65536).split(b"\0")
        if message:
            os.write(2, message[0] + b"\n")
            return 0
        for number in PASSED_ON:
            if number in signals:
                os.kill(child, number)
        exit_status = _look_at(child)
    return exit_status


def _look_at(child: int) -> int | None:
    """Return the child's exit status if it has ended; stop if it has stopped."""
    while True:
        process, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if process == 0:
            return None
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        os.kill(os.getpid(), signal.SIGSTOP)
