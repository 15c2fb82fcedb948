"""Notices as people see them: who was told what, who will be, and is anything late. SQL only."""

from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row

from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class NoticeRow:
    """One notice with what became of it."""

    organization: str
    member: str
    email: str
    certificate: str
    not_after: datetime
    tier_days: int
    state: str
    reason: str | None
    local_day: date
    digest_id: int | None
    message_id: str | None
    smtp_reply: str | None
    delivered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ForecastRow:
    """A tier that is still to come, and how many members would hear of it today."""

    organization: str
    certificate: str
    not_after: datetime
    tier_days: int
    due_at: datetime
    audience: str
    members: int


@dataclass(frozen=True, kw_only=True)
class NoticeHealth:
    """Whether the notices are on time; every time is None where there is nothing of the kind."""

    last_scan_at: datetime | None
    oldest_unplanned_at: datetime | None
    oldest_unsent_at: datetime | None
    failed_digests: int
    tiers_nobody_heard: int


def list_notices(
    connection: Connection,
    *,
    organization: str | None = None,
    state: str | None = None,
    limit: int = 200,
) -> list[NoticeRow]:
    """Return up to ``limit`` notices, latest first."""
    with connection.cursor(row_factory=class_row(NoticeRow)) as cursor:
        return cursor.execute(
            """
            SELECT organization.name AS organization, member.name AS member, member.email,
                   certificate.unique_name AS certificate, version.not_after, notice.tier_days,
                   notice.state::text AS state, notice.reason, notice.local_day, digest.digest_id,
                   delivery.message_id, delivery.smtp_reply, delivery.finished_at AS delivered_at
              FROM keywright.notice
              JOIN keywright.member USING (member_id)
              JOIN keywright.organization USING (organization_id)
              JOIN keywright.certificate_version AS version USING (version_id)
              JOIN keywright.certificate USING (certificate_id)
              LEFT JOIN keywright.digest
                ON digest.member_id = notice.member_id AND digest.local_day = notice.local_day
               AND notice.state IN ('planned', 'sent', 'failed')
              LEFT JOIN keywright.delivery
                ON delivery.digest_id = digest.digest_id AND delivery.channel = 'email'
             WHERE (%(organization)s::text IS NULL
                    OR lower(organization.name) = lower(%(organization)s))
               AND (%(state)s::keywright.notice_state IS NULL OR notice.state = %(state)s)
             ORDER BY notice.planned_at DESC, organization.name, member.name, version.not_after,
                      certificate.unique_name
             LIMIT %(limit)s
            """,
            {"organization": organization, "state": state, "limit": limit},
        ).fetchall()


def forecast_notices(
    connection: Connection, *, organization: str | None = None, days: int, limit: int = 200
) -> list[ForecastRow]:
    """Return the tiers that come due within ``days``, soonest first, as things stand now."""
    with connection.cursor(row_factory=class_row(ForecastRow)) as cursor:
        return cursor.execute(
            """
            SELECT organization.name AS organization, certificate.unique_name AS certificate,
                   version.not_after, tier.tier_days, tier.due_at,
                   tier.audience::text AS audience,
                   (SELECT count(*) FILTER (WHERE CASE
                               WHEN tier.audience = 'holders' AND holders > 0 THEN is_holder
                               ELSE is_administrator END)
                      FROM (SELECT 'receive_expiration_notices' = ANY (permissions) AS is_holder,
                                   profile = 'system_administrator'
                                   OR 'modify_all_data' = ANY (permissions) AS is_administrator,
                                   count(*) FILTER (
                                       WHERE 'receive_expiration_notices' = ANY (permissions))
                                       OVER () AS holders
                              FROM keywright.member
                             WHERE member.organization_id = organization.organization_id
                               AND active) AS active) AS members
              FROM keywright.certificate_version AS version
              JOIN keywright.certificate USING (certificate_id)
              JOIN keywright.organization ON organization.organization_id = version.organization_id
             CROSS JOIN LATERAL (
                   SELECT tier.tier_days, tier.audience,
                          keywright.tier_due_at(tier.tier_days, tier.life_divisor,
                                                version.not_before, version.not_after,
                                                organization.time_zone, organization.sending_hour)
                              AS due_at
                     FROM keywright.tier
                    WHERE NOT EXISTS (SELECT FROM keywright.tier_record AS record
                                       WHERE record.version_id = version.version_id
                                         AND record.tier_days = tier.tier_days)) AS tier
             WHERE version.next_notice_at <= now() + make_interval(days => %(days)s)
               AND tier.due_at <= now() + make_interval(days => %(days)s)
               AND (%(organization)s::text IS NULL
                    OR lower(organization.name) = lower(%(organization)s))
             ORDER BY tier.due_at, organization.name, certificate.unique_name
             LIMIT %(limit)s
            """,
            {"organization": organization, "days": days, "limit": limit},
        ).fetchall()


def notice_health(connection: Connection) -> NoticeHealth:
    """Return whether anything is late or went wrong; cheap, however much there is."""
    with connection.cursor(row_factory=class_row(NoticeHealth)) as cursor:
        health = cursor.execute(
            """
            SELECT (SELECT max(finished_at) FROM keywright.job
                     WHERE kind = 'expiry.scan' AND state = 'succeeded') AS last_scan_at,
                   (SELECT min(next_notice_at) FROM keywright.certificate_version
                     WHERE next_notice_at <= now()) AS oldest_unplanned_at,
                   (SELECT min(send_at) FROM keywright.digest
                     WHERE state IN ('open', 'sending') AND send_at <= now()) AS oldest_unsent_at,
                   (SELECT count(*) FROM keywright.digest
                     WHERE state = 'failed' AND send_at > now() - interval '7 days')
                       AS failed_digests,
                   (SELECT count(*) FROM keywright.tier_record
                     WHERE outcome = 'nobody' AND decided_at > now() - interval '7 days')
                       AS tiers_nobody_heard
            """
        ).fetchone()
    assert health is not None
    return health
