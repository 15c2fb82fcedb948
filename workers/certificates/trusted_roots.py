"""The roots that an organization trusts for clients, in the database. SQL only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from workers.certificates.reading.found import FoundCertificate
from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class RootRow:
    """A trusted root; ``clients`` counts the certificates not withdrawn that lead to it."""

    fingerprint: bytes
    subject: str
    not_after: datetime
    is_public: bool
    certificate_der: bytes
    clients: int
    added_by: str
    added_at: datetime


def list_roots(connection: Connection, organization_id: int) -> list[RootRow]:
    """Return the trusted roots by subject."""
    with connection.cursor(row_factory=class_row(RootRow)) as cursor:
        return cursor.execute(
            """
            SELECT fingerprint, subject, not_after, is_public, certificate_der, added_by, added_at,
                   (SELECT count(*) FROM keywright.mutual_tls_client AS client
                     WHERE client.organization_id = root.organization_id
                       AND client.root_fingerprint = root.fingerprint
                       AND withdrawn_at IS NULL) AS clients
              FROM keywright.trusted_root AS root
             WHERE organization_id = %(organization_id)s
             ORDER BY subject, fingerprint
            """,
            {"organization_id": organization_id},
        ).fetchall()


def insert_roots(
    connection: Connection,
    organization_id: int,
    roots: Sequence[FoundCertificate],
    *,
    is_public: Sequence[bool],
    added_by: str,
    now: datetime,
) -> int:
    """Trust roots, and note afresh whether they are public; return how many are new."""
    rows = connection.execute(
        """
        INSERT INTO keywright.trusted_root
               (organization_id, fingerprint, subject, not_after, certificate_der, is_public,
                added_by, added_at)
        SELECT DISTINCT ON (fingerprint) %(organization_id)s, fingerprint, subject, not_after, der,
               is_public, %(added_by)s, %(now)s
          FROM unnest(%(fingerprints)b::bytea[], %(subjects)s::text[],
                      %(not_after)s::timestamptz[], %(ders)b::bytea[], %(is_public)s::boolean[])
               AS new (fingerprint, subject, not_after, der, is_public)
            ON CONFLICT (organization_id, fingerprint)
            DO UPDATE SET is_public = excluded.is_public
        RETURNING xmax = 0
        """,
        {
            "organization_id": organization_id,
            "fingerprints": [each.fingerprint for each in roots],
            "subjects": [each.subject for each in roots],
            "not_after": [each.not_after for each in roots],
            "ders": [each.der for each in roots],
            "is_public": list(is_public),
            "added_by": added_by,
            "now": now,
        },
    ).fetchall()
    return sum(row[0] for row in rows)


def delete_root(connection: Connection, organization_id: int, fingerprint: bytes) -> None:
    """Trust a root no longer."""
    connection.execute(
        """
        DELETE FROM keywright.trusted_root
         WHERE organization_id = %(organization_id)s AND fingerprint = %(fingerprint)s
        """,
        {"organization_id": organization_id, "fingerprint": fingerprint},
    )
