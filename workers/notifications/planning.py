"""Planning in sets: which tiers are due, who hears of them, in which digest. SQL only.

One statement decides for a whole batch of certificate versions; what is due is found through the
index on ``next_notice_at``, so the cost grows with what is due and not with what exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workers.database.pool import Connection

_PLANNING_LOCK = 0x6E6F7463  # any number that nothing else locks: "notc"


@dataclass(frozen=True)
class Planned:
    """What one step did: versions examined, notices to send, tiers that nobody hears."""

    versions: int
    notices: int
    unheard: int


def plan_due_notices(connection: Connection, *, now: datetime, limit: int) -> Planned:
    """Plan the notices of up to ``limit`` versions whose next tier is due by ``now``.

    Per recipient only the most urgent due tier is told; the others are recorded as superseded (they
    came due during downtime). Every examined version moves on, told or not, so that none can block
    the rest. Steps of several scans take turns; the caller's transaction decides.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_PLANNING_LOCK])
    row = connection.execute(_PLAN, {"now": now, "limit": limit}).fetchone()
    assert row is not None
    return Planned(*row)


def digests_to_deliver(
    connection: Connection, *, now: datetime, limit: int
) -> list[tuple[int, int]]:
    """Return (organization id, digest id) of due digests without a job, by organization."""
    return connection.execute(
        """
        SELECT organization_id, digest_id
          FROM keywright.digest
         WHERE state = 'open' AND job_id IS NULL AND send_at <= %(now)s
         ORDER BY organization_id, digest_id
         LIMIT %(limit)s
           FOR UPDATE SKIP LOCKED
        """,
        {"now": now, "limit": limit},
    ).fetchall()


def assign_to_jobs(
    connection: Connection, chunks: Sequence[Sequence[int]], job_ids: Sequence[int]
) -> None:
    """Note for each chunk of digests which job delivers it."""
    connection.execute(
        """
        UPDATE keywright.digest
           SET job_id = assigned.job_id
          FROM unnest(%(digest_ids)s::bigint[], %(job_ids)s::bigint[])
               AS assigned (digest_id, job_id)
         WHERE digest.digest_id = assigned.digest_id
        """,
        {
            "digest_ids": [digest_id for chunk in chunks for digest_id in chunk],
            "job_ids": [
                job_id for chunk, job_id in zip(chunks, job_ids, strict=True) for _ in chunk
            ],
        },
    )


