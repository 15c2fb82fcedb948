"""Deleting what has expired and is used nowhere, and purging what was deleted. SQL only.

Whatever needs a certificate keeps it: a place that uses any version, a replacement under way, a
client that may present it. Each step is one short transaction over a batch; what somebody else has
locked is left for the next time.
"""

from datetime import datetime, timedelta

from workers.certificates.policies import fewest_days_after
from workers.database.pool import Connection


def find_expired(
    connection: Connection, *, now: datetime, limit: int, organization_id: int | None = None
) -> list[int]:
    """Return certificates that policies say are to be deleted, those that ended first.

    The newest version counts: one that waits to be signed keeps its certificate. The cost grows
    with what has expired and is still there.
    """
    days = fewest_days_after(connection)
    if days is None:
        return []
    # Planned afresh: how much has expired is what a generic plan does not know.
    rows = connection.execute(
        """
        SELECT due.certificate_id
          FROM keywright.certificate_policy AS policy
         CROSS JOIN LATERAL (
               SELECT certificate.certificate_id, version.not_after
                 FROM keywright.certificate_version AS version
                CROSS JOIN LATERAL (
                      SELECT certificate_id, deleted_at FROM keywright.certificate
                       WHERE certificate.certificate_id = version.certificate_id
                      OFFSET 0) AS certificate
                WHERE version.organization_id = policy.organization_id AND version.is_newest
                  AND version.not_after < %(latest)s
                  AND version.not_after
                      < %(now)s - make_interval(days => policy.delete_expired_after_days)
                  AND certificate.deleted_at IS NULL
                  AND NOT EXISTS (SELECT FROM keywright.certificate_version AS any_version
                                    JOIN keywright.usage USING (version_id)
                                   WHERE any_version.certificate_id = certificate.certificate_id)
                  AND NOT EXISTS (SELECT FROM keywright.certificate_version AS any_version
                                    JOIN keywright.mutual_tls_client USING (version_id)
                                   WHERE any_version.certificate_id = certificate.certificate_id
                                     AND withdrawn_at IS NULL)
                  AND NOT keywright.is_being_replaced(certificate.certificate_id)
                ORDER BY version.not_after
                LIMIT %(limit)s) AS due
         WHERE policy.delete_expired_after_days IS NOT NULL
           AND (%(organization_id)s::bigint IS NULL
                OR policy.organization_id = %(organization_id)s)
         ORDER BY due.not_after
         LIMIT %(limit)s
        """,
        {
            "now": now,
            "latest": now - timedelta(days=days),
            "limit": limit,
            "organization_id": organization_id,
        },
        prepare=False,
    ).fetchall()
    return [row[0] for row in rows]


def delete_expired(connection: Connection, certificate_ids: list[int], *, now: datetime) -> int:
    """Delete those of the certificates that nothing needs at this moment; return how many.

    Each is announced. The caller's transaction decides.
    """
    # A statement of its own: what is read after the locks is what holds at commit (rule 61).
    locked = connection.execute(
        """
        SELECT certificate_id FROM keywright.certificate
         WHERE certificate_id = ANY (%(certificate_ids)s) AND deleted_at IS NULL
         ORDER BY certificate_id
           FOR NO KEY UPDATE SKIP LOCKED
        """,
        {"certificate_ids": certificate_ids},
    ).fetchall()
    return connection.execute(
        """
        WITH deleted AS (
            UPDATE keywright.certificate SET deleted_at = %(now)s
             WHERE certificate_id = ANY (%(certificate_ids)s)
               AND EXISTS (SELECT FROM keywright.certificate_version AS version
                            WHERE version.certificate_id = certificate.certificate_id
                              AND is_newest AND not_after < %(now)s)
               AND NOT EXISTS (SELECT FROM keywright.certificate_version AS version
                                 JOIN keywright.usage USING (version_id)
                                WHERE version.certificate_id = certificate.certificate_id)
               AND NOT EXISTS (SELECT FROM keywright.certificate_version AS version
                                 JOIN keywright.mutual_tls_client USING (version_id)
                                WHERE version.certificate_id = certificate.certificate_id
                                  AND withdrawn_at IS NULL)
               AND NOT keywright.is_being_replaced(certificate_id)
            RETURNING certificate_id, organization_id, unique_name, purge_at
        )
        INSERT INTO keywright.announcement (kind, organization_id, subject, data)
        SELECT 'certificate.deleted', organization_id, 'certificate/' || certificate_id,
               jsonb_build_object('unique_name', unique_name, 'purge_at', purge_at, 'by', 'policy')
          FROM deleted
        """,
        {"certificate_ids": [row[0] for row in locked], "now": now},
    ).rowcount


def purge_deleted(connection: Connection, *, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` certificates whose days of grace are over; return how many.

    Their private keys go for good, and so do the versions, tiers, notices and replacements that
    would mean nothing without them. The announcement keeps what there was and what was told of it;
    digests and deliveries, the proof of what was mailed, stay as they are.
    """
    certificate_ids = [
        row[0]
        for row in connection.execute(
            """
            SELECT certificate_id FROM keywright.certificate
             WHERE purge_at <= %(now)s AND NOT keywright.is_being_replaced(certificate_id)
             ORDER BY purge_at
             LIMIT %(limit)s
               FOR UPDATE SKIP LOCKED
            """,
            {"now": now, "limit": limit},
        )
    ]
    if not certificate_ids:
        return 0
    version_ids = [
        row[0]
        for row in connection.execute(
            """
            SELECT version_id FROM keywright.certificate_version
             WHERE certificate_id = ANY (%(certificate_ids)s)
             ORDER BY version_id
               FOR UPDATE
            """,
            {"certificate_ids": certificate_ids},
        )
    ]
    connection.execute(_ANNOUNCE_PURGE, {"certificate_ids": certificate_ids})
    for statement in _OF_VERSIONS:
        connection.execute(statement, {"version_ids": version_ids})
    connection.execute(
        "DELETE FROM keywright.certificate WHERE certificate_id = ANY (%(certificate_ids)s)",
        {"certificate_ids": certificate_ids},
    )
    return len(certificate_ids)


_OF_VERSIONS = (
    "DELETE FROM keywright.notice WHERE version_id = ANY (%(version_ids)s)",
    "DELETE FROM keywright.tier_record WHERE version_id = ANY (%(version_ids)s)",
    # Replacements, and what else means nothing without a version, go along: its references say so.
    "DELETE FROM keywright.certificate_version WHERE version_id = ANY (%(version_ids)s)",
)

_ANNOUNCE_PURGE = """
INSERT INTO keywright.announcement (kind, organization_id, subject, data)
SELECT 'certificate.purged', organization_id, 'certificate/' || certificate_id,
       jsonb_build_object('unique_name', unique_name, 'kind', kind, 'deleted_at', deleted_at,
                          'versions', (
           SELECT coalesce(jsonb_agg(jsonb_build_object(
                      'number', version_number, 'serial', serial, 'not_after', not_after,
                      'fingerprint', encode(fingerprint, 'hex'),
                      'had_private_key', private_key IS NOT NULL,
                      'told', (SELECT coalesce(jsonb_object_agg(tier_days, members), '{}')
                                 FROM (SELECT tier_days, count(*) AS members
                                         FROM keywright.notice
                                        WHERE notice.version_id = version.version_id
                                          AND state = 'sent'
                                        GROUP BY tier_days) AS tier)
                  ) ORDER BY version_number), '[]')
             FROM keywright.certificate_version AS version
            WHERE version.certificate_id = certificate.certificate_id))
  FROM keywright.certificate
 WHERE certificate_id = ANY (%(certificate_ids)s)
"""
