"""Bringing back what was deleted, as long as it is there: the days of grace. SQL only.

After them nothing is left to bring back; then only a keystore that was kept helps (rule 63).
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from workers.announcements.store import announce
from workers.certificates.locking import lock_organization
from workers.certificates.names import check_unique_name
from workers.certificates.naming import taken_names
from workers.contract.announcements import CertificateRestored
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


@dataclass(frozen=True, kw_only=True)
class DeletedCertificate:
    """A certificate that can still be restored, until ``purge_at``; it ended on ``not_after``."""

    certificate_id: int
    unique_name: str
    label: str
    kind: str
    not_after: datetime | None
    deleted_at: datetime
    purge_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RestoredCertificate:
    """What was brought back, and the name it has now."""

    certificate_id: int
    unique_name: str
    not_after: datetime | None
    deleted_at: datetime


def restore_certificate(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    new_name: str | None = None,
    certificate_id: int | None = None,
) -> RestoredCertificate:
    """Bring a deleted certificate back with all its versions, under its name or ``new_name``.

    Of several of that name, the one deleted last is meant, unless ``certificate_id`` says which.
    What is still to be told of it is told again.

    Raises:
        NotFoundError: no deleted certificate of that name is left.
        InvalidRequestError: ``new_name`` is not a proper one.
        ConflictError: the name is taken, or the very same certificate was brought in meanwhile.
    """
    if new_name is not None:
        check_unique_name(new_name)
    with connection.transaction():
        lock_organization(connection, organization_id)
        found = _lock_deleted(connection, organization_id, unique_name, certificate_id)
        name = new_name or found.unique_name
        if taken_names(connection, organization_id, [name]):
            raise ConflictError(
                f"There is another certificate named “{name}” by now; restore this one under a new"
                f" name: `keywright certificate restore {found.unique_name} --as NEW_NAME`."
            )
        _refuse_double(connection, organization_id, found)
        connection.execute(
            """
            UPDATE keywright.certificate SET deleted_at = NULL, unique_name = %(name)s
             WHERE certificate_id = %(certificate_id)s
            """,
            {"certificate_id": found.certificate_id, "name": name},
        )
        announce(
            connection,
            CertificateRestored(unique_name=name, deleted_at=found.deleted_at),
            organization_id=organization_id,
            subject=f"certificate/{found.certificate_id}",
        )
    return RestoredCertificate(
        certificate_id=found.certificate_id,
        unique_name=name,
        not_after=found.not_after,
        deleted_at=found.deleted_at,
    )


def list_deleted(
    connection: Connection, *, organization_id: int, limit: int = 1000
) -> list[DeletedCertificate]:
    """Return what can still be restored, deleted last first."""
    with connection.cursor(row_factory=class_row(DeletedCertificate)) as cursor:
        return cursor.execute(
            """
            SELECT certificate_id, unique_name, label, kind::text AS kind, not_after, deleted_at,
                   purge_at
              FROM keywright.certificate
              LEFT JOIN keywright.certificate_version AS version
                     USING (organization_id, certificate_id)
             WHERE organization_id = %(organization_id)s AND deleted_at IS NOT NULL
               AND is_newest IS NOT FALSE
             ORDER BY deleted_at DESC, certificate_id DESC
             LIMIT %(limit)s
            """,
            {"organization_id": organization_id, "limit": limit},
        ).fetchall()


def _lock_deleted(
    connection: Connection, organization_id: int, unique_name: str, certificate_id: int | None
) -> DeletedCertificate:
    """Keep a deleted certificate from being purged, or restored by others, until we commit."""
    with connection.cursor(row_factory=class_row(DeletedCertificate)) as cursor:
        found = cursor.execute(
            """
            SELECT certificate_id, unique_name, label, kind::text AS kind, deleted_at, purge_at,
                   (SELECT not_after FROM keywright.certificate_version AS version
                     WHERE version.certificate_id = certificate.certificate_id AND is_newest)
                       AS not_after
              FROM keywright.certificate
             WHERE organization_id = %(organization_id)s AND deleted_at IS NOT NULL
               AND lower(unique_name) = lower(%(unique_name)s)
               AND (%(certificate_id)s::bigint IS NULL OR certificate_id = %(certificate_id)s)
             ORDER BY deleted_at DESC, certificate_id DESC
             LIMIT 1
               FOR UPDATE
            """,
            {
                "organization_id": organization_id,
                "unique_name": unique_name,
                "certificate_id": certificate_id,
            },
        ).fetchone()
    if found is None:
        raise NotFoundError(
            f"No deleted certificate named “{unique_name}” can be restored; `keywright certificate"
            " list --deleted` shows those that can. What is gone for good comes back only from a"
            " keystore that you kept: `keywright keystore import`."
        )
    return found


def _refuse_double(connection: Connection, organization_id: int, found: DeletedCertificate) -> None:
    row = connection.execute(
        """
        SELECT other_certificate.unique_name
          FROM keywright.certificate_version AS version
          JOIN keywright.certificate_version AS other USING (organization_id, fingerprint)
          JOIN keywright.certificate AS other_certificate
            ON other_certificate.certificate_id = other.certificate_id
         WHERE version.certificate_id = %(certificate_id)s
           AND other.organization_id = %(organization_id)s
           AND other_certificate.deleted_at IS NULL
         LIMIT 1
        """,
        {"certificate_id": found.certificate_id, "organization_id": organization_id},
    ).fetchone()
    if row is not None:
        raise ConflictError(
            f"The very same certificate is there again already, as “{row[0]}”; delete that one"
            f" first if “{found.unique_name}” is to come back with its history."
        )
