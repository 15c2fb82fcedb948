"""The embedded server: PostgreSQL under our supervision, shared by all processes of a data folder.

It listens on a unix socket that its owner alone can reach, runs while at least one process has it
open, and comes to no harm when any of them is killed. Two file locks say who is who: see guardian.
"""

import fcntl
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from workers.database.cluster import NAME, create_cluster, program, server_command
from workers.database.identity import choose_identity
from workers.database.layout import PORT, DataFolderError, Layout
from workers.database.leftovers import clear_leftovers
from workers.database.pool import DatabaseUnavailableError

_START_DEADLINE_SECONDS = 120  # replaying a long log after a crash takes its time
_STOP_DEADLINE_SECONDS = 90
_POLL_SECONDS = 0.01
_SLOWEST_POLL_SECONDS = 0.25  # a server busy with recovery logs each question
_LAST_WORDS = 3  # lines

_logger = structlog.get_logger(__name__)


def open_embedded(data_dir: Path) -> "EmbeddedServer":
    """Join the server that runs on ``data_dir``, or start it, creating it at first use.

    Raises:
        DatabaseUnavailableError: it does not start or answer; the text ends with its last words.
        DataFolderError: the folder cannot be used, or belongs to another user.
        LeftoverServerError: processes of a former server could not be ended.
        NoIdentityError: PostgreSQL runs neither as this user nor, for root, as another one.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = EmbeddedServer(Layout(data_dir.resolve()))
        try:
            server.ensure_running()
        except BaseException:
            server.close()
            raise
    except OSError as error:
        raise DataFolderError(
            f"{data_dir} cannot hold the embedded database ({error}); correct that, or choose"
            " another folder with KEYWRIGHT_DATA_DIR."
        ) from error
    return server


class EmbeddedServer:
    """The use of the embedded server by this process; it ends with ``close`` or the process."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._log_start = 0
        self._use: int | None = _open_lock(layout.users_lock)
        fcntl.flock(self._use, fcntl.LOCK_SH)  # waits while a guardian is stopping the server

    @property
    def conninfo(self) -> str:
        """How to connect to the database ``keywright``, as the role that owns it."""
        directory = str(self._layout.socket_directory)
        return make_conninfo(host=directory, port=PORT, dbname=NAME, user=NAME)

    def ensure_running(self) -> None:
        """Return once the server answers; start it where nobody guards it (any more).

        Raises: as ``open_embedded``.
        """
        started = False
        pause = _POLL_SECONDS
        deadline = time.monotonic() + _START_DEADLINE_SECONDS
        while True:
            if (lock := _take(self._layout.guardian_lock, fcntl.LOCK_EX)) is not None:
                try:
                    if started:
                        raise DatabaseUnavailableError(
                            f"The embedded database did not start: {self._last_words()}"
                        )
                    self._start(lock)
                finally:
                    os.close(lock)
                started = True
                deadline = time.monotonic() + _START_DEADLINE_SECONDS
            if self._answers():
                break
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"The embedded database did not answer within {_START_DEADLINE_SECONDS} s;"
                    f" see {self._layout.log}, which ends: {self._last_words()}"
                )
            time.sleep(pause)
            pause = min(1.1 * pause, _SLOWEST_POLL_SECONDS)
        event = "embedded database started" if started else "embedded database joined"
        _logger.debug(event, data_dir=str(self._layout.data_dir))

    def close(self) -> None:
        """Use the server no more. Whoever is the last waits until it has stopped."""
        if self._use is None:
            return
        os.close(self._use)  # forked children keep theirs
        self._use = None
        deadline = time.monotonic() + _STOP_DEADLINE_SECONDS
        with suppress(FileNotFoundError):  # somebody removed the whole folder
            while self._is_stopping() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, guardian_lock: int) -> None:
        """Put the data in order and hand the server and the lock over to a new guardian."""
        layout = self._layout
        clear_leftovers(layout)
        identity = choose_identity(layout, program("postgres"))
        if layout.owner is None:
            create_cluster(layout, identity)
        identity.own(layout.cluster)
        layout.make_socket_directory(identity.uid)
        guardian = [sys.executable, "-m", "workers.database.guardian"]
        log = os.open(layout.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._log_start = os.fstat(log).st_size
            subprocess.run(  # noqa: S603 - our own module
                [*guardian, str(guardian_lock), layout.data_dir, *server_command(layout, identity)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[guardian_lock],
                cwd=Path(__file__).parents[2],  # where to find the module, installed or not
                start_new_session=True,  # Ctrl-C is for the users
                check=False,  # if it did not come up, the lock is free again
            )
        finally:
            os.close(log)

    def _answers(self) -> bool:
        if not self._layout.has_private_socket_directory() or not self._layout.socket.exists():
            return False
        try:
            psycopg.connect(self.conninfo, connect_timeout=_START_DEADLINE_SECONDS).close()
        except psycopg.OperationalError:
            return False
        return True

    def _is_stopping(self) -> bool:
        """Whether there is a guardian and nobody for whom it would keep the server running."""
        if _is_free(self._layout.guardian_lock, fcntl.LOCK_SH):
            return False
        if _is_free(self._layout.users_lock, fcntl.LOCK_EX):
            return True  # it will notice in a moment
        return not _is_free(self._layout.users_lock, fcntl.LOCK_SH)

    def _last_words(self) -> str:
        with self._layout.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").split("\n")
        return " / ".join([line.strip() for line in lines if line.strip()][-_LAST_WORDS:])


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _take(path: Path, mode: int) -> int | None:
    """Lock ``path`` if that is possible at once; closing what is returned unlocks it."""
    lock = _open_lock(path)
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_free(path: Path, mode: int) -> bool:
    lock = _take(path, mode)
    if lock is not None:
        os.close(lock)
    return lock is not None
