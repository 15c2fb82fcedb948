"""A job's way from claimed to finished: every statement here is fenced by the claim.

A claim is a random id that only the claiming worker knows. Whoever lost the job, because its lease
ran out, somebody else has it, or the database forgot an unflushed claim in a crash, matches no row.
"""

from collections.abc import Sequence
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
    requested_by: str
    door: str


# Whose cancellation was asked for is not tried again.
_AGAIN_UNLESS_CANCELLED = """
    state = CASE WHEN cancel_asked_at IS NULL THEN 'scheduled' ELSE 'cancelled' END
            ::keywright.job_state,
    finished_at = CASE WHEN cancel_asked_at IS NOT NULL THEN clock_timestamp() END,
    claim = NULL, lease_until = NULL, hints = 0"""


def claim_jobs(
    connection: Connection, job_ids: Sequence[int], *, worker: str, lease_seconds: float
) -> list[ClaimedJob | None]:
    """Take each job that is due and that nobody has; None means there is nothing to do for it.

    A job that is named twice is taken once.
    """
    asked = [(job_id, uuid4()) for job_id in job_ids]
    in_order = sorted(asked)  # two workers that name the same jobs must not lock them crosswise
    rows = connection.execute(
        # The commit need not reach the disk before work begins: whatever the job commits later
        # flushes this record too, and a claim that a crash of the database forgot fits no fence.
        """
        UPDATE keywright.job
           SET state = 'running', attempt = attempt + 1, claim = asked.claim, worker = %(worker)s,
               lease_until = now() + make_interval(secs => %(lease_seconds)s), started_at = now(),
               progress = NULL
          FROM (SELECT set_config('synchronous_commit', 'off', true)) AS unhurried,
               unnest(%(job_ids)s::bigint[], %(claims)s::uuid[]) AS asked (job_id, claim)
         WHERE job.job_id = asked.job_id AND run_at <= now()
           -- Said so that no partial index fits: few of many are found by their numbers.
           AND state <> ALL ('{running, succeeded, failed, cancelled}')
           AND attempt < max_attempts
        RETURNING job.claim, job.job_id, kind, organization_id, arguments, attempt, max_attempts,
                  now(), requested_by, door
        """,
        {
            "job_ids": [job_id for job_id, _ in in_order],
            "claims": [claim for _, claim in in_order],
            "worker": worker,
            "lease_seconds": lease_seconds,
        },
    ).fetchall()
    claimed = {
        row[0]: ClaimedJob(
            claim=row[0],
            job_id=row[1],
            kind=row[2],
            organization_id=row[3],
            arguments=row[4],
            attempt=row[5],
            max_attempts=row[6],
            now=row[7],
            requested_by=row[8],
            door=row[9],
        )
        for row in rows
    }
    return [claimed.get(claim) for _, claim in asked]


def claim_job(
    connection: Connection, job_id: int, *, worker: str, lease_seconds: float
) -> ClaimedJob | None:
    """Take one job, as ``claim_jobs``."""
    return claim_jobs(connection, [job_id], worker=worker, lease_seconds=lease_seconds)[0]


def finish_jobs(
    connection: Connection, ended: Sequence[tuple[ClaimedJob, dict[str, Any] | None]]
) -> list[bool]:
    """Mark jobs succeeded, each with its result; False for those that are no longer ours."""
    in_order = sorted(ended, key=lambda each: each[0].job_id)
    rows = connection.execute(
        """
        UPDATE keywright.job
           SET state = 'succeeded', claim = NULL, lease_until = NULL, problem = NULL,
               result = ended.result, finished_at = clock_timestamp()
          FROM unnest(%(job_ids)s::bigint[], %(claims)s::uuid[], %(results)s::jsonb[])
               AS ended (job_id, claim, result)
         WHERE job.job_id = ended.job_id AND job.claim = ended.claim
        RETURNING job.job_id
        """,
        {
            "job_ids": [job.job_id for job, _ in in_order],
            "claims": [job.claim for job, _ in in_order],
            "results": [None if result is None else Jsonb(result) for _, result in in_order],
        },
    ).fetchall()
    finished = {row[0] for row in rows}
    return [job.job_id in finished for job, _ in ended]


def finish_job(connection: Connection, job: ClaimedJob, result: dict[str, Any] | None) -> bool:
    """Mark one job succeeded, in the transaction that holds its effect; False as above."""
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
        f"""{_AGAIN_UNLESS_CANCELLED}, problem = %(problem)s,
           run_at = clock_timestamp() + make_interval(secs => %(delay_seconds)s)""",
        problem=Jsonb(problem),
        delay_seconds=delay_seconds,
    )


def give_back_job(connection: Connection, job: ClaimedJob) -> bool:
    """Return an interrupted job with its attempt; False means that it is no longer ours."""
    return _update(
        connection,
        job,
        f"{_AGAIN_UNLESS_CANCELLED}, attempt = attempt - 1, run_at = clock_timestamp()",
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
