"""Python processes that are forked from one which has torch imported already, for tests that start many of them.

An import of torch takes seconds of processor time, and hundreds of tests start a process that needs it. Here one
process a test session, the warm one, imports what they need and then only forks. Each fork gets the command line, the
environment, the working folder and the descriptors 0 to 2 of whoever asked, and lives in a session of its own, so
that no signal to its group reaches the warm process. A terminal whose session the asking process leads becomes that of
the fork's session: closing it hangs up the fork.

`warm_python()` is what tests use. This file is also both ends of it:

    python -P warm_python.py serve DESCRIPTOR MODULE...
        The warm process.
    python -I -S warm_python.py ask SOCKET [-P] (-m MODULE | -c CODE | FILE) ARGUMENT...
        Stands for a fork towards whoever started it, and itself starts in milliseconds. Signals go on to the fork,
        killing it kills the fork, and it ends as the fork did.

What differs from a process that imports for itself: that the import has happened, the process number, the process
group, the hash seed, and that at its end modules are not taken down one by one. What a test says of these, it says of
`sys.executable`.
"""

import marshal
import os
import signal
import socket
import sys
from functools import cache

_SOCKET = "socket"
_FORWARDED = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGXCPU,
)
# What every command that builds a model or trains imports.
_MODULES = (
    "torchvision",
    "torch._dynamo",
    "numpy.ma",
    "torchdeck.engine.launching.launch",
    "torchdeck.engine.training.trainer",
    "torchdeck.tui.commands",
    "optuna.importance",
    "optuna.storages.journal",
)


@cache
def warm_python() -> tuple[str, ...]:
    """The beginning of a command line, to stand where `sys.executable` would; the first call starts the warm process.

    That one imports while this process goes on, and ends with it. Of Python's options only -P, -m and -c.
    """
    import atexit
    import subprocess
    import tempfile

    folder = tempfile.mkdtemp(prefix="warm-")
    path = os.path.join(folder, _SOCKET)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, "serve", str(listener.fileno()), *_MODULES],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))},
            cwd=folder,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    atexit.register(process.communicate)
    return sys.executable, "-I", "-S", __file__, "ask", path


def ask(path: str, command: list[str]) -> None:
    """Have the command run by a fork of the warm process, and end as it ends."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        for number in _FORWARDED:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
        request = marshal.dumps((command, dict(os.environb), os.getcwd(), _give_up_terminal()))
        socket.send_fds(connection, [len(request).to_bytes(8, "little")], [0, 1, 2])
        connection.sendall(request)
        # The fork's streams are its own from here on: a reader must see them end with it.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        answer = connection.recv(2)
    status = int.from_bytes(answer, "little", signed=True) if answer else -signal.SIGKILL
    if status < 0:
        if -status in _FORWARDED:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _give_up_terminal() -> bool:
    """Leave the terminal at standard input to another session. Returns whether it was the one of this session."""
    import fcntl
    import termios

    if not os.isatty(0) or os.getsid(0) != os.getpid():
        return False
    # The kernel hangs up the terminal's foreground group, this process.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    fcntl.ioctl(0, termios.TIOCNOTTY)
    signal.signal(signal.SIGHUP, before)
    return True


def serve(descriptor: int) -> list[str]:
    """Fork for whoever asks at the socket, until standard input ends: then its folder, the current one, is removed.

    Returns in forks only: the command it is to run.
    """
    import select
    from contextlib import suppress

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(fileno=descriptor)
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, f"an import has started {len(threads) - 1} threads, which no fork would have"
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            os.unlink(_SOCKET)
            os.rmdir(os.getcwd())
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return _fork_and_keep(connection)
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _fork_and_keep(connection: socket.socket) -> list[str]:
    """Fork, and wait for the fork's end and for signals to it. Returns in the fork only: the command it is to run."""
    import select

    header, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
    size = int.from_bytes(header, "little")
    request = b""
    while len(request) < size and (piece := connection.recv(size - len(request))):
        request += piece
    command, environment, folder, leads_terminal = marshal.loads(request)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(environment, folder, descriptors, leads_terminal)
        return command
    for descriptor in (0, 1, 2, *descriptors):
        os.close(descriptor)
    end = os.pidfd_open(child)
    while end not in select.select([connection, end], [], [])[0]:
        numbers = connection.recv(64)
        for number in numbers or [signal.SIGKILL]:
            os.kill(child, number)
        if not numbers:
            break
    _, status = os.waitpid(child, 0)
    try:
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(2, "little", signed=True))
    except OSError:
        # Whoever asked has been killed.
        os._exit(1)
    os._exit(0)


def _become(environment: dict[bytes, bytes], folder: str, descriptors: list[int], leads_terminal: bool) -> None:
    """Take the place of the process that asked."""
    os.setsid()
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    if leads_terminal:
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # The server's streams know whether its own descriptors could seek, which says nothing of the new ones.
    sys.stdin = os.fdopen(0, encoding=sys.stdin.encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding=sys.stderr.encoding, errors=sys.stderr.errors, closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environb.clear()
    os.environb.update(environment)
    os.chdir(folder)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    added = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry not in sys.path]
    sys.path[:0] = added


def _run_as_python(command: list[str]) -> int:
    """Run a command line of Python's as far as tests use it. Returns the exit status."""
    import atexit
    import threading
    import traceback

    try:
        _run(command)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
    except BrokenPipeError:
        return 120
    return status


def _run(command: list[str]) -> None:
    import runpy
    from types import ModuleType

    is_safe = command[0] == "-P"
    sys.argv = command[is_safe:]
    kind = sys.argv[0]
    if not is_safe:
        sys.path.insert(0, os.getcwd() if kind in ("-m", "-c") else os.path.dirname(os.path.abspath(kind)))
    if kind == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(sys.argv.pop(1), main.__dict__)
    else:
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(sys.argv[2], sys.argv[3:])
    import gc
    import importlib

    # What is imported stays, in every fork: not worth a collection, nor the pages that one would write to.
    gc.disable()
    for name in sys.argv[3:]:
        importlib.import_module(name)
    gc.freeze()
    command = serve(int(sys.argv[2]))
    gc.enable()
    os._exit(_run_as_python(command))
