"""Celery at its best under the promises asked for: nothing accepted is lost.

Quorum queue, publisher confirms, late acknowledgement, results in Postgres. What its defaults
would cost it is switched off: events, gossip, mingle, its own heartbeat, a ping of the database
before each result.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import celery
import psycopg
from celery.platforms import SecurityWarning

from benchmarks.peers.contest import Contest, PeerResult
from benchmarks.peers.worker_processes import worker_processes

_BROKER = "CELERY_PEER_BROKER_URL"
_DATABASE = "CELERY_PEER_DATABASE_URL"
_CONCURRENCY = "CELERY_PEER_CONCURRENCY"
_TASK = "noop"

# Found the fastest on two cores, among pools of 1 to 8 children and 1 to 128 messages for each.
_CHILDREN_PER_PROCESS = 2
_PREFETCH_PER_CHILD = 64


def measure(
    *, broker_url: str, database_url: str, jobs: int, processes: int, threads: int
) -> PeerResult:
    """Measure Celery on an empty virtual host and an empty database.

    Its pool is made of processes alone: a pool of threads opens a database connection for every
    result and is far slower for it.
    """
    del threads
    children = processes * _CHILDREN_PER_PROCESS
    with running(
        broker_url=broker_url, database_url=database_url, concurrency=children
    ) as contestant:
        return Contest(contestant).measure(jobs)


@contextmanager
def running(*, broker_url: str, database_url: str, concurrency: int) -> Iterator["_Celery"]:
    """Run a worker with a prefork pool of this size."""
    app = make_app(broker_url, database_url)
    app.backend  # noqa: B018  # made when first looked at, and its tables with it
    environment = {
        _BROKER: broker_url,
        _DATABASE: database_url,
        _CONCURRENCY: str(concurrency),
    }
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        worker_processes(work, environment=environment),
    ):
        yield _Celery(app.tasks[_TASK], connection)


def make_app(broker_url: str, database_url: str) -> Any:
    """Return a Celery application with its one task; the tables for results are created."""
    app = celery.Celery(
        "peer",
        broker=broker_url,
        backend="db+" + database_url.replace("postgresql://", "postgresql+psycopg://", 1),
        set_as_current=False,
    )
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options={"confirm_publish": True},
        database_engine_options={"pool_pre_ping": False},
        task_acks_late=True,
        task_default_queue="peer",
        task_default_queue_type="quorum",
        task_ignore_result=False,
        task_reject_on_worker_lost=True,
        worker_disable_rate_limits=True,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=_PREFETCH_PER_CHILD,
    )
    app.task(name=_TASK)(_noop)
    return app


def _noop() -> None:
    pass


@dataclass(frozen=True)
class _Celery:
    task: Any
    connection: psycopg.Connection[Any]

    def enqueue(self) -> str:
        return str(self.task.delay().id)

    def enqueue_many(self, jobs: int) -> None:
        # Celery has no call for many that is as safe; each waits for its own confirmation.
        for _ in range(jobs):
            self.task.delay()

    def completed(self) -> tuple[int, datetime | None]:
        row = self.connection.execute(
            "SELECT count(*), max(date_done) FROM celery_taskmeta WHERE status = 'SUCCESS'"
        ).fetchone()
        count, last = row or (0, None)
        return count, None if last is None else last.replace(tzinfo=UTC)

    def completed_at(self, job: str) -> datetime | None:
        row = self.connection.execute(
            "SELECT date_done FROM celery_taskmeta WHERE task_id = %s AND status = 'SUCCESS'",
            [job],
        ).fetchone()
        return row[0].replace(tzinfo=UTC) if row else None


def work() -> None:
    """Be a worker, with what the environment says, until SIGTERM."""
    # Everybody is measured as the user who runs the benchmark, be it root.
    warnings.simplefilter("ignore", SecurityWarning)
    app = make_app(os.environ[_BROKER], os.environ[_DATABASE])
    app.worker_main(
        [
            *("worker", "--pool=prefork", f"--concurrency={os.environ[_CONCURRENCY]}"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"),
        ]
    )
