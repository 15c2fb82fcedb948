"""The certificate that a client is to present. SQL only."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from workers.certificates.locking import no_such_certificate
from workers.database.pool import Connection
from workers.errors import NotFoundError


@dataclass(frozen=True, kw_only=True)
class ClientVersion:
    """A signed certificate version."""

    version_id: int
    unique_name: str
    version_number: int
    not_before: datetime
    not_after: datetime
    certificate_der: bytes
    chain_der: list[bytes]
    has_private_key: bool
    private_key_exportable: bool


def find_client_version(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    version_number: int | None = None,
) -> ClientVersion:
    """Return a version of a certificate, by default its newest signed one.

    Raises:
        NotFoundError: there is no such certificate, or no such version, or it is not signed.
    """
    parameters = {
        "organization_id": organization_id,
        "unique_name": unique_name,
        "version_number": version_number,
    }
    with connection.cursor(row_factory=class_row(ClientVersion), binary=True) as cursor:
        row = cursor.execute(
            """
            SELECT version_id, unique_name, version_number, not_before, not_after,
                   certificate_der, chain_der, private_key IS NOT NULL AS has_private_key,
                   private_key_exportable
              FROM keywright.certificate_version
              JOIN keywright.certificate USING (organization_id, certificate_id)
             WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
               AND lower(unique_name) = lower(%(unique_name)s) AND not_after IS NOT NULL
               AND (%(version_number)s::integer IS NULL OR version_number = %(version_number)s)
             ORDER BY version_number DESC
             LIMIT 1
            """,
            parameters,
        ).fetchone()
    if row is not None:
        return row
    exists = connection.execute(
        """
        SELECT unique_name FROM keywright.certificate
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND lower(unique_name) = lower(%(unique_name)s)
        """,
        parameters,
    ).fetchone()
    if exists is None:
        raise no_such_certificate(unique_name)
    raise NotFoundError(
        f"“{exists[0]}” has no such signed version; `keywright certificate show` lists its"
        " versions."
    )
