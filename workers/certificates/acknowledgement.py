"""Acknowledging that a replaced certificate is still in use somewhere. SQL only."""

from datetime import datetime

from workers.certificates.locking import lock_certificate
from workers.certificates.silencing import silence_versions
from workers.database.pool import Connection
from workers.errors import ConflictError


def acknowledge_replaced(
    connection: Connection, *, organization_id: int, unique_name: str, now: datetime
) -> int:
    """Let the replaced versions of a certificate warn no more although places still have them.

    Returns how many versions that were. The newest version goes on warning as ever.

    Raises:
        NotFoundError: there is no such certificate.
        ConflictError: none of its versions is replaced and not acknowledged yet.
    """
    with connection.transaction():
        certificate = lock_certificate(connection, organization_id, unique_name)
        rows = connection.execute(
            """
            UPDATE keywright.certificate_version SET acknowledged_at = %(now)s
             WHERE certificate_id = %(certificate_id)s AND replaced_at IS NOT NULL
               AND acknowledged_at IS NULL
            RETURNING version_id
            """,
            {"certificate_id": certificate.certificate_id, "now": now},
        ).fetchall()
        if not rows:
            raise ConflictError(
                f"“{certificate.unique_name}” has no replaced version that is still to be"
                " acknowledged; only a replaced one can be."
            )
        silence_versions(connection, [row[0] for row in rows], reason="acknowledged")
    return len(rows)
