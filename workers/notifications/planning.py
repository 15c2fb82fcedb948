"""Planning in sets: which tiers are due, who hears of them, in which digest. SQL only.

One statement decides for a whole batch of certificate versions; what is due is found through the
index on ``next_notice_at``, so the cost grows with what is due and not with what exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workers.database.pool import Connection

_PLANNING_LOCK = 0x6E6F7463  # any number that nothing else locks: "notc"


def hold_off_planning(connection: Connection) -> None:
    """Wait for a planning step to end and keep others from beginning, until our transaction ends.

    Whoever closes a digest does this, so that no notice is put into a digest that is gone.
    """
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_PLANNING_LOCK])


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
    # A statement of its own: the next one sees every digest that was closed before.
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_PLANNING_LOCK])
    # Planned afresh each time: a generic plan knows neither how much is due nor how many are asked
    # for, and was seen to take twenty times as long.
    row = connection.execute(_PLAN, {"now": now, "limit": limit}, prepare=False).fetchone()
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


# The default policy, rules 51 to 59 of the model, in the order of the named steps below. Statistics
# know nothing of what is due at the moment, so no step joins two of the others: each looks up what
# it needs through an index, and a wrong estimate cannot make the cost grow with the square.
_PLAN = """
WITH due AS MATERIALIZED (
    SELECT version.version_id, version.organization_id, version.not_before, version.not_after,
           organization.time_zone, organization.sending_hour,
           (%(now)s AT TIME ZONE organization.time_zone)::date AS today,
           EXISTS (SELECT FROM keywright.member
                    WHERE member.organization_id = version.organization_id AND active
                      AND 'receive_expiration_notices' = ANY (permissions)) AS has_holder
      FROM keywright.certificate_version AS version
      JOIN keywright.organization USING (organization_id)
     WHERE version.next_notice_at <= %(now)s
     ORDER BY version.next_notice_at
     LIMIT %(limit)s
       FOR UPDATE OF version
),
-- The tiers of these versions that have no record yet.
pending AS MATERIALIZED (
    SELECT due.version_id, due.organization_id, due.time_zone, due.sending_hour, due.today,
           due.has_holder, tier.tier_days, tier.audience,
           keywright.tier_due_at(tier.tier_days, tier.life_divisor, due.not_before, due.not_after,
                                 due.time_zone, due.sending_hour) AS due_at
      FROM due
     CROSS JOIN keywright.tier
     WHERE NOT EXISTS (SELECT FROM keywright.tier_record AS record
                        WHERE record.version_id = due.version_id
                          AND record.tier_days = tier.tier_days)
),
-- Each due tier with each active member it is meant for (rules 51, 52, 54), or with no member;
-- urgency 1 is the tier that the member is told.
addressed AS MATERIALIZED (
    SELECT pending.version_id, pending.tier_days, pending.organization_id, pending.time_zone,
           pending.sending_hour, pending.today, listener.member_id,
           row_number() OVER (PARTITION BY pending.version_id, listener.member_id
                              ORDER BY pending.tier_days) AS urgency
      FROM pending
      LEFT JOIN LATERAL (
           SELECT member_id
             FROM keywright.member
            WHERE member.organization_id = pending.organization_id AND active
              AND CASE WHEN pending.audience = 'holders' AND pending.has_holder
                       THEN 'receive_expiration_notices' = ANY (permissions)
                       ELSE profile = 'system_administrator'
                            OR 'modify_all_data' = ANY (permissions) END) AS listener ON true
     WHERE pending.due_at <= %(now)s
),
-- A digest of today that is being sent already takes nothing more: the next day's does (rule 53).
carried AS MATERIALIZED (
    SELECT version_id, tier_days, organization_id, time_zone, sending_hour, today, member_id,
           urgency,
           today + CASE WHEN EXISTS (SELECT FROM keywright.digest
                                      WHERE digest.member_id = addressed.member_id
                                        AND digest.local_day = addressed.today
                                        AND digest.state <> 'open') THEN 1 ELSE 0 END AS local_day
      FROM addressed
     WHERE member_id IS NOT NULL
),
opened AS (
    INSERT INTO keywright.digest (organization_id, member_id, local_day, send_at)
    SELECT DISTINCT organization_id, member_id, local_day,
           CASE WHEN local_day = today THEN %(now)s
                ELSE (local_day + make_interval(hours => sending_hour)) AT TIME ZONE time_zone END
      FROM carried
     WHERE urgency = 1
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
    SELECT version_id, tier_days,
           CASE WHEN bool_or(member_id IS NOT NULL AND urgency = 1) THEN 'told'
                WHEN count(member_id) > 0 THEN 'superseded'
                ELSE 'nobody' END::keywright.tier_outcome,
           %(now)s
      FROM addressed
     GROUP BY version_id, tier_days
        ON CONFLICT DO NOTHING
    RETURNING version_id, tier_days, outcome
),
-- The most urgent tier that a version has reached, while it lasts; not again if the tier had been
-- planned before for somebody who is no longer there.
announced AS (
    INSERT INTO keywright.announcement (kind, organization_id, subject, data)
    SELECT 'certificate.expiring', version.organization_id,
           'certificate/' || version.certificate_id,
           jsonb_build_object('unique_name', certificate.unique_name,
                              'version_number', version.version_number,
                              'version_id', version.version_id,
                              'tier_days', reached.tier_days, 'not_after', version.not_after,
                              'days_left', floor(extract(epoch FROM version.not_after - %(now)s)
                                                 / 86400)::integer)
      FROM (SELECT version_id, min(tier_days) AS tier_days FROM recorded
             WHERE outcome IN ('told', 'nobody') GROUP BY version_id) AS reached
     CROSS JOIN LATERAL (
           SELECT version_id, version_number, organization_id, certificate_id, not_after
             FROM keywright.certificate_version
            WHERE certificate_version.version_id = reached.version_id LIMIT 1) AS version
     CROSS JOIN LATERAL (
           SELECT unique_name FROM keywright.certificate
            WHERE certificate.certificate_id = version.certificate_id LIMIT 1) AS certificate
     WHERE version.not_after > %(now)s
       AND NOT EXISTS (SELECT FROM keywright.notice
                        WHERE notice.version_id = reached.version_id
                          AND notice.tier_days = reached.tier_days)
),
moved_on AS (
    UPDATE keywright.certificate_version AS version
       SET next_notice_at = upcoming.due_at
      FROM (SELECT version_id, min(due_at) FILTER (WHERE due_at > %(now)s) AS due_at
              FROM (SELECT version_id, due_at FROM pending
                     UNION ALL SELECT version_id, NULL FROM due) AS tiers
             GROUP BY version_id) AS upcoming
     WHERE version.version_id = upcoming.version_id
    RETURNING version.version_id
)
SELECT (SELECT count(*) FROM moved_on),
       (SELECT count(*) FROM noticed WHERE state = 'planned'),
       (SELECT count(*) FROM recorded WHERE outcome = 'nobody')
"""