# The default policy, rules 51 to 59 of the model, in the order of the named steps below.
_PLAN = """
WITH due AS MATERIALIZED (
    SELECT version_id, organization_id, not_before, not_after
      FROM keywright.certificate_version
     WHERE next_notice_at <= %(now)s
     ORDER BY next_notice_at
     LIMIT %(limit)s
       FOR UPDATE
),
concerned AS MATERIALIZED (
    SELECT organization_id, time_zone, sending_hour,
           (%(now)s AT TIME ZONE time_zone)::date AS today
      FROM keywright.organization
     WHERE organization_id IN (SELECT organization_id FROM due)
),
-- The tiers of these versions that have no record yet.
pending AS MATERIALIZED (
    SELECT due.version_id, due.organization_id, tier.tier_days, tier.audience,
           keywright.tier_due_at(tier.tier_days, tier.life_divisor, due.not_before, due.not_after,
                                 concerned.time_zone, concerned.sending_hour) AS due_at
      FROM due
      JOIN concerned USING (organization_id)
     CROSS JOIN keywright.tier
     WHERE NOT EXISTS (SELECT FROM keywright.tier_record AS record
                        WHERE record.version_id = due.version_id
                          AND record.tier_days = tier.tier_days)
),
-- Active members, and for each audience whether they belong to it (rules 51, 52, 54).
listener AS MATERIALIZED (
    SELECT organization_id, member_id,
           is_administrator,
           is_holder OR (is_administrator AND NOT bool_or(is_holder) OVER organization)
               AS hears_as_holder
      FROM (SELECT organization_id, member_id,
                   profile = 'system_administrator' OR 'modify_all_data' = ANY (permissions)
                       AS is_administrator,
                   'receive_expiration_notices' = ANY (permissions) AS is_holder
              FROM keywright.member
             WHERE active AND organization_id IN (SELECT organization_id FROM concerned)) AS active
    WINDOW organization AS (PARTITION BY organization_id)
),
-- Each due tier with each member it is meant for; urgency 1 is the one they are told.
addressed AS MATERIALIZED (
    SELECT pending.version_id, pending.tier_days, listener.member_id, pending.organization_id,
           row_number() OVER (PARTITION BY pending.version_id, listener.member_id
                              ORDER BY pending.tier_days) AS urgency
      FROM pending
      JOIN listener ON listener.organization_id = pending.organization_id
       AND CASE pending.audience WHEN 'holders' THEN hears_as_holder ELSE is_administrator END
     WHERE pending.due_at <= %(now)s
),
-- A digest of today that is being sent already takes nothing more: the next day's does (rule 53).
-- The lock keeps a worker from closing a digest while we put something into it.
today_taken AS MATERIALIZED (
    SELECT digest.member_id, digest.state
      FROM keywright.digest
      JOIN concerned USING (organization_id)
     WHERE digest.local_day = concerned.today
       AND digest.member_id IN (SELECT member_id FROM addressed)
       FOR SHARE OF digest
),
carried AS MATERIALIZED (
    SELECT addressed.version_id, addressed.tier_days, addressed.member_id, addressed.urgency,
           addressed.organization_id,
           concerned.today
           + CASE WHEN today_taken.state <> 'open' THEN 1 ELSE 0 END AS local_day
      FROM addressed
      JOIN concerned USING (organization_id)
      LEFT JOIN today_taken USING (member_id)
),
opened AS (
    INSERT INTO keywright.digest (organization_id, member_id, local_day, send_at)
    SELECT DISTINCT carried.organization_id, carried.member_id, carried.local_day,
           CASE WHEN carried.local_day = concerned.today THEN %(now)s
                ELSE (carried.local_day + make_interval(hours => concerned.sending_hour))
                     AT TIME ZONE concerned.time_zone END
      FROM carried
      JOIN concerned USING (organization_id)
     WHERE carried.urgency = 1
        ON CONFLICT DO NOTHING
),
noticed AS (
    INSERT INTO keywright.notice (version_id, tier_days, member_id, local_day, state, planned_at)
    SELECT version_id, tier_days, member_id, local_day,
           CASE WHEN urgency = 1 THEN 'planned' ELSE 'superseded' END::keywright.notice_state,
           %(now)s
      FROM carried
        ON CONFLICT DO NOTHING
    RETURNING state
),
recorded AS (
    INSERT INTO keywright.tier_record (version_id, tier_days, outcome, decided_at)
    SELECT pending.version_id, pending.tier_days,
           CASE WHEN min(addressed.urgency) = 1 THEN 'told'
                WHEN min(addressed.urgency) > 1 THEN 'superseded'
                ELSE 'nobody' END::keywright.tier_outcome,
           %(now)s
      FROM pending
      LEFT JOIN addressed USING (version_id, tier_days)
     WHERE pending.due_at <= %(now)s
     GROUP BY pending.version_id, pending.tier_days
        ON CONFLICT DO NOTHING
    RETURNING outcome
),
moved_on AS (
    UPDATE keywright.certificate_version AS version
       SET next_notice_at = upcoming.due_at
      FROM (SELECT version_id, min(due_at) FILTER (WHERE due_at > %(now)s) AS due_at
              FROM due LEFT JOIN pending USING (version_id)
             GROUP BY version_id) AS upcoming
     WHERE version.version_id = upcoming.version_id
    RETURNING version.version_id
)
SELECT (SELECT count(*) FROM moved_on),
       (SELECT count(*) FROM noticed WHERE state = 'planned'),
       (SELECT count(*) FROM recorded WHERE outcome = 'nobody')
"""
