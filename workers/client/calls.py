"""Asking for a job, and for what became of it, by SQL functions in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Jsonb

from workers.client.errors import NoSuchJobError, translated
from workers.contract import JobRequest


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as its requester sees it."""

    job_id: int
    kind: str
    organization: str
    state: str
    attempt: int
    max_attempts: int
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    problem: dict[str, Any] | None
    unique_key: str | None
    run_at: datetime
    enqueued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def enqueue(
    connection: psycopg.Connection[Any],
    request: JobRequest,
    *,
    organization: str,
    unique_key: str | None = None,
    run_at: datetime | None = None,
) -> int:
    """Ask for a job; workers see it when the caller's transaction commits. Return its number.

    With a ``unique_key``, an unfinished job of the same kind, organization and key that this
    requester asked for is returned instead of a second one. ``run_at`` (aware) delays the job.
    A refusal breaks the transaction off, as every error in SQL; use a savepoint to go on.

    Raises:
        NotAllowedError: no grant for it, or no such organization; it is not told which.
        InvalidArgumentsError, TooLargeError: the request itself will not do.
        TooManyOpenJobsError: try again when some jobs are done.
    """
    with translated(), connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(
            """
            SELECT keywright.enqueue(%(kind)s, %(arguments)s, %(organization)s, %(unique_key)s,
                                     %(run_at)s)
              FROM set_config('keywright.door', 'python', true)
            """,
            {
                "kind": request.kind,
                "arguments": Jsonb(
                    # What does not fit its field is for the database to refuse, which repeats
                    # no value; a warning would.
                    request.model_dump(
                        mode="json", exclude_defaults=True, by_alias=True, warnings=False
                    )
                ),
                "organization": organization,
                "unique_key": unique_key,
                "run_at": run_at,
            },
        ).fetchone()
    assert row is not None
    return int(row[0])


def job_status(connection: psycopg.Connection[Any], job_id: int) -> Job:
    """Return what became of a job that this requester asked for.

    Raises:
        NoSuchJobError: it asked for no such job.
    """
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        job = cursor.execute(
            """
            SELECT job_id, kind, organization, state, attempt, max_attempts, progress, result,
                   problem, unique_key, run_at, enqueued_at, started_at, finished_at
              FROM keywright.requested_job
             WHERE job_id = %(job_id)s
            """,
            {"job_id": job_id},
        ).fetchone()
    if job is None:
        raise NoSuchJobError(f"This requester has no job {job_id}.")
    return job


def cancel(connection: psycopg.Connection[Any], job_id: int) -> str:
    """Cancel a job: a waiting one at once, a running one at its next checkpoint.

    Returns the state that it has now, ``cancelled`` or ``running``.

    Raises:
        NoSuchJobError: this requester asked for no such job.
        WrongStateError: it is finished already.
    """
    with translated(), connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute("SELECT keywright.cancel(%(job_id)s)", {"job_id": job_id}).fetchone()
    assert row is not None
    return str(row[0])


def retry(connection: psycopg.Connection[Any], job_id: int) -> None:
    """Let a failed or cancelled job begin anew, with all its attempts.

    Raises:
        NoSuchJobError: this requester asked for no such job.
        NotAllowedError: its grant was taken back.
        WrongStateError: it is not finished, it succeeded, or another has its unique key.
    """
    with translated():
        connection.execute("SELECT keywright.retry(%(job_id)s)", {"job_id": job_id})
