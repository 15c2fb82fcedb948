"""Deleting certificates: rules 57, 60 and 61 of the model. SQL only.

The database refuses what is in use, and silences what is deleted, also where plain SQL does it;
here the refusal says what to do, and others are told.
"""

from datetime import datetime
from typing import Any

from workers.announcements.store import announce
from workers.certificates.locking import lock_certificate
from workers.certificates.usages import Usage, list_usages
from workers.contract.announcements import CertificateDeleted
from workers.database.pool import Connection
from workers.errors import ConflictError


class CertificateInUseError(ConflictError):
    """The certificate cannot be deleted while places use it; the text lists each."""

    code = "certificate-in-use"
    title = "The certificate is still in use"

    def __init__(self, unique_name: str, usages: list[Usage]) -> None:
        self._reason = f"“{unique_name}” is still in use; move or remove each of its usages first"
        self._places = [
            f"{usage.place_kind}: {usage.place} (version {usage.version_number})"
            for usage in usages
        ]
        listed = "\n".join(f"- {place}" for place in self._places)
        super().__init__(f"{self._reason}:\n{listed}")

    def problem(self, instance: str) -> dict[str, Any]:
        """Describe this occurrence, with the places as a list for machines."""
        return {
            **super().problem(instance),
            "detail": f"{self._reason}: {', '.join(self._places)}.",
            "usages": self._places,
        }


class ReplacementUnderWayError(ConflictError):
    """The certificate cannot be deleted while places are moving from it or to it."""

    code = "replacement-under-way"
    title = "The certificate is part of a replacement"


def delete_certificate(
    connection: Connection, *, organization_id: int, unique_name: str, now: datetime
) -> int:
    """Delete a certificate that no place uses, and return its id; its name is free again.

    Nothing more is told of any of its versions. What was told stays on record. For the days of
    grace that the organization's policy gives, it can be restored as it was.

    Raises:
        NotFoundError: there is no such certificate.
        CertificateInUseError: a place uses a version of it. No usage can appear meanwhile, since
            whoever adds one waits for the same lock.
        ReplacementUnderWayError: places are moving from it or to it.
    """
    with connection.transaction():
        certificate = lock_certificate(connection, organization_id, unique_name)
        certificate_id = certificate.certificate_id
        usages = list_usages(
            connection, organization_id=organization_id, unique_name=certificate.unique_name
        )
        if usages:
            raise CertificateInUseError(certificate.unique_name, usages)
        _refuse_while_being_replaced(connection, certificate_id, certificate.unique_name)
        row = connection.execute(
            """
            UPDATE keywright.certificate SET deleted_at = %(now)s
             WHERE certificate_id = %(certificate_id)s
            RETURNING purge_at
            """,
            {"certificate_id": certificate_id, "now": now},
        ).fetchone()
        assert row is not None
        announce(
            connection,
            CertificateDeleted(unique_name=certificate.unique_name, purge_at=row[0], by="request"),
            organization_id=organization_id,
            subject=f"certificate/{certificate_id}",
        )
    return certificate_id


def _refuse_while_being_replaced(
    connection: Connection, certificate_id: int, unique_name: str
) -> None:
    row = connection.execute(
        "SELECT keywright.is_being_replaced(%(certificate_id)s)",
        {"certificate_id": certificate_id},
    ).fetchone()
    if row is not None and row[0]:
        raise ReplacementUnderWayError(
            f"“{unique_name}” is part of a replacement that is under way; finish that or roll it"
            " back first."
        )
