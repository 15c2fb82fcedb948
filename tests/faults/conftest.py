"""The whole engine around one fresh database: scheduler, worker processes, marks to count."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from scheduler.service import SchedulerService
from tests.faults.jobs import TABLES, LeaveMark
from tests.faults.keystore_vault import Vault
from tests.faults.scheduler_processes import Schedulers
from tests.faults.worker_process import WorkerProcess
from tests.servers.waiting import until
from workers.contract import JobRequest
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue


@dataclass
class Engine:
    """What a test does with the engine, and what it asks of it."""

    conninfo: str
    broker_url: str | None
    stack: ExitStack
    _connection: Connection | None = None

    def start_scheduler(self, *, stale_hint_seconds: float = 1) -> SchedulerService:
        """Run a scheduler in this process until the test ends."""
        return self.stack.enter_context(
            SchedulerService(
                self.conninfo,
                self.broker_url,
                timetable=(),
                stale_hint_seconds=stale_hint_seconds,
            )
        )

    def start_worker(self, *, threads: int = 4, broker_url: str | None = None) -> WorkerProcess:
        """Run a worker process until the test ends."""
        return self.stack.enter_context(
            WorkerProcess(self.conninfo, broker_url or self.broker_url, threads=threads)
        )

    def connect(self) -> Connection:
        """Return the test's own connection; a new one where the server dropped the last."""
        with suppress(psycopg.OperationalError):
            if self._connection is not None:
                self._connection.execute("SELECT 1")
                return self._connection
        self._connection = self.stack.enter_context(psycopg.connect(self.conninfo, autocommit=True))
        return self._connection

    def enqueue(self, request: JobRequest, times: int = 1) -> list[int]:
        """Enqueue the same request so many times."""
        connection = self.connect()
        with connection.transaction():
            return [enqueue(connection, request).job_id for _ in range(times)]

    def await_arrival(self, job_id: int, *, attempt: int = 1) -> int:
        """Wait until a held job is running; return the process that runs it."""
        found: list[int] = []

        def arrived() -> bool:
            found[:] = [
                row[0]
                for row in self.connect().execute(
                    "SELECT worker FROM arrival WHERE job_id = %s AND attempt = %s",
                    [job_id, attempt],
                )
            ]
            return bool(found)

        until(arrived, f"job {job_id} to run for the {attempt}. time")
        return found[0]

    def open_gate(self) -> None:
        """Let held jobs go on."""
        self.connect().execute("INSERT INTO gate VALUES (true)")

    def state(self, job_id: int) -> tuple[str, int]:
        """Return a job's state and attempt."""
        row = (
            self.connect()
            .execute("SELECT state::text, attempt FROM keywright.job WHERE job_id = %s", [job_id])
            .fetchone()
        )
        assert row is not None
        return row[0], row[1]

    def await_end(self, job_ids: list[int], *, seconds: float = 60) -> None:
        """Wait until every one of the jobs is finished."""
        connection = self.connect()

        def ended() -> bool:
            row = connection.execute(
                "SELECT count(*) FROM keywright.job"
                " WHERE job_id = ANY (%s) AND finished_at IS NULL",
                [job_ids],
            ).fetchone()
            return row == (0,)

        until(ended, "all jobs to end", seconds=seconds)

    def assert_done_once(self, job_ids: list[int]) -> None:
        """Every one of the jobs succeeded, and left exactly one mark."""
        rows = (
            self.connect()
            .execute(
                "SELECT state::text, count(mark.job_id) FROM keywright.job"
                " LEFT JOIN mark USING (job_id)"
                " WHERE job_id = ANY (%s) GROUP BY job.job_id, state",
                [job_ids],
            )
            .fetchall()
        )
        assert rows == [("succeeded", 1)] * len(job_ids)


@pytest.fixture
def start_engine() -> Iterator[Callable[[str, str | None], Engine]]:
    """Make an engine around a database and a broker."""
    with ExitStack() as stack:

        def start(conninfo: str, broker_url: str | None) -> Engine:
            engine = Engine(conninfo, broker_url, stack)
            engine.connect().execute(TABLES)
            return engine

        yield start


@pytest.fixture
def engine(
    start_engine: Callable[[str, str | None], Engine], conninfo: str, broker_url: str
) -> Engine:
    """An engine over RabbitMQ, with nothing started yet."""
    return start_engine(conninfo, broker_url)


@pytest.fixture
def held_job(engine: Engine) -> int:
    """A job that waits for the gate once it runs."""
    [job_id] = engine.enqueue(LeaveMark(held=True))
    return job_id


@pytest.fixture
def build(tmp_path: Path, conninfo: str) -> Iterator[Callable[[str | None], Vault]]:
    """Make a vault, with a broker or without."""
    with ExitStack() as stack:
        yield lambda broker_url: Vault(conninfo, broker_url, tmp_path, stack)


@pytest.fixture
def schedulers(conninfo: str, broker_url: str) -> Iterator[Schedulers]:
    """None yet; those that are started end with the test."""
    with ExitStack() as stack:
        yield Schedulers(conninfo, broker_url, stack)
