"""Cleans up after a process that may die without the time to do it, by SIGKILL for instance.

Run as ``deathwatch.py PROCESS PROCESS_GROUP DIRECTORY`` it waits until PROCESS is gone, kills the
process group and removes the directory. It stays apart from the test process: its own session, no
shared files.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_TRIES = 100
_PAUSE_SECONDS = 0.05


def watch_over(process_group: int, directory: Path) -> subprocess.Popen[bytes]:
    """Tie a process group and a directory to the life of the calling process.

    Kill what is returned, and wait for it, to release them.
    """
    script = [sys.executable, "-I", "-S", __file__]
    return subprocess.Popen(
        [*script, str(os.getpid()), str(process_group), str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _watch(process: int, process_group: int, directory: Path) -> None:
    # A process id can be used again only once its parent took note of the death, and the process
    # that is watched is the parent of this one: either it is alive here or getppid has changed.
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process)
        if os.getppid() == process:
            select.select([handle], [], [])
    with suppress(ProcessLookupError):
        os.killpg(process_group, signal.SIGKILL)
    for _ in range(_TRIES):  # the killed may still have been writing
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    _watch(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
