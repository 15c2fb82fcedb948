"""A worker process that does jobs on keystores: ``python -m tests.faults.keystore_worker``.

The database comes from TEST_CONNINFO, and the rest of the settings as for any worker.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.faults.worker_process import WorkerProcess, work_until_told_to_stop
from workers.contract import Queue


class KeystoreWorker(WorkerProcess):
    """A worker with the usual handlers, in a process of its own, that logs everything to a file."""

    def __init__(self, conninfo: str, broker_url: str | None, *, root_key: Path, log: Path) -> None:
        environment = {
            **os.environ,
            "TEST_CONNINFO": conninfo,
            "KEYWRIGHT_ROOT_KEY": f"file:{root_key}",
            "KEYWRIGHT_SMTP_URL": "smtp://localhost",
            "KEYWRIGHT_LEASE_SECONDS": "2",
            "KEYWRIGHT_SHUTDOWN_GRACE_SECONDS": "1",
            "KEYWRIGHT_WORKER_THREADS": "4",
            "dramatiq_restart_delay": "200",
        }
        if broker_url is not None:
            environment["KEYWRIGHT_BROKER_URL"] = broker_url
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.keystore_worker"],
                env=environment,
                cwd=Path(__file__).parents[2],
                stderr=stderr,
                start_new_session=True,
            )

    def family(self) -> list[Path]:
        """Return the worker and all that it has started, as folders of /proc."""
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # gone meanwhile
                parents[int(stat.parent.name)] = int(
                    stat.read_text().rpartition(") ")[2].split()[1]
                )
        family = [self.process.pid]
        for member in family:
            family += [child for child, parent in parents.items() if parent == member]
        return [Path("/proc", str(member)) for member in family]


if __name__ == "__main__":
    work_until_told_to_stop(log=("debug", "json"), queues=[Queue.CERTIFICATES, Queue.MAINTENANCE])
