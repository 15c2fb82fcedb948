"""A worker process that calls webhooks: ``python -m tests.faults.webhook_worker``.

The database comes from TEST_CONNINFO, and the rest of the settings as for any worker.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.faults.worker_process import WorkerProcess, work_until_told_to_stop
from workers.contract import Queue


class WebhookWorker(WorkerProcess):
    """A worker with the usual handlers, in a process of its own."""

    def __init__(self, conninfo: str, broker_url: str | None, *, root_key: Path) -> None:
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
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.webhook_worker"],
            env=environment,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )


if __name__ == "__main__":
    work_until_told_to_stop(queues=[Queue.NOTIFICATIONS])
