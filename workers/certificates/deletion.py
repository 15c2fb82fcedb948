"""Deleting certificates: rules 57, 60 and 61 of the model. SQL only."""

from datetime import datetime

from workers.certificates.locking import lock_certificate
from workers.certificates.silencing import silence_versions
from workers.certificates.usages import list_usages
from workers.database.pool import Connection
from workers.errors import ConflictError


class CertificateInUseError(ConflictError):
    """The certificate cannot be deleted while places use it; the text lists each."""

    code = "certificate-in-use"
    title = "The certificate is still in use"


def delete_certificate(
    connection: Connection, *, organization_id: int, unique_name: str, now: datetime
) -> int:
    """Delete a certificate that no place uses, and return its id; its name is free again.

    Nothing more is told of any of its versions. What was told stays on record.

    Raises:
        NotFoundError: there is no such certificate.
        CertificateInUseError: a place uses a version of it. No usage can appear meanwhile, since
            whoever adds one waits for the same lock.
    """
    with connection.transaction():
        certificate = lock_certificate(connection, organization_id, unique_name)
        usages = list_usages(
            connection, organization_id=organization_id, unique_name=certificate.unique_name
        )
        if usages:
            places = "\n".join(
                f"- {usage.place_kind}: {usage.place} (version {usage.version_number})"
                for usage in usages
            )
            raise CertificateInUseError(
                f"“{certificate.unique_name}” is still in use;"
                f" move or remove each of its usages first:\n{places}"
            )
        connection.execute(
            """
            UPDATE keywright.certificate SET deleted_at = %(now)s
             WHERE certificate_id = %(certificate_id)s
            """,
            {"certificate_id": certificate.certificate_id, "now": now},
        )
        version_ids = connection.execute(
            """
            SELECT version_id FROM keywright.certificate_version
             WHERE certificate_id = %(certificate_id)s
            """,
            {"certificate_id": certificate.certificate_id},
        ).fetchall()
        silence_versions(connection, [row[0] for row in version_ids], reason="deleted")
    return certificate.certificate_id
