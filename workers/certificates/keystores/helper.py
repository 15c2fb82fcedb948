"""Starting the process that ``child`` describes, and asking it; one per process, for all threads.

It is started with a program of its own: forking here, where threads run, would not be safe.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from workers.certificates.keystores.exchange import STARTED
from workers.errors import TransientError

_PROGRAM = (
    "import sys; sys.path.append(sys.argv[2]);"
    " from workers.certificates.keystores.child import main; main()"
)
_ROOT = Path(__file__).resolve().parents[3]  # from which ``workers`` is imported
_STARTS = 2
_START_SECONDS = 30
_GRACE_SECONDS = 5


class NoAnswerError(Exception):
    """The child ended without an answer: the kernel stopped it at a limit."""


class HelperUnavailableError(TransientError):
    """The process that reads keystores does not start."""

    code = "keystore-helper"
    title = "Keystores cannot be read right now"


class Helper:
    """The process beside this one that forks a child for each keystore."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def ask(self, request: bytes, *, seconds: float, most_answer_bytes: int) -> bytes:
        """Have a child answer; ``seconds`` are those that it gives itself.

        Raises:
            NoAnswerError: it ended before, or its answer is too long.
            HelperUnavailableError: none could be started.
        """
        # The helper may have gone since: after a while of nothing to do, or killed.
        for _ in range(_STARTS):
            connection = self._connect()
            if connection is not None:
                with connection:
                    return _converse(connection, request, seconds, most_answer_bytes)
        raise HelperUnavailableError(
            "The process that reads keystores does not start; look at the memory of this machine"
            " and at how keywright is installed."
        )

    def close(self) -> None:
        """Let the helper end."""
        with self._lock:
            self._forget()

    def _connect(self) -> socket.socket | None:
        """Return the line to a child that has begun, or None if the helper is gone."""
        control = self._running()
        ours, theirs = socket.socketpair()
        begun = False
        try:
            with theirs:
                socket.send_fds(control, [b"\0"], [theirs.fileno()])
            ours.settimeout(_START_SECONDS)
            begun = ours.recv(1) == STARTED
        except OSError:
            pass
        if begun:
            return ours
        ours.close()
        with self._lock:
            if self._control is control:
                self._forget()
        return None

    def _running(self) -> socket.socket:
        with self._lock:
            if self._control is None:
                self._start()
            assert self._control is not None
            return self._control

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-I", "-c", _PROGRAM, str(theirs.fileno()), str(_ROOT)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a traceback could quote the file
                cwd="/",
                env={},  # settings hold passwords
                start_new_session=True,  # an interrupt from the terminal is for us to act on
            )
        self._control = ours
        atexit.register(self.close)

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            atexit.unregister(self.close)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
            if self._process.returncode is None:
                self._process.kill()
                self._process.wait()
            self._process = None


_helpers: dict[int, Helper] = {}


def helper_of_this_process() -> Helper:
    """Return the one helper; a process forked from this one gets its own."""
    return _helpers.setdefault(os.getpid(), Helper())


def _converse(
    connection: socket.socket, request: bytes, seconds: float, most_answer_bytes: int
) -> bytes:
    # The child's own clock ends it; this one is for a machine that does not get to it.
    deadline = time.monotonic() + seconds + _GRACE_SECONDS
    answer = bytearray()
    try:
        connection.settimeout(seconds + _GRACE_SECONDS)
        # A child that has ended already may have said why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        while len(answer) <= most_answer_bytes:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = connection.recv(1 << 20)
            if not part:
                break
            answer += part
    except OSError as error:
        raise NoAnswerError from error
    if not answer or len(answer) > most_answer_bytes:
        raise NoAnswerError
    return bytes(answer)
