"""Procrastinate at its best: LISTEN/NOTIFY on, and jobs that need no thread."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import procrastinate
import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.tasks import Task

from benchmarks.peers.contest import Contest, PeerResult, wait_for
from benchmarks.peers.worker_processes import worker_processes

_DATABASE = "PROCRASTINATE_PEER_DATABASE_URL"
_CONCURRENCY = "PROCRASTINATE_PEER_CONCURRENCY"


def measure(
    *, broker_url: str, database_url: str, jobs: int, processes: int, threads: int
) -> PeerResult:
    """Measure procrastinate in an empty database; it needs no broker.

    Each of ``processes`` workers runs up to ``threads`` jobs at a time.
    """
    del broker_url
    with running(database_url=database_url, processes=processes, concurrency=threads) as contestant:
        return Contest(contestant).measure(jobs)


@contextmanager
def running(*, database_url: str, processes: int, concurrency: int) -> Iterator["_Procrastinate"]:
    """Create the schema and run the workers; all of them are there when the block begins."""
    app, task = _make_app(procrastinate.SyncPsycopgConnector(conninfo=database_url))
    with app.open(), psycopg.connect(database_url, autocommit=True) as connection:
        app.schema_manager.apply_schema()
        with worker_processes(
            work,
            environment={_DATABASE: database_url, _CONCURRENCY: str(concurrency)},
            count=processes,
        ):
            contestant = _Procrastinate(task, connection)
            wait_for(lambda: contestant.workers() == processes or None, pause_seconds=0.1)
            yield contestant


def _make_app(connector: BaseConnector) -> tuple[procrastinate.App, Task[Any, Any, Any]]:
    app = procrastinate.App(connector=connector)
    return app, app.task(name="noop")(_noop)


async def _noop() -> None:
    pass


@dataclass(frozen=True)
class _Procrastinate:
    task: Task[Any, Any, Any]
    connection: psycopg.Connection[Any]

    def enqueue(self) -> int:
        return self.task.defer()

    def enqueue_many(self, jobs: int) -> None:
        self.task.batch_defer(*({} for _ in range(jobs)))

    def workers(self) -> int:
        """Count the workers that reported for duty."""
        row = self.connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone()
        return int(row[0]) if row else 0

    def completed(self) -> tuple[int, datetime | None]:
        row = self.connection.execute(
            "SELECT count(*), max(at) FROM procrastinate_events WHERE type = 'succeeded'"
        ).fetchone()
        return row or (0, None)

    def completed_at(self, job: int) -> datetime | None:
        row = self.connection.execute(
            "SELECT at FROM procrastinate_events WHERE job_id = %s AND type = 'succeeded'", [job]
        ).fetchone()
        return row[0] if row else None


def work() -> None:
    """Be a worker, with what the environment says, until SIGTERM."""
    concurrency = int(os.environ[_CONCURRENCY])
    app, _ = _make_app(
        procrastinate.PsycopgConnector(
            conninfo=os.environ[_DATABASE], min_size=concurrency + 2, max_size=concurrency + 2
        )
    )
    app.run_worker(concurrency=concurrency)
