"""Running a peer's workers as processes, and ending them for certain."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_STOP_SECONDS = 15


@contextmanager
def worker_processes(
    work: Callable[[], None], *, environment: Mapping[str, str], count: int = 1
) -> Iterator[None]:
    """Run ``work``, a function of some module, in ``count`` processes until the block ends.

    Each is asked to stop with SIGTERM; what is left of it and its children is then killed.
    """
    call = f"from {work.__module__} import {work.__name__}; {work.__name__}()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", call],
            env={**os.environ, **environment},
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
