"""What is due by policy: certificates to rekey, and places to be moved to a new version. SQL only.

Both questions read the state as it is, bounded by index ranges around the end of validity: the cost
grows with what ends soon, not with what exists. ``OFFSET 0`` keeps what is looked up for each of
those from becoming a join, for which Postgres might read a whole table.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from workers.certificates.policies import most_days_before
from workers.contract import RekeyCertificate, StartReplacement
from workers.database.pool import Connection

LONGEST_DELAY = timedelta(days=90)
"""A version that ended longer ago than this is staged by a person, or not at all."""


@dataclass(frozen=True, kw_only=True)
class DueRekey:
    """The newest version of a self-signed certificate, which is near its end."""

    organization_id: int
    certificate_id: int
    unique_name: str
    version_number: int
    not_after: datetime
    unique_key: str


@dataclass(frozen=True, kw_only=True)
class DueReplacement:
    """A version that places still have, and the newer one of the same certificate."""

    organization_id: int
    certificate_id: int
    unique_name: str
    old_number: int
    new_number: int
    unique_key: str


def rekeys_due(
    connection: Connection, *, now: datetime, limit: int, organization_id: int | None = None
) -> list[DueRekey]:
    """Return the self-signed certificates that policies say are to have a new key pair by now.

    One that has ended already and is used nowhere is left for the clean-up: nobody waits for it.
    One that somebody has found a successor for needs none. Where a job has failed, it is tried
    again a day later.
    """
    days = most_days_before(connection)
    if days is None:
        return []
    with connection.cursor(row_factory=class_row(DueRekey)) as cursor:
        return cursor.execute(
            """
            SELECT due.organization_id, due.certificate_id, due.unique_name, due.version_number,
                   due.not_after, due.unique_key
              FROM keywright.certificate_policy AS policy
             CROSS JOIN LATERAL (
                   SELECT version.organization_id, version.certificate_id,
                          certificate.unique_name, version.version_number, version.not_after,
                          format('certificate-%%s-after-%%s', version.certificate_id,
                                 version.version_number) AS unique_key
                     FROM keywright.certificate_version AS version
                    CROSS JOIN LATERAL (
                          SELECT unique_name, kind, deleted_at FROM keywright.certificate
                           WHERE certificate.certificate_id = version.certificate_id
                          OFFSET 0) AS certificate
                    WHERE version.organization_id = policy.organization_id AND version.is_newest
                      AND version.not_after <= %(latest)s
                      AND version.not_after
                          <= %(now)s + make_interval(days => policy.rekey_days_before)
                      AND version.not_after
                          - least(make_interval(days => policy.rekey_days_before),
                                  (version.not_after - version.not_before) / 3) <= %(now)s
                      AND version.replaced_at IS NULL AND version.private_key IS NOT NULL
                      AND certificate.kind = 'self_signed' AND certificate.deleted_at IS NULL
                      AND (version.not_after > %(now)s
                           OR EXISTS (SELECT FROM keywright.usage
                                       WHERE usage.version_id = version.version_id))
                      AND NOT EXISTS (SELECT FROM keywright.replacement
                                       WHERE old_version_id = version.version_id
                                         AND state = 'staged')
                    ORDER BY version.not_after
                    LIMIT %(limit)s) AS due
             WHERE policy.rekey_days_before IS NOT NULL
               AND (%(organization_id)s::bigint IS NULL
                    OR policy.organization_id = %(organization_id)s)
               AND NOT EXISTS (SELECT FROM keywright.job
                                WHERE state = 'failed' AND kind = %(kind)s
                                  AND finished_at > %(now)s - interval '1 day'
                                  AND job.organization_id = due.organization_id
                                  AND job.unique_key = due.unique_key)
             ORDER BY due.not_after, due.certificate_id
             LIMIT %(limit)s
            """,
            {
                "now": now,
                "latest": now + timedelta(days=days),
                "limit": limit,
                "organization_id": organization_id,
                "kind": RekeyCertificate.kind,
            },
            prepare=False,  # how much is due is what a generic plan does not know
        ).fetchall()


def replacements_due(connection: Connection, *, now: datetime, limit: int) -> list[DueReplacement]:
    """Return the versions near their end that places have although a newer one is there.

    Only of self-signed certificates, under a policy that rekeys these. Where somebody has begun to
    move the places, or has once taken that back, it stays a person's decision. Where a job has
    failed, it is tried again a day later.
    """
    days = most_days_before(connection)
    if days is None:
        return []
    with connection.cursor(row_factory=class_row(DueReplacement)) as cursor:
        return cursor.execute(
            """
            SELECT due.organization_id, due.certificate_id, due.unique_name, due.old_number,
                   due.new_number, due.unique_key
              FROM keywright.certificate_policy AS policy
             CROSS JOIN LATERAL (
                   SELECT old.organization_id, old.certificate_id, certificate.unique_name,
                          old.version_number AS old_number, new.version_number AS new_number,
                          old.not_after,
                          format('certificate-%%s-from-%%s-to-%%s', old.certificate_id,
                                 old.version_number, new.version_number) AS unique_key
                     FROM keywright.certificate_version AS old
                    CROSS JOIN LATERAL (
                          SELECT unique_name, kind, deleted_at FROM keywright.certificate
                           WHERE certificate.certificate_id = old.certificate_id
                          OFFSET 0) AS certificate
                    CROSS JOIN LATERAL (
                          SELECT version_id, version_number, is_newest, not_after
                            FROM keywright.certificate_version AS version
                           WHERE version.certificate_id = old.certificate_id
                          OFFSET 0) AS new
                    WHERE old.organization_id = policy.organization_id AND NOT old.is_newest
                      AND old.not_after BETWEEN %(earliest)s AND %(latest)s
                      AND old.not_after
                          <= %(now)s + make_interval(days => policy.rekey_days_before)
                      AND old.acknowledged_at IS NULL
                      AND certificate.kind = 'self_signed' AND certificate.deleted_at IS NULL
                      AND new.is_newest AND new.not_after > greatest(old.not_after, %(now)s)
                      AND EXISTS (SELECT FROM keywright.usage
                                   WHERE usage.version_id = old.version_id)
                      AND NOT EXISTS (SELECT FROM keywright.replacement
                                       WHERE old_version_id = old.version_id
                                         AND (state = 'staged'
                                              OR new_version_id = new.version_id))
                    ORDER BY old.not_after
                    LIMIT %(limit)s) AS due
             WHERE policy.rekey_days_before IS NOT NULL
               AND NOT EXISTS (SELECT FROM keywright.job
                                WHERE state = 'failed' AND kind = %(kind)s
                                  AND finished_at > %(now)s - interval '1 day'
                                  AND job.organization_id = due.organization_id
                                  AND job.unique_key = due.unique_key)
             ORDER BY due.not_after, due.certificate_id, due.old_number
             LIMIT %(limit)s
            """,
            {
                "now": now,
                "earliest": now - LONGEST_DELAY,
                "latest": now + timedelta(days=days),
                "limit": limit,
                "kind": StartReplacement.kind,
            },
            prepare=False,
        ).fetchall()
