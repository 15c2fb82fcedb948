"""Recognising certificates that an organization has already. SQL only."""

from collections.abc import Sequence

from workers.database.pool import Connection


def known_certificates(
    connection: Connection, organization_id: int, fingerprints: Sequence[bytes]
) -> dict[bytes, str]:
    """Return the unique name of the certificate that each known fingerprint belongs to.

    Every version counts, those replaced too; deleted certificates do not.
    """
    return dict(
        connection.execute(
            """
            SELECT version.fingerprint, certificate.unique_name
              FROM keywright.certificate_version AS version
              JOIN keywright.certificate USING (certificate_id)
             WHERE version.organization_id = %(organization_id)s
               AND version.fingerprint = ANY (%(fingerprints)b::bytea[])
               AND certificate.deleted_at IS NULL
            """,
            {"organization_id": organization_id, "fingerprints": list(fingerprints)},
        ).fetchall()
    )
