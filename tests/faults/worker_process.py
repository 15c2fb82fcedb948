"""A worker process that does the test jobs: ``python -m tests.faults.worker_process``.

The database comes from KEYWRIGHT_DATABASE_URL, and the rest of the settings as for any worker.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dramatiq

from tests.faults.jobs import HANDLERS
from tests.servers.waiting import until
from workers.composition import compose_worker
from workers.settings import load_settings
from workers.telemetry import configure_logging


class WorkerProcess:
    """A worker in a process of its own, to be stopped, killed or frozen."""

    def __init__(
        self,
        conninfo: str,
        broker_url: str | None,
        *,
        threads: int = 4,
        lease_seconds: float = 2,
        grace_seconds: float = 1,
    ) -> None:
        environment = {
            **os.environ,
            "TEST_CONNINFO": conninfo,
            "KEYWRIGHT_LEASE_SECONDS": str(lease_seconds),
            "KEYWRIGHT_SHUTDOWN_GRACE_SECONDS": str(grace_seconds),
            "KEYWRIGHT_WORKER_THREADS": str(threads),
            "KEYWRIGHT_LOG_FORMAT": "text",
            "dramatiq_restart_delay": "200",
        }
        if broker_url is not None:
            environment["KEYWRIGHT_BROKER_URL"] = broker_url
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker_process"],
            env=environment,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as a deploy does, once it has begun."""
        until(self._minds_sigterm, "the worker to mind SIGTERM")
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0

    def _minds_sigterm(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        [caught] = [line for line in status.splitlines() if line.startswith("SigCgt:")]
        return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))

    def freeze(self) -> None:
        """Stop its clock."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, unaware of what it missed."""
        self.process.send_signal(signal.SIGCONT)


def work_until_told_to_stop(*, log: tuple[str, str] = ("info", "text"), **what: Any) -> None:
    """Be a worker until SIGTERM; ``what`` it works on is as for ``compose_worker``."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = load_settings()
    configure_logging(*log)
    broker = compose_worker(settings, os.environ["TEST_CONNINFO"], **what)
    worker = dramatiq.Worker(broker, worker_threads=settings.worker_threads, worker_timeout=100)
    worker.start()
    stop.wait()
    worker.stop(timeout=20_000)
    broker.close()


if __name__ == "__main__":
    work_until_told_to_stop(handlers=HANDLERS)
