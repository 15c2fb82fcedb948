"""What a server leaves when it or its guardian was killed: processes, marks, half a database.

To be cleared by the holder of the guardian lock only: nothing of this is in use then.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from workers.database.layout import Layout
from workers.errors import TransientError

_FAST_SHUTDOWN_SECONDS = 60
_LAST_RESORT_SECONDS = 10
_POLL_SECONDS = 0.02


class LeftoverServerError(TransientError):
    """Processes of a former server cannot be ended; the text has their ids."""

    code = "leftover-server"
    title = "A former database server is still running"


def clear_leftovers(layout: Layout) -> None:
    """End the processes of a former server and remove what would stop the next one.

    Raises:
        LeftoverServerError: a process did not end.
    """
    layout.socket.unlink(missing_ok=True)  # from here on nobody joins what is about to end
    cluster = layout.cluster
    pid_file = cluster / "postmaster.pid"
    parent = _first_number(pid_file)
    if parent in _processes(cluster):
        _signal(parent, signal.SIGINT)
        _wait(lambda: parent not in _processes(cluster), _FAST_SHUTDOWN_SECONDS)
    # Those whose parent is dead know it soon, unless they are busy with a statement.
    for last_resort in (signal.SIGQUIT, signal.SIGKILL):
        for process in _processes(cluster):
            _signal(process, last_resort)
        if _wait(lambda: not _processes(cluster), _LAST_RESORT_SECONDS):
            break
    else:
        remaining = ", ".join(map(str, sorted(_processes(cluster))))
        raise LeftoverServerError(
            f"A former server still uses {cluster}; end the processes {remaining} and try again."
        )
    # The numbers in these may belong to any process by now, and PostgreSQL would wait for it.
    for mark in (pid_file, layout.socket, layout.socket.with_name(f"{layout.socket.name}.lock")):
        mark.unlink(missing_ok=True)
    # Where a creation was killed its initdb lives until it has something to report to nobody.
    _wait(lambda: _has_removed_unfinished(layout), _LAST_RESORT_SECONDS)


def _processes(cluster: Path) -> set[int]:
    """Find the server processes at work in ``cluster``: PostgreSQL makes it their directory.

    A folder removed under a running server counts as well; its socket is where ours will be.
    """
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # ended meanwhile, or not ours to look at
                here = str((process / "cwd").readlink()).removesuffix(" (deleted)") == str(cluster)
                if here and (process / "comm").read_text() == "postgres\n":
                    found.add(int(process.name))
    return found


def _has_removed_unfinished(layout: Layout) -> bool:
    for unfinished in layout.data_dir.glob(f"{layout.unfinished_prefix}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
        if unfinished.exists():
            return False
    return True


def _signal(process: int, request: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, request)


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
