"""keywright in the same contest: ledger, relay and workers, over real RabbitMQ."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from benchmarks.peers.contest import Contest, PeerResult, wait_for
from benchmarks.peers.worker_processes import worker_processes
from scheduler.__main__ import main as schedule
from workers.composition import run_worker
from workers.contract import Ping
from workers.database.pool import Connection
from workers.database.schema import create_schema
from workers.jobs.enqueue import enqueue, enqueue_many
from workers.jobs.housekeeping import ping
from workers.processes import stop_on_signals
from workers.settings import load_settings
from workers.telemetry import configure_logging

_BATCH = 1000


def measure(
    *, broker_url: str, database_url: str, jobs: int, processes: int, threads: int
) -> PeerResult:
    """Measure keywright on an empty database and an empty virtual host."""
    with running(
        broker_url=broker_url, database_url=database_url, processes=processes, threads=threads
    ) as contestant:
        return Contest(contestant).measure(jobs)


@contextmanager
def running(
    *, broker_url: str, database_url: str, processes: int, threads: int
) -> Iterator["_Keywright"]:
    """Create the schema, run one scheduler and the workers; all work when the block begins.

    With an empty ``broker_url``, hints stay inside each worker process.
    """
    environment = {
        "KEYWRIGHT_DATABASE_URL": database_url,
        "KEYWRIGHT_BROKER_URL": broker_url,
        "KEYWRIGHT_WORKER_THREADS": str(threads),
        "KEYWRIGHT_LOG_LEVEL": "warning",
    }
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_schema(connection)
        with (
            worker_processes(schedule, environment=environment),
            worker_processes(work, environment=environment, count=processes),
        ):
            contestant = _Keywright(connection)
            wait_for(lambda: contestant.workers() >= processes or None, pause_seconds=0.1)
            yield contestant


@dataclass(frozen=True)
class _Keywright:
    connection: Connection

    def enqueue(self) -> int:
        return enqueue(self.connection, Ping()).job_id

    def enqueue_many(self, jobs: int) -> None:
        for start in range(0, jobs, _BATCH):
            enqueue_many(self.connection, [Ping()] * min(_BATCH, jobs - start))

    def workers(self) -> int:
        """Count the worker processes that are connected."""
        row = self.connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'keywright worker'"
        ).fetchone()
        return int(row[0]) if row else 0

    def completed(self) -> tuple[int, datetime | None]:
        row = self.connection.execute(
            "SELECT count(*), max(finished_at) FROM keywright.job"
            " WHERE kind = 'system.ping' AND state = 'succeeded'"
        ).fetchone()
        return row or (0, None)

    def completed_at(self, job: int) -> datetime | None:
        row = self.connection.execute(
            "SELECT finished_at FROM keywright.job WHERE job_id = %s AND state = 'succeeded'", [job]
        ).fetchone()
        return row[0] if row else None


def work() -> None:
    """Be a worker process, with what the environment says, until SIGTERM."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    run_worker(settings, stop_on_signals(), handlers={Ping: ping})
