"""Commands to a live run: a queue that the engine empties between steps, and the socket that fills it from outside.

The socket carries commands and their answers, a JSON line each; never data, code or paths. Everything there is to see
of a run is read from its directory.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import selectors
import socket
import stat
import struct
import threading
import time
import uuid
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any, cast

from ..errors import RunError
from ..files.documents import DocumentError, parse_json
from ..files.state_folder import state_folder
from .commands import Answer, Command, problem_with
from .on_disk.directory import owner_pid, read_state
from .on_disk.distant import distant_owner
from .spool import answer_spool, send_by_spool

SOCKET_FILE = "control.sock"
PROTOCOL = 1

# The kernel's limit for a socket's path is 108 bytes.
_MAX_PATH_BYTES = 100
_MAX_LINE_BYTES = 64 << 10
_MAX_CLIENTS = 8
_MAX_WAITING_CLIENTS = 64
_MAX_ANSWERS = 256
_LOOK_SECONDS = 5.0
_SPOOL_SECONDS = 2.0
_ANSWER_SECONDS = 3.0
_BREATHER_SECONDS = 0.1


class Control:
    """Commands waiting for the engine. Any thread may submit; one thread takes.

    Attributes:
        pending: whether there may be a command; cheap to look at in every step.
        stop_asked: when a stop at the next step was first asked for, in seconds of the monotonic clock; None before.
    """

    def __init__(self) -> None:
        self.pending = False
        self.stop_asked: float | None = None
        self._commands: deque[Command] = deque()
        self._arrived = threading.Event()

    def submit(self, command: Command) -> Answer:
        """Check a command and queue it; one that is not allowed is dropped, and the answer says why."""
        if problem := problem_with(command):
            return {"ok": False, "error": problem}
        if command["cmd"] == "stop" and command.get("after", "step") == "step" and self.stop_asked is None:
            self.stop_asked = time.monotonic()
        self._commands.append(command.copy())
        self.pending = True
        self._arrived.set()
        return {"ok": True}

    def take(self) -> list[Command]:
        """The commands since the last call, in order."""
        # Lowered before the queue is emptied: a command that arrives in between raises it again.
        self.pending = False
        self._arrived.clear()
        taken = []
        while self._commands:
            taken.append(self._commands.popleft())
        return taken

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is a command, at most `timeout` seconds. Says whether there is one."""
        return self._arrived.wait(timeout)


