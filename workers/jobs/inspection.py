"""The ledger as people see and steer it: list, show, retry, cancel, health."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """A job in a listing."""

    job_id: int
    kind: str
    organization: str | None
    state: str
    attempt: int
    max_attempts: int
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    problem_title: str | None


@dataclass(frozen=True, kw_only=True)
class JobDetails(JobSummary):
    """All there is to know of a job."""

    queue: str
    requested_by: str
    door: str
    arguments: dict[str, Any]
    unique_key: str | None
    hints: int
    worker: str | None
    lease_until: datetime | None
    cancel_asked_at: datetime | None
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    problem: dict[str, Any] | None
    enqueued_at: datetime


@dataclass(frozen=True, kw_only=True)
class QueueBacklog:
    """How much of a queue's work is in which state, and since when the oldest due job waits."""

    queue: str
    waiting: int
    due: int
    running: int
    failed: int
    oldest_due_at: datetime | None


_SUMMARY = """
SELECT job_id, kind, organization.name AS organization, state::text AS state, attempt,
       max_attempts, run_at, started_at, finished_at, problem ->> 'title' AS problem_title
  FROM keywright.job LEFT JOIN keywright.organization USING (organization_id)
"""


def list_jobs(
    connection: Connection,
    *,
    state: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[JobSummary]:
    """Return up to ``limit`` jobs, newest first, of one state or kind, older than ``before``."""
    with connection.cursor(row_factory=class_row(JobSummary)) as cursor:
        return cursor.execute(
            _SUMMARY
            + """
             WHERE (%(state)s::keywright.job_state IS NULL OR state = %(state)s)
               AND (%(kind)s::text IS NULL OR kind = %(kind)s)
               AND (%(before)s::bigint IS NULL OR job_id < %(before)s)
             ORDER BY job_id DESC
             LIMIT %(limit)s
            """,
            {"state": state, "kind": kind, "before": before, "limit": limit},
        ).fetchall()


def show_job(connection: Connection, job_id: int) -> JobDetails:
    """Return one job.

    Raises:
        NotFoundError: there is none of this number.
    """
    with connection.cursor(row_factory=class_row(JobDetails)) as cursor:
        job = cursor.execute(
            """
            SELECT job_id, kind, organization.name AS organization, state::text AS state, attempt,
                   max_attempts, run_at, started_at, finished_at,
                   problem ->> 'title' AS problem_title, queue::text AS queue,
                   requested_by, door, arguments, unique_key, hints, worker, lease_until,
                   cancel_asked_at, progress, result, problem, enqueued_at
              FROM keywright.job LEFT JOIN keywright.organization USING (organization_id)
             WHERE job_id = %(job_id)s
            """,
            {"job_id": job_id},
        ).fetchone()
    if job is None:
        raise NotFoundError(f"There is no job {job_id}; `keywright job list` shows the latest.")
    return job


def retry_job(connection: Connection, job_id: int) -> None:
    """Let a failed or cancelled job begin anew, with all its attempts.

    Raises:
        NotFoundError: there is none of this number.
        ConflictError: it is not finished, it succeeded, or another took over its unique key.
    """
    try:
        with connection.transaction():
            retried = connection.execute(
                """
                UPDATE keywright.job
                   SET state = 'scheduled', run_at = now(), attempt = 0, hints = 0,
                       finished_at = NULL, cancel_asked_at = NULL
                 WHERE job_id = %(job_id)s AND state IN ('failed', 'cancelled')
                """,
                {"job_id": job_id},
            ).rowcount
    except psycopg.errors.UniqueViolation:
        raise ConflictError(
            f"Job {job_id} cannot be retried: another unfinished job has its unique key by now."
        ) from None
    if not retried:
        state = show_job(connection, job_id).state
        raise ConflictError(
            f"Job {job_id} is {state}; only failed and cancelled jobs can be retried."
        )


def cancel_job(connection: Connection, job_id: int) -> str:
    """Cancel a waiting job at once; ask a running one to end at its next checkpoint.

    Returns the state that the job has now: ``cancelled`` or ``running``.

    Raises:
        NotFoundError: there is none of this number.
        ConflictError: it is finished already.
    """
    row = connection.execute(
        """
        UPDATE keywright.job
           SET cancel_asked_at = now(),
               state = CASE state WHEN 'running' THEN state ELSE 'cancelled' END,
               finished_at = CASE state WHEN 'running' THEN NULL ELSE now() END
         WHERE job_id = %(job_id)s AND state IN ('scheduled', 'ready', 'running')
        RETURNING state::text
        """,
        {"job_id": job_id},
    ).fetchone()
    if row is None:
        state = show_job(connection, job_id).state
        raise ConflictError(f"Job {job_id} is {state} already; there is nothing to cancel.")
    return str(row[0])


def backlog(connection: Connection) -> list[QueueBacklog]:
    """Return the backlog of every queue."""
    with connection.cursor(row_factory=class_row(QueueBacklog)) as cursor:
        return cursor.execute(
            """
            SELECT each.queue::text AS queue,
                   count(job_id) FILTER (WHERE state IN ('scheduled', 'ready')) AS waiting,
                   count(job_id) FILTER (WHERE state IN ('scheduled', 'ready') AND run_at <= now())
                       AS due,
                   count(job_id) FILTER (WHERE state = 'running') AS running,
                   count(job_id) FILTER (WHERE state = 'failed') AS failed,
                   min(run_at) FILTER (WHERE state IN ('scheduled', 'ready') AND run_at <= now())
                       AS oldest_due_at
              FROM unnest(enum_range(NULL::keywright.queue)) AS each (queue)
              LEFT JOIN keywright.job ON job.queue = each.queue
               AND state IN ('scheduled', 'ready', 'running', 'failed')
             GROUP BY each.queue
             ORDER BY each.queue
            """
        ).fetchall()


def has_settled(connection: Connection, kind: str, queue: str, *, since: datetime) -> bool:
    """Whether a job of ``kind`` has succeeded since, and nothing is left to do in ``queue``."""
    row = connection.execute(
        """
        SELECT coalesce(bool_or(kind = %(kind)s AND state = 'succeeded'
                                AND finished_at >= %(since)s), false)
               AND NOT bool_or(finished_at IS NULL AND queue = %(queue)s::keywright.queue)
          FROM keywright.job
         WHERE finished_at IS NULL OR finished_at >= %(since)s
        """,
        {"kind": kind, "queue": queue, "since": since},
    ).fetchone()
    return row is not None and bool(row[0])
