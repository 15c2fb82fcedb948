"""Putting a job into the ledger, in the caller's own transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from workers.contract import JobRequest
from workers.database.pool import Connection
from workers.errors import InvalidRequestError

_LONGEST_KEY = 200


@dataclass(frozen=True)
class Enqueued:
    """The job that will do the work; ``created`` is False where an unfinished one was found."""

    job_id: int
    created: bool


def enqueue(
    connection: Connection,
    request: JobRequest,
    *,
    organization_id: int | None = None,
    unique_key: str | None = None,
    run_at: datetime | None = None,
) -> Enqueued:
    """Insert a job; it becomes visible to workers when the caller's transaction commits.

    With a ``unique_key``, a job of the same kind, organization and key that is not finished yet
    is returned instead of a second one. ``run_at`` (aware) delays the job; None means now.

    Raises:
        InvalidRequestError: ``unique_key`` is empty, too long, or holds what text cannot.
    """
    if unique_key is not None and not (
        unique_key.isprintable() and 1 <= len(unique_key) <= _LONGEST_KEY
    ):
        raise InvalidRequestError(f"unique_key: 1 to {_LONGEST_KEY} printable characters.")
    values = {
        "kind": request.kind,
        "queue": request.queue.value,
        "organization_id": organization_id,
        "arguments": Jsonb(request.model_dump(mode="json")),
        "unique_key": unique_key,
        "run_at": run_at,
        "max_attempts": request.max_attempts,
    }
    while True:
        row = connection.execute(_INSERT, values).fetchone()
        if row is not None:
            return Enqueued(job_id=row[0], created=True)
        row = connection.execute(_FIND_UNFINISHED, values).fetchone()
        if row is not None:
            return Enqueued(job_id=row[0], created=False)
        # The one in the way finished between the two statements: the key is free again.


def enqueue_many(
    connection: Connection,
    requests: Sequence[JobRequest],
    *,
    organization_id: int | None = None,
) -> list[int]:
    """Insert a job for each request in one statement; return their ids in the same order."""
    rows = connection.execute(
        """
        INSERT INTO keywright.job (kind, queue, organization_id, arguments, max_attempts)
        SELECT kind, queue::keywright.queue, %(organization_id)s, arguments, max_attempts
          FROM unnest(%(kinds)s::text[], %(queues)s::text[], %(arguments)s::jsonb[],
                      %(max_attempts)s::smallint[])
               WITH ORDINALITY AS asked (kind, queue, arguments, max_attempts, position)
         ORDER BY position
        RETURNING job_id
        """,
        {
            "organization_id": organization_id,
            "kinds": [request.kind for request in requests],
            "queues": [request.queue.value for request in requests],
            "arguments": [Jsonb(request.model_dump(mode="json")) for request in requests],
            "max_attempts": [request.max_attempts for request in requests],
        },
    ).fetchall()
    return [int(row[0]) for row in rows]


_INSERT = """
INSERT INTO keywright.job
       (kind, queue, organization_id, arguments, unique_key, run_at, max_attempts)
VALUES (%(kind)s, %(queue)s, %(organization_id)s, %(arguments)s, %(unique_key)s,
        coalesce(%(run_at)s, now()), %(max_attempts)s)
    ON CONFLICT (kind, organization_id, unique_key)
       WHERE unique_key IS NOT NULL AND state IN ('scheduled', 'ready', 'running') DO NOTHING
RETURNING job_id
"""

_FIND_UNFINISHED = """
SELECT job_id
  FROM keywright.job
 WHERE kind = %(kind)s AND organization_id IS NOT DISTINCT FROM %(organization_id)s
   AND unique_key = %(unique_key)s AND state IN ('scheduled', 'ready', 'running')
"""