class ControlServer:
    """Offers a run's `Control` on a socket that only the same user can use, in a thread of its own."""

    def __init__(self, run: Path, held: Path, control: Control) -> None:
        """Use `start`.

        Args:
            run: the run's directory, by which clients find the socket.
            held: the same by way of a descriptor: the socket of another run in its place is neither removed nor
                replaced.
            control: takes the commands.
        """
        self._run, self._held = run, held
        self._control = control
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._clients: dict[socket.socket, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._listener: socket.socket | None = None
        self._path = held / SOCKET_FILE
        self._inode = 0
        self._is_running = False
        self._next_look = self._next_offer = 0.0
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> str:
        """Offer the socket. This process must own the run, so that a socket that is there already is a dead one.

        Training needs no socket: where none can be made, the server tries again every few seconds.

        Returns:
            Why there is no socket yet; empty when there is one.
        """
        problem = ""
        try:
            self._offer()
        except OSError as error:
            problem = str(error)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._is_running = True
        self._thread.start()
        return problem

    def move(self, run: Path, held: Path) -> None:
        """The run's directory is elsewhere now: offer the socket there, within seconds."""
        self._run, self._held = run, held

    def stop(self) -> None:
        """End the thread and remove the socket. A second call does nothing."""
        if not self._is_running:
            return
        self._is_running = False
        os.write(self._wake_writer, b"x")
        self._thread.join()
        self._withdraw()
        for client in list(self._clients):
            self._drop(client)
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _serve(self) -> None:
        while True:
            ready = self._selector.select(timeout=_SPOOL_SECONDS)
            if not ready and time.monotonic() >= self._next_offer:
                self._next_offer = time.monotonic() + _LOOK_SECONDS
                self._offer_again_if_gone()
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + _SPOOL_SECONDS
                answer_spool(self._held, self._reply_to)
            for key, _ in ready:
                if key.fileobj == self._wake_reader:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)

    def _offer(self) -> None:
        listener, self._path = _listening_socket(self._run, self._held)
        self._inode = os.lstat(self._path).st_ino
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)

    def _withdraw(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        if self._is_offered():
            # On a disk that became read-only it stays, and nobody listens there.
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _is_offered(self) -> bool:
        try:
            return os.lstat(self._path).st_ino == self._inode
        except OSError:
            return False

    def _offer_again_if_gone(self) -> None:
        """Cleaners of temporary folders remove sockets of live programs; commands must keep working."""
        if self._is_offered() or not self._run.is_dir():
            return
        self._withdraw()
        try:
            self._offer()
        except OSError:
            # No folder takes a socket at the moment; the next look tries again.
            self._inode = 0

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:
            # The client is gone already, or this process has no descriptor left: then not at full speed again.
            time.sleep(_BREATHER_SECONDS)
            return
        if not _is_same_user(client):
            client.close()
            return
        if len(self._clients) >= _MAX_CLIENTS:
            self._drop(next(iter(self._clients)))
        client.setblocking(False)
        self._clients[client] = bytearray()
        self._selector.register(client, selectors.EVENT_READ)

    def _read(self, client: socket.socket) -> None:
        try:
            data = client.recv(_MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        buffer = self._clients[client]
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            if not self._answer(client, self._reply_to(line)):
                return
        if len(buffer) > _MAX_LINE_BYTES:
            self._answer(client, {"ok": False, "error": f"a command is longer than {_MAX_LINE_BYTES} bytes"})
            self._drop(client)

    def _reply_to(self, line: bytes) -> Answer:
        try:
            command = parse_json(line)
        except DocumentError:
            return {"ok": False, "error": "not a JSON object on one line"}
        if not isinstance(command, dict):
            return {"ok": False, "error": "not a JSON object on one line"}
        if command.get("cmd") == "hello":
            return {"ok": True, "protocol": PROTOCOL, "run": self._run.name, "pid": os.getpid()}
        number = str(command.pop("id", ""))[:100]
        if number and number in self._answers:
            # The answer got lost and the client asks again: the command must not be done twice.
            return self._answers[number]
        # It may be anything: what is no command is refused there.
        reply = self._control.submit(cast("Command", command))
        if number:
            self._answers[number] = reply
            while len(self._answers) > _MAX_ANSWERS:
                self._answers.popitem(last=False)
        return reply

    def _answer(self, client: socket.socket, reply: Answer) -> bool:
        try:
            client.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:
            self._drop(client)
            return False
        return True

    def _drop(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        del self._clients[client]
        client.close()


def send(run: Path, command: Command, timeout: float = _ANSWER_SECONDS) -> Answer:
    """Send a command to the process that trains the run in directory `run`, and wait for its answer.

    Returns:
        The answer: ``ok``, and ``error`` when the command is not allowed.

    Raises:
        RunError: the run is not training, or its process doesn't answer.
    """
    if (owner := owner_pid(run)) is None:
        raise RunError(f"{run.name}: is not training, so {command.get('cmd')} can't be sent to it")
    if read_state(run).get("reads_commands") is False:
        raise RunError(
            f"{run.name}: its program reads no commands, so {command.get('cmd')} can't be sent to it; a loop "
            "reads them with run.commands()"
        )
    if (distant := distant_owner(run, read_state(run))) is not None:
        try:
            return send_by_spool(run, command)
        except RunError as error:
            raise RunError(f"{error}; it trains {distant.words}") from error
    line = json.dumps({"id": uuid.uuid4().hex, **command}).encode() + b"\n"
    problem: OSError | ValueError | None = None
    for path in _socket_paths(run):
        try:
            return cast("Answer", _exchange(path, line, timeout))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            problem = problem or error
        except (OSError, ValueError) as error:
            problem = error
            break
    raise RunError(f"{run.name}: its process {owner} did not answer on {SOCKET_FILE}: {problem}") from problem


def _exchange(path: Path, line: bytes, timeout: float) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(timeout)
        if not _has_room_for_socket(path):
            raise FileNotFoundError(_too_long(path))
        _connect(connection, path, timeout)
        if not _is_same_user(connection):
            raise PermissionError(f"{path} belongs to another user")
        connection.sendall(line)
        answer = b""
        while not answer.endswith(b"\n"):
            data = connection.recv(_MAX_LINE_BYTES)
            if not data or len(answer) > _MAX_LINE_BYTES:
                raise ConnectionError("the connection was closed")
            answer += data
    reply = parse_json(answer)
    if not isinstance(reply, dict):
        raise ValueError("the answer is not a JSON object")
    return reply


def _connect(connection: socket.socket, path: Path, timeout: float) -> None:
    """Connect, waiting while more clients than the queue holds do the same: a unix socket refuses them immediately."""
    end = time.monotonic() + timeout
    while True:
        try:
            connection.connect(str(path))
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(_BREATHER_SECONDS)


def _listening_socket(run: Path, held: Path) -> tuple[socket.socket, Path]:
    """A listening socket in the run's directory, or where that is impossible in a private folder. Raises OSError."""
    problems = []
    for path in _socket_paths(run):
        if not _has_room_for_socket(path):
            problems.append(_too_long(path))
            continue
        try:
            if path.parent != run:
                _make_private_folder(path.parent)
            place = held / path.name if path.parent == run else path
            return _bound_socket(place), place
        except OSError as error:
            # Some network and container file systems hold no sockets; a shared folder may be somebody else's.
            problems.append(f"{path.parent}: {error.strerror or error}")
    raise OSError("; ".join(problems))


def _bound_socket(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # On Linux the file takes the mode of the socket: it is private from its first moment on, without a change of
        # the umask, which belongs to all threads.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        listener.listen(_MAX_WAITING_CLIENTS)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _socket_paths(run: Path) -> list[Path]:
    """Where a run's socket may lie, in the order of trying: in its directory, else in a private folder.

    Not below XDG_RUNTIME_DIR: logind removes that at the last logout, which is when the run must stay reachable.
    """
    digest = hashlib.sha256(os.fsencode(run.resolve())).hexdigest()[:16]
    return [run / SOCKET_FILE, *(folder / f"{digest}.sock" for folder in _private_folders())]


def _has_room_for_socket(path: Path) -> bool:
    return len(os.fsencode(path)) <= _MAX_PATH_BYTES


def _too_long(path: Path) -> str:
    return f"{path.parent}: a socket's path has at most {_MAX_PATH_BYTES} bytes"


def _private_folders() -> list[Path]:
    own = f"torchdeck-{os.getuid()}"
    return [Path("/tmp", own), state_folder() / "sockets", Path("/dev/shm", own)]


def _make_private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(errno.EACCES, "not a private folder of yours")


def _is_same_user(connection: socket.socket) -> bool:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in (os.geteuid(), 0)
