"""Whether certificates are in order, over all organizations. SQL only."""

from dataclasses import dataclass

from psycopg.rows import class_row

from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class CertificateHealth:
    """What has ended, and what is being replaced.

    ``expired_places`` are those that still have a version that has ended, unless somebody has
    acknowledged that; of the replacements ``being_replaced``, some place is behind in those
    ``overdue``.
    """

    expired: int
    expired_places: int
    being_replaced: int
    overdue: int


def certificate_health(connection: Connection) -> CertificateHealth:
    """Return how things stand; the cost grows with what has ended, with usages and replacements."""
    with connection.cursor(row_factory=class_row(CertificateHealth)) as cursor:
        health = cursor.execute(
            """
            SELECT (SELECT coalesce(sum(ended.certificates), 0)::integer
                      FROM keywright.organization
                     CROSS JOIN LATERAL (
                           SELECT count(*) AS certificates
                             FROM keywright.certificate_version AS version
                             JOIN keywright.certificate USING (certificate_id)
                            WHERE version.organization_id = organization.organization_id
                              AND version.is_newest AND version.not_after < now()
                              AND certificate.deleted_at IS NULL) AS ended) AS expired,
                   (SELECT count(*) FROM keywright.usage
                      JOIN keywright.certificate_version USING (version_id)
                     WHERE not_after < now() AND acknowledged_at IS NULL) AS expired_places,
                   staged.being_replaced, staged.overdue
              FROM (SELECT count(*) AS being_replaced,
                           count(*) FILTER (WHERE EXISTS (
                               SELECT FROM keywright.replacement_progress AS progress
                                WHERE progress.replacement_id = replacement.replacement_id
                                  AND progress.due_at < now())) AS overdue
                      FROM keywright.replacement
                     WHERE state = 'staged') AS staged
            """
        ).fetchone()
    assert health is not None
    return health
