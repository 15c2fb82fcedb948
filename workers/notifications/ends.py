"""Announcing that certificates have ended, each once: a mark says up to when. SQL only."""

from datetime import datetime

from workers.database.pool import Connection


def announce_ends(connection: Connection, *, now: datetime, limit: int) -> int:
    """Announce the certificates that have ended since the last time; return how many versions.

    About ``limit`` at a time, those that ended first; what ended at the same moment goes together.
    Nothing is said of what was deleted, or was replaced and is used nowhere. The mark's row is
    locked, so two scans never say the same; the caller's transaction decides.
    """
    row = connection.execute(
        "SELECT announced_until FROM keywright.expiry_mark FOR NO KEY UPDATE"
    ).fetchone()
    assert row is not None
    ended = connection.execute(_ANNOUNCE, {"since": row[0], "now": now, "limit": limit}).fetchone()
    assert ended is not None
    return int(ended[0])


_ANNOUNCE = """
WITH ended AS MATERIALIZED (
    SELECT version_id, certificate_id, organization_id, version_number, not_after, replaced_at
      FROM keywright.certificate_version
     WHERE not_after AT TIME ZONE 'UTC' > %(since)s::timestamptz AT TIME ZONE 'UTC'
       AND not_after AT TIME ZONE 'UTC' <= %(now)s::timestamptz AT TIME ZONE 'UTC'
     ORDER BY not_after AT TIME ZONE 'UTC'
     FETCH FIRST %(limit)s ROWS WITH TIES
),
announced AS (
    INSERT INTO keywright.announcement (kind, organization_id, subject, data)
    SELECT 'certificate.expired', ended.organization_id, 'certificate/' || ended.certificate_id,
           jsonb_build_object('unique_name', certificate.unique_name,
                              'version_number', ended.version_number,
                              'version_id', ended.version_id, 'not_after', ended.not_after)
      FROM ended
     CROSS JOIN LATERAL (
           SELECT unique_name, deleted_at FROM keywright.certificate
            WHERE certificate.certificate_id = ended.certificate_id LIMIT 1) AS certificate
     WHERE certificate.deleted_at IS NULL
       AND (ended.replaced_at IS NULL
            OR EXISTS (SELECT FROM keywright.usage WHERE usage.version_id = ended.version_id))
     ORDER BY ended.not_after
),
marked AS (
    UPDATE keywright.expiry_mark
       SET announced_until = CASE WHEN (SELECT count(*) FROM ended) < %(limit)s
                                  THEN greatest(announced_until, %(now)s)
                                  ELSE (SELECT max(not_after) FROM ended) END
)
SELECT count(*) FROM ended
"""
