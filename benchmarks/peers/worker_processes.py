"""Running a peer's workers as processes, and ending them for certain."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.deathwatch import watch_over

_ROOT = Path(__file__).parents[2]
_STOP_SECONDS = 15


@contextmanager
def worker_processes(
    work: Callable[[], None], *, environment: Mapping[str, str], count: int = 1
) -> Iterator[None]:
    """Run ``work``, a function of some module, in ``count`` processes until the block ends.

    They are asked to stop with SIGTERM; what is left of them and their children is then killed,
    as all are when the calling process dies.
    """
    call = f"from {work.__module__} import {work.__name__}; {work.__name__}()"
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="keywright-benchmark-") as folder:
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-c", call],
                env={**os.environ, **environment},
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=started[0].pid if started else 0,
            )
            started.append(process)
        group = started[0].pid
        deathwatch = watch_over(group, Path(folder))
        try:
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            for process in started:
                process.wait()
            deathwatch.kill()
            deathwatch.wait()
