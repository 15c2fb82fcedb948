"""Row locks that put the changes of an organization's certificates in order. SQL only.

Every change of a certificate, its versions or its usages first locks the certificate's row, and
every import its organization's, until the caller's transaction ends. What is read afterwards is
therefore what holds at commit: a usage cannot appear on a certificate that is being deleted (rule
61), and the last of several usages to go knows that it is the last. Locks are taken in the order
usage, organization, certificate, version; several certificates in the order of their ids.
"""

from typing import NamedTuple

from workers.database.pool import Connection
from workers.errors import NotFoundError


class LockedCertificate(NamedTuple):
    """A certificate that nobody else changes until the transaction ends."""

    certificate_id: int
    unique_name: str


def lock_organization(connection: Connection, organization_id: int) -> None:
    """Wait for other imports into the organization, and make later ones wait.

    Raises:
        NotFoundError: there is no such organization.
    """
    # NO KEY UPDATE lets everything that merely refers to the organization go on.
    row = connection.execute(
        """
        SELECT organization_id FROM keywright.organization
         WHERE organization_id = %(organization_id)s
           FOR NO KEY UPDATE
        """,
        {"organization_id": organization_id},
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no organization with the id {organization_id}.")


def lock_certificate(
    connection: Connection, organization_id: int, unique_name: str
) -> LockedCertificate:
    """Lock the certificate called ``unique_name``, whatever its case.

    Raises:
        NotFoundError: there is none, or it was deleted while we waited for it.
    """
    return lock_certificates(connection, organization_id, unique_name, also=None)


def lock_certificates(
    connection: Connection, organization_id: int, unique_name: str, *, also: int | None
) -> LockedCertificate:
    """Lock the certificates called ``unique_name`` and with the id ``also``; return the first.

    Raises:
        NotFoundError: there is none of that name, or it was deleted while we waited for it.
    """
    rows = connection.execute(
        """
        SELECT certificate_id, unique_name FROM keywright.certificate
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND (lower(unique_name) = lower(%(unique_name)s) OR certificate_id = %(also)s)
         ORDER BY certificate_id
           FOR NO KEY UPDATE
        """,
        {"organization_id": organization_id, "unique_name": unique_name, "also": also},
    ).fetchall()
    for row in rows:
        if row[1].lower() == unique_name.lower():
            return LockedCertificate(*row)
    raise no_such_certificate(unique_name)


def lock_certificate_by_id(connection: Connection, certificate_id: int) -> None:
    """Lock a certificate that is known to be there."""
    connection.execute(
        """
        SELECT certificate_id FROM keywright.certificate
         WHERE certificate_id = %(certificate_id)s
           FOR NO KEY UPDATE
        """,
        {"certificate_id": certificate_id},
    )


def no_such_certificate(unique_name: str) -> NotFoundError:
    """Return the error of a name that no certificate has."""
    return NotFoundError(
        f"There is no certificate named “{unique_name}” in this organization; `keywright"
        " certificate list` shows them."
    )
