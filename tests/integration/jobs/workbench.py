"""Kinds of jobs with small limits, and one worker's tools without the worker around them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from psycopg.rows import dict_row

from workers.contract import JobRequest, Queue
from workers.database.pool import Connection, Pool
from workers.errors import TransientError
from workers.jobs.claim import ClaimedJob, claim_job
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Execution, Handler
from workers.jobs.inspection import JobDetails, show_job
from workers.jobs.keeper import Keeper
from workers.jobs.reaper import reap_expired_leases

LEASE_SECONDS = 30.0


class Plain(JobRequest):
    """A job with limits that are easy to reckon with."""

    kind: ClassVar[str] = "test.plain"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    max_attempts: ClassVar[int] = 3
    retry_base_seconds: ClassVar[float] = 10

    number: int = 0


class Brief(JobRequest):
    """A job that may take the fifth part of a second."""

    kind: ClassVar[str] = "test.brief"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    time_limit_seconds: ClassVar[float] = 0.2


class OutOfPaperError(TransientError):
    """Trying again helps once somebody has brought paper."""

    code = "out-of-paper"
    title = "The printer has no paper"


class Workbench:
    """Executes jobs one at a time, in the thread of the test."""

    def __init__(self, ledger: Pool, pool: Pool, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.ledger = ledger
        self.pool = pool
        self.lease_seconds = lease_seconds
        self.keeper = Keeper(ledger, lease_seconds=lease_seconds)
        self.keeper.start()

    def execution(self, handlers: Mapping[type[JobRequest], Handler]) -> Execution:
        """Return the execution of a worker that knows these kinds."""
        return Execution(
            self.ledger,
            self.pool,
            self.keeper,
            handlers,
            worker="test:1",
            lease_seconds=self.lease_seconds,
        )

    def execute(
        self, handle: Handler, request: JobRequest | None = None, *, job_id: int | None = None
    ) -> JobDetails:
        """Execute a job, a new one if none is named, and return what became of it."""
        request = request or Plain()
        if job_id is None:
            with self.ledger.connection() as connection:
                job_id = enqueue(connection, request).job_id
        self.execution({type(request): handle}).execute(job_id)
        with self.ledger.connection() as connection:
            return show_job(connection, job_id)


def claim(connection: Connection, job_id: int, *, lease_seconds: float = 30) -> ClaimedJob:
    """Claim a job that is due."""
    claimed = claim_job(connection, job_id, worker="test:1", lease_seconds=lease_seconds)
    assert claimed is not None
    return claimed


def new_jobs(
    connection: Connection,
    count: int,
    *,
    queue: Queue = Queue.CERTIFICATES,
    due: timedelta = timedelta(0),
) -> list[int]:
    """Insert jobs that became due so long ago, or become due if that is negative."""
    rows = connection.execute(
        "INSERT INTO keywright.job (kind, queue, max_attempts, run_at)"
        " SELECT 'test.plain', %s, 3, now() - %s FROM generate_series(1, %s) RETURNING job_id",
        [queue.value, due, count],
    ).fetchall()
    return [row[0] for row in rows]


def row(connection: Connection, job_id: int) -> dict[str, Any]:
    """Return the whole row of a job."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("SELECT * FROM keywright.job WHERE job_id = %s", [job_id]).fetchone()
    assert found is not None
    return found


def states(connection: Connection) -> dict[int, str]:
    """Return the state of every job."""
    return dict(
        connection.execute("SELECT job_id, state::text FROM keywright.job ORDER BY 1").fetchall()
    )


def count(connection: Connection, table: str = "keywright.job") -> int:
    """Return the number of rows of a table."""
    found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert found is not None
    return int(found[0])


def database_clock(connection: Connection) -> datetime:
    """Return the time as the database sees it."""
    found = connection.execute("SELECT clock_timestamp()").fetchone()
    assert found is not None
    now: datetime = found[0]
    return now


def finish_as(connection: Connection, job_id: int, state: str) -> None:
    """Put a job into one of the states in which it is finished."""
    connection.execute(
        "UPDATE keywright.job SET state = %s::keywright.job_state, finished_at = now(),"
        " claim = NULL, lease_until = NULL, problem = '{}' WHERE job_id = %s",
        [state, job_id],
    )


def let_lease_run_out(connection: Connection, job_id: int) -> None:
    """Make it seem as if the worker of a running job fell silent a lease ago."""
    connection.execute(
        "UPDATE keywright.job SET lease_until = now() - interval '1 second' WHERE job_id = %s",
        [job_id],
    )


def take_over(connection: Connection, job_id: int) -> None:
    """Let another worker have the job, as after a long silence of the first."""
    let_lease_run_out(connection, job_id)
    assert reap_expired_leases(connection) == 1
    assert claim_job(connection, job_id, worker="other:2", lease_seconds=60) is not None


def problem(job: JobDetails) -> dict[str, Any]:
    """Return the problem of a job that has one."""
    assert job.problem is not None
    return job.problem
