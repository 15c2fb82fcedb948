"""The process that runs the embedded server for as long as some process uses it.

``python -m workers.database.guardian LOCK DATA_DIR COMMAND...`` goes into the background. LOCK is
the descriptor of the guardian lock, held already; COMMAND becomes the server. Users hold a shared
lock, which the kernel takes from them however they end; the guardian waits for the exclusive one,
then stops the server and ends with both locks in its hands. So who comes next finds either a
server in order or none.

Only the standard library is imported, so that this stays small beside the server.
"""

import ctypes
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

from workers.database.layout import Layout
from workers.database.leftovers import clear_leftovers

_LOG_LIMIT_BYTES = 4 * 1024 * 1024
_LOG_CHECK_SECONDS = 60
_RESTART_PAUSE_SECONDS = 1  # whatever kills the server may do so again: out of memory, say
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_logger = logging.getLogger("guardian")
_prctl = ctypes.CDLL(None).prctl


class _Users(Enum):
    GONE = "gone"


_Event: TypeAlias = _Users | int
"""Nobody uses the server any more, or the server ended with this return code."""


def guard(layout: Layout, command: Sequence[str], lock: int) -> int:
    """Run the server until nobody uses it, or until it ends for a reason of its own.

    A server that was killed is started again under the feet of its users, unless the folder is gone
    whose guardian lock is ``lock``. Return an exit code.
    """
    events: SimpleQueue[_Event] = SimpleQueue()
    server = _start(command, events)
    threading.Thread(target=_await_last_user, args=(layout, events), daemon=True).start()
    while True:
        while (event := _next(events, _LOG_CHECK_SECONDS)) is None:
            _limit(layout.log)
        if event is _Users.GONE:
            _stop(server, events)
            return 0
        if event >= 0:
            return 1  # it has written its reason into the log
        _logger.warning("the server was killed by signal %d, starting it again", -event)
        if _next(events, _RESTART_PAUSE_SECONDS) is _Users.GONE:
            return 0
        if not _is_in_place(layout, lock):
            _logger.warning("its data folder is gone")
            return 1
        clear_leftovers(layout)
        server = _start(command, events)


def _is_in_place(layout: Layout, lock: int) -> bool:
    """Whether the data folder is still the one with our lock; its name may be another's by now."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(lock), layout.guardian_lock.stat())
    return False


def _start(command: Sequence[str], events: SimpleQueue[_Event]) -> subprocess.Popen[bytes]:
    guardian = os.getpid()

    def end_with_guardian() -> None:
        # Survives execve and unshare; setpriv, which changes the user, has to say it once more.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != guardian:
            os._exit(1)

    server = subprocess.Popen(  # noqa: S603 - the command of the process that started us
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=end_with_guardian,  # noqa: PLW1509 - our threads hold no lock it would need
    )
    threading.Thread(target=lambda: events.put(server.wait()), daemon=True).start()
    return server


def _stop(server: subprocess.Popen[bytes], events: SimpleQueue[_Event]) -> None:
    """Shut the server down fast, at once or by force: committed data survive all three."""
    for request, patience_seconds in (
        (signal.SIGINT, 60),
        (signal.SIGQUIT, 10),
        (signal.SIGKILL, None),
    ):
        server.send_signal(request)
        if _next(events, patience_seconds) is not None:
            return


def _await_last_user(layout: Layout, events: SimpleQueue[_Event]) -> None:
    lock = os.open(layout.users_lock, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    events.put(_Users.GONE)


def _next(events: SimpleQueue[_Event], timeout_seconds: float | None) -> _Event | None:
    try:
        return events.get(timeout=timeout_seconds)
    except Empty:
        return None


def _limit(log: Path) -> None:
    """Keep the log and one predecessor; its writers append, so it may be cut under them."""
    with suppress(OSError):
        if log.stat().st_size > _LOG_LIMIT_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def main(arguments: Sequence[str]) -> int:
    """Go into the background and guard."""
    lock, data_dir, command = int(arguments[0]), arguments[1], arguments[2:]
    os.set_inheritable(lock, False)
    os.umask(0o077)
    os.chdir("/")
    if os.fork() != 0:
        os._exit(0)  # so that nobody has a guardian for a child
    # When a machine or a service goes down everybody is told at once; the database goes last.
    for request in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(request, lambda *_: None)  # unlike SIG_IGN not passed on to the server
    logging.basicConfig(format="%(asctime)s [%(process)d] %(name)s: %(message)s")
    layout = Layout(Path(data_dir))
    _limit(layout.log)
    status = guard(layout, command, lock)
    if _is_in_place(layout, lock):
        with suppress(OSError):
            layout.socket_directory.rmdir()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
