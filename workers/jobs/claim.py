"""A job's way from claimed to finished: every statement here is fenced by the claim.

A claim is a random id that only the claiming worker knows. Whoever lost the job, because its lease
ran out, somebody else has it, or the database forgot an unflushed claim in a crash, matches no row.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from workers.database.pool import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedJob:
    """A job as its worker got it; ``now`` is the database's clock at that moment."""

    job_id: int
    claim: UUID
    kind: str
    organization_id: int | None
    arguments: dict[str, Any]
    attempt: int
    max_attempts: int
    now: datetime


def claim_job(
    connection: Connection, job_id: int, *, worker: str, lease_seconds: float
) -> ClaimedJob | None:
    """Take the job if it is due and nobody has it; None means there is nothing to do here."""
    claim = uuid4()
    row = connection.execute(
        # The commit need not reach the disk before work begins: whatever the job commits later
        # flushes this record too, and a claim that a crash of the database forgot fits no fence.
        """
        UPDATE keywright.job
           SET state = 'running', attempt = attempt + 1, claim = %(claim)s, worker = %(worker)s,
               lease_until = now() + make_interval(secs => %(lease_seconds)s), started_at = now(),
               progress = NULL
          FROM (SELECT set_config('synchronous_commit', 'off', true)) AS unhurried
         WHERE job_id = %(job_id)s AND state IN ('scheduled', 'ready') AND run_at <= now()
           AND attempt < max_attempts
        RETURNING kind, organization_id, arguments, attempt, max_attempts, now()
        """,
        {"job_id": job_id, "claim": claim, "worker": worker, "lease_seconds": lease_seconds},
    ).fetchone()
    if row is None:
        return None
    kind, organization_id, arguments, attempt, max_attempts, now = row
    return ClaimedJob(
        job_id=job_id,
        claim=claim,
        kind=kind,
        organization_id=organization_id,
        arguments=arguments,
        attempt=attempt,
        max_attempts=max_attempts,
        now=now,
    )


def finish_job(connection: Connection, job: ClaimedJob, result: dict[str, Any] | None) -> bool:
    """Mark the job succeeded; False means that it is no longer ours."""
    return _update(
        connection,
        job,
        """state = 'succeeded', claim = NULL, lease_until = NULL, problem = NULL,
           result = %(result)s, finished_at = clock_timestamp()""",
        result=None if result is None else Jsonb(result),
    )


def fail_job(connection: Connection, job: ClaimedJob, problem: dict[str, Any]) -> bool:
    """End the job as failed, for the reason given; False means that it is no longer ours."""
    return _update(
        connection,
        job,
        """state = 'failed', claim = NULL, lease_until = NULL, problem = %(problem)s,
           finished_at = clock_timestamp()""",
        problem=Jsonb(problem),
    )


def retry_job_later(
    connection: Connection, job: ClaimedJob, problem: dict[str, Any], delay_seconds: float
) -> bool:
    """Schedule another attempt; False means that the job is no longer ours."""
    return _update(
        connection,
        job,
        """state = 'scheduled', claim = NULL, lease_until = NULL, hints = 0,
           problem = %(problem)s,
           run_at = clock_timestamp() + make_interval(secs => %(delay_seconds)s)""",
        problem=Jsonb(problem),
        delay_seconds=delay_seconds,
    )


def give_back_job(connection: Connection, job: ClaimedJob) -> bool:
    """Return an interrupted job with its attempt; False means that it is no longer ours."""
    return _update(
        connection,
        job,
        """state = 'scheduled', claim = NULL, lease_until = NULL, hints = 0,
           attempt = attempt - 1, run_at = clock_timestamp()""",
    )


def end_cancelled_job(connection: Connection, job: ClaimedJob) -> bool:
    """End a job whose handler heard the cancellation; False means that it is no longer ours."""
    return _update(
        connection,
        job,
        """state = 'cancelled', claim = NULL, lease_until = NULL,
           finished_at = clock_timestamp()""",
    )


def record_progress(
    connection: Connection, job: ClaimedJob, *, done: int, total: int | None
) -> bool:
    """Store how far the job is; from ``since`` and ``at`` a reader derives rate and time left."""
    return _update(
        connection,
        job,
        """progress = jsonb_build_object('done', %(done)s::bigint, 'total', %(total)s::bigint,
                                         'since', started_at, 'at', clock_timestamp())""",
        done=done,
        total=total,
    )


def renew_lease(connection: Connection, job: ClaimedJob, lease_seconds: float) -> bool:
    """Extend the lease; False means that the job is no longer ours."""
    return _update(
        connection,
        job,
        "lease_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s)",
        lease_seconds=lease_seconds,
    )


def _update(connection: Connection, job: ClaimedJob, assignments: str, **values: object) -> bool:
    return (
        connection.execute(
            f"UPDATE keywright.job SET {assignments}"
            " WHERE job_id = %(job_id)s AND claim = %(claim)s",
            {"job_id": job.job_id, "claim": job.claim, **values},
        ).rowcount
        == 1
    )


def renew_leases(
    connection: Connection, claims: dict[int, UUID], lease_seconds: float
) -> dict[int, bool]:
    """Extend many leases in one statement.

    Returns for each job that is still ours whether its cancellation was asked for.
    """
    rows = connection.execute(
        """
        UPDATE keywright.job
           SET lease_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
          FROM unnest(%(job_ids)s::bigint[], %(claims)s::uuid[]) AS ours (job_id, claim)
         WHERE job.job_id = ours.job_id AND job.claim = ours.claim
        RETURNING job.job_id, job.cancel_asked_at IS NOT NULL
        """,
        {
            "lease_seconds": lease_seconds,
            "job_ids": list(claims),
            "claims": list(claims.values()),
        },
    ).fetchall()
    return dict(rows)
