"""A worker process that re-encrypts: ``python -m tests.faults.reencryption_worker``.

The database comes from TEST_CONNINFO, and the rest of the settings as for any worker.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.faults.worker_process import WorkerProcess, work_until_told_to_stop
from workers.contract import Queue
from workers.reencryption import order, planning, reading, rewriting


class ReencryptionWorker(WorkerProcess):
    """A worker with the usual handlers, in a process of its own."""

    def __init__(self, conninfo: str, broker_url: str | None, *, root_key: str) -> None:
        environment = {
            **os.environ,
            "TEST_CONNINFO": conninfo,
            "KEYWRIGHT_ROOT_KEY": root_key,
            "KEYWRIGHT_SMTP_URL": "smtp://localhost",
            "KEYWRIGHT_LEASE_SECONDS": "2",
            "KEYWRIGHT_SHUTDOWN_GRACE_SECONDS": "1",
            "KEYWRIGHT_WORKER_THREADS": "2",
            "dramatiq_restart_delay": "200",
        }
        if broker_url is not None:
            environment["KEYWRIGHT_BROKER_URL"] = broker_url
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.reencryption_worker"],
            env=environment,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )


def take_small_steps() -> None:
    """Have a table of some thousand rows divided and rewritten as if it were large."""
    planning.FEWEST_BLOCKS = 16
    reading._FIRST_BLOCKS = 4
    order.STRIDES, order.LANES = 4, 1
    vars(rewriting)["FIRST_ROWS"] = 40


if __name__ == "__main__":
    take_small_steps()
    work_until_told_to_stop(queues=[Queue.ENCRYPTION])
